"""A vector environment of two cells, whose whole course can be told beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from pydantic import Field

from genhub.api import EnvironmentFactory, PluginConfig


class Rows(VectorEnv):
    """Episode k of environment i lasts limit[i] steps; action 1 earns `gain`, 0 nothing."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_fps": 10}  # noqa: RUF012

    def __init__(self, num_envs: int, seed: int, config: Any) -> None:
        self.num_envs, self.seed, self.config = num_envs, seed, config
        self.single_observation_space = spaces.Box(0, 255, (36, 36, 3), np.uint8)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.limit = np.array([config.limits[i % len(config.limits)] for i in range(num_envs)])
        self.age = np.zeros(num_envs, int)
        self.closes = 0

    def _see(self) -> np.ndarray:
        shade = (40 * self.age % 256).astype(np.uint8)
        return np.broadcast_to(shade[:, None, None, None], self.observation_space.shape).copy()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        self.age[:] = 0
        return self._see(), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict]:
        if self.config.falls_at and self.age.max() + 1 == self.config.falls_at:
            raise RuntimeError("the toy fell")
        self.age += 1
        ended = self.age >= self.limit
        info = {"prev_level_seed": 100 + self.age, "prev_level_complete": ended & (actions == 1)}
        self.age[ended] = 0
        reward = self.config.gain * np.asarray(actions, np.float32)
        return self._see(), reward, ended, np.zeros(self.num_envs, bool), info

    def get_context(self, i: int) -> dict[str, Any]:
        return {"limit": int(self.limit[i]), "gain": self.config.gain}

    def close_extras(self, **kwargs: Any) -> None:
        Toys.closed += 1


class ToyConfig(PluginConfig):
    limits: list[int] = Field([3, 5], description="lengths of episodes, dealt round robin")
    gain: float = Field(1.0, description="reward of action 1")
    num_envs: int = Field(4, ge=1, description="environments")
    falls_at: int = Field(0, description="the age at which it raises an error")
    refuses: bool = Field(False, description="cannot be made")


class Toys(EnvironmentFactory):
    Config = ToyConfig
    summary = "two cells"
    closed = 0
    made: tuple[int, int, int] = (0, 0, 0)

    def make(self, num_envs: int, seed: int, threads: int) -> Rows:
        if self.config.refuses:
            raise ValueError("limits must be odd, got 4")
        type(self).made = (num_envs, seed, threads)
        return Rows(num_envs, seed, self.config)
