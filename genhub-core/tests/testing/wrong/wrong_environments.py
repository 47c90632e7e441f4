"""Environments each of which does one thing that no environment may do, and one that does none."""

from __future__ import annotations

import random
from pathlib import Path

from genhub.api import EnvironmentFactory


def walk(num_envs, seed, threads, fault=""):
    import numpy as np
    from gymnasium.spaces import Box, Discrete
    from gymnasium.vector import VectorEnv
    from gymnasium.vector.utils import batch_space

    class Walk(VectorEnv):
        """A random walk on a line."""

        def __init__(self):
            self.num_envs = num_envs
            self.single_observation_space = Box(-1000, 1000, (1,), np.float32)
            self.single_action_space = Discrete(2)
            self.observation_space = batch_space(self.single_observation_space, num_envs)
            self.action_space = batch_space(self.single_action_space, num_envs)
            self.start(seed)

        def start(self, seed):
            seed = {"ignores": 0, "restless": None}.get(fault, seed)
            self.dice = np.random.default_rng(seed)
            self.x = np.zeros((num_envs, 1), np.float32)

        def reset(self, *, seed=None, options=None):
            if seed is not None and fault != "lingers":
                self.start(seed)
            return self.x.copy(), {}

        def step(self, actions):
            if fault == "dice":
                random.random()
            if fault == "litter":
                Path("littered.txt").write_text("was here")
            self.x += self.dice.normal(size=self.x.shape).astype(np.float32)
            still = np.zeros(num_envs, bool)
            seen = self.x.copy() * (5000 if fault == "beyond" else 1)
            return seen, np.ones(num_envs, np.float32), still, still, {}

        def close(self, **kwargs):
            if fault == "once" and self.closed:
                raise OSError("it is closed already")
            super().close(**kwargs)

    return Walk()


class Walking(EnvironmentFactory):
    summary = "a random walk"
    fault = ""

    def make(self, num_envs, seed, threads):
        return walk(num_envs, seed, threads, self.fault)


class Single(Walking):
    def make(self, num_envs, seed, threads):
        return walk(1, seed, threads)


class Beyond(Walking):
    fault = "beyond"


class Threaded(Walking):
    def make(self, num_envs, seed, threads):
        return walk(num_envs, seed + threads, threads)


class Ignoring(Walking):
    fault = "ignores"


class Lingering(Walking):
    fault = "lingers"


class Once(Walking):
    fault = "once"


class Dicing(Walking):
    fault = "dice"


class Littering(Walking):
    fault = "litter"
