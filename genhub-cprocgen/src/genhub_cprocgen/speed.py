"""How many steps a second of CPU time is worth."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from genhub_cprocgen.vector import CProcgenVectorEnv

__all__ = ["steps_per_cpu_second"]

WARM_UP = 50  # steps of all environments, in which memory reaches its size
AT_ONCE = 20  # steps between two looks at the clock


def steps_per_cpu_second(game: str, seconds: float, **options: Any) -> float:
    """Step with random actions for `seconds` of CPU time of all threads; gives steps of one
    environment per second of it."""
    env = CProcgenVectorEnv(game, rand_seed=0, copy=False, **options)
    try:
        env.reset()
        actions = np.random.default_rng(0).integers(0, 15, (AT_ONCE, env.num_envs), np.int32)
        for step in range(WARM_UP):
            env.step(actions[step % AT_ONCE])
        taken, begun, spent = 0, time.process_time(), 0.0
        while spent < seconds:
            for each in actions:
                env.step(each)
            taken += AT_ONCE * env.num_envs
            spent = time.process_time() - begun
        return taken / spent
    finally:
        env.close()
