"""Steps environments of one library for `procgen.py`, in an environment that has that library.

    python -I procgen_worker.py LIBRARY

Reads one JSON object a line: `game`, `envs`, `steps`, and what the library is to be made with.
Environments are made at their first mention, stepped a while and kept. Answers a line with the
seconds that the steps took: `wall`, and `cpu` of all threads.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WARMUP = 100
Step = Callable[[np.ndarray], None]


def genhub(game: str, envs: int, **options: Any) -> Step:
    """Make environments of genhub-cprocgen."""
    import genhub_cprocgen

    env = genhub_cprocgen.make_vec(
        game, num_envs=envs, distribution_mode="easy", rand_seed=1, copy=False, **options
    )
    env.reset()

    def step(actions: np.ndarray) -> None:
        env.step(actions)

    return step


def procgen(game: str, envs: int) -> Step:
    """Make environments of the benchmark library, without worker threads."""
    from procgen import ProcgenGym3Env

    env = ProcgenGym3Env(
        num=envs, env_name=game, distribution_mode="easy", rand_seed=1, num_threads=0
    )

    def step(actions: np.ndarray) -> None:
        env.act(actions)
        env.observe()

    return step


def envpool(game: str, envs: int) -> Step:
    """Make environments of EnvPool with one worker thread, the fewest that it has."""
    import envpool

    made = envpool.make_gymnasium(
        f"{game.capitalize()}Easy-v0", num_envs=envs, num_threads=1, seed=1
    )
    made.reset()

    def step(actions: np.ndarray) -> None:
        made.step(actions)

    return step


LIBRARIES: dict[str, Callable[..., Step]] = {
    "genhub": genhub,
    "procgen": procgen,
    "envpool": envpool,
}


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer
    made: dict[str, Step] = {}
    about = {"version": _version(sys.argv[1]), "pictures": _pictures(sys.argv[1])}
    print(json.dumps(about), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        steps, key = asked.pop("steps"), json.dumps(asked, sort_keys=True)
        if key not in made:
            made[key] = LIBRARIES[sys.argv[1]](**asked)
            timed(made[key], asked["envs"], WARMUP)
        print(json.dumps(timed(made[key], asked["envs"], steps)), file=answers, flush=True)


def timed(step: Step, envs: int, steps: int) -> dict[str, float]:
    """Step with random actions; gives seconds."""
    actions = np.random.default_rng(steps).integers(0, 15, (steps, envs), dtype=np.int32)
    wall, cpu = time.perf_counter(), time.process_time()
    for row in actions:
        step(row)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"wall": wall, "cpu": cpu}


def _pictures(library: str) -> str | None:
    """Give the folder of pictures that the benchmark library brings."""
    if library != "procgen":
        return None
    import procgen

    return str(Path(procgen.__file__).parent / "data" / "assets")


def _version(library: str) -> str:
    from importlib import metadata

    names = {"genhub": "genhub-cprocgen", "procgen": "procgen-mirror", "envpool": "envpool"}
    return metadata.version(names[library])


if __name__ == "__main__":
    main()
