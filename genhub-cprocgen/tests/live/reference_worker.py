"""Step the benchmark library for `parity.py`; runs in an environment with its own old numpy.

Arguments: one JSON object of keywords of ProcgenGym3Env. Input: for each step, int32 actions [N].
Output, before the first and after each step, little-endian: float32 rewards [N], int32 level_seed,
prev_level_seed, prev_level_complete, first [N each], uint8 frames [N, 64, 64, 3], and N states,
each with its length as int32 before it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO

import numpy as np
from procgen import ProcgenGym3Env

INFO = ("level_seed", "prev_level_seed", "prev_level_complete")


def main() -> None:
    """Serve steps until the input ends."""
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # what the library prints is no answer
        env = ProcgenGym3Env(**json.loads(sys.argv[1]), num_threads=0)
        answer(env, answers)
        while raw := sys.stdin.buffer.read(4 * env.num):
            env.act(np.frombuffer(raw, "<i4"))
            answer(env, answers)


def answer(env: Any, answers: BinaryIO) -> None:
    """Write where all environments stand."""
    rewards, observation, first = env.observe()
    infos = env.get_info()
    answers.write(np.asarray(rewards, "<f4").tobytes())
    for name in INFO:
        answers.write(np.array([info[name] for info in infos], "<i4").tobytes())
    answers.write(np.asarray(first, "<i4").tobytes())
    answers.write(np.ascontiguousarray(observation["rgb"], np.uint8).tobytes())
    for state in env.callmethod("get_state"):
        answers.write(len(state).to_bytes(4, "little") + state)
    answers.flush()


if __name__ == "__main__":
    main()
