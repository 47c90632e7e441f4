"""Rooms that show their size as a grey square: every return can be counted by hand."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from pydantic import Field

from genhub.api import EnvironmentFactory, PluginConfig

SIDE = 16


class Rooms(VectorEnv):
    """Action 1 goes on and gives 1; after `size` such steps the episode ends. Action 0 waits.

    The size of environment i's room is sizes[(i + episode) % len(sizes)], in the room's context.
    """

    action_names = ("wait", "go")
    fell: ClassVar[bool] = False

    def __init__(self, num_envs: int, seed: int, config: RoomsConfig) -> None:
        self.num_envs, self.config = num_envs, config
        mode = AutoresetMode(config.autoreset)
        self.metadata = {"autoreset_mode": mode, "render_fps": 10}
        shape = (SIDE, SIDE, 3) if config.pictures else (1,)
        self.single_observation_space = Box(0, 255, shape, np.uint8)
        self.single_action_space = Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.seed = seed
        self.closings = 0
        self.episode = np.zeros(num_envs, int)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        mask = (options or {}).get("reset_mask")
        if mask is None:
            self.episode = np.full(self.num_envs, -1)
            self.ended = np.zeros(self.num_envs, bool)
            mask = np.ones(self.num_envs, bool)
        self._begin(mask)
        return self._see(), {}

    def step(self, actions: np.ndarray) -> tuple[Any, ...]:
        if int(self.age.max()) == self.config.falls_at and not Rooms.fell:
            Rooms.fell = True  # once: whoever goes on gets further
            raise KeyboardInterrupt
        fresh = self.ended.copy()
        gone = (np.asarray(actions) == 1) & ~fresh
        self.place += gone
        self.age += ~fresh
        done = ~fresh & (self.place >= self.size)
        late = ~fresh & ~done & (self.age >= 50)
        self.ended = done | late
        infos = {"is_success": done}
        mode = self.metadata["autoreset_mode"]
        if mode == AutoresetMode.SAME_STEP:
            self._begin(self.ended)
        elif mode == AutoresetMode.NEXT_STEP:
            self._begin(fresh)
        return self._see(), gone.astype(np.float32), done, late, infos

    def get_context(self, i: int) -> dict[str, Any]:
        return {"size": int(self.size[i]), "colour": "grey", "limit": np.int64(50)}

    def close_extras(self, **kwargs: Any) -> None:
        self.closings += 1

    def _begin(self, which: np.ndarray) -> None:
        if not hasattr(self, "size") or which.all():
            self.size, self.place, self.age = (np.zeros(self.num_envs, int) for _ in range(3))
        self.episode[which] += 1
        sizes = np.array(self.config.sizes)
        turns = (np.arange(self.num_envs) + self.episode) % len(sizes)
        self.size[which] = sizes[turns][which]
        self.place[which] = self.age[which] = 0
        self.ended = self.ended & ~which

    def _see(self) -> np.ndarray:
        shape = self.observation_space.shape
        level = (10 * self.size + 25 * self.place).astype(np.uint8)
        return np.broadcast_to(level.reshape(-1, *[1] * (len(shape) - 1)), shape).copy()


class RoomsConfig(PluginConfig):
    sizes: list[int] = Field(default_factory=lambda: [2, 3], description="steps to the end")
    autoreset: Literal["NextStep", "SameStep", "Disabled"] = Field("SameStep", description="how")
    pictures: bool = Field(True, description="observations are pictures")
    falls_at: int | None = Field(None, description="age at which it is interrupted")


class RoomsFactory(EnvironmentFactory):
    """Rooms of some sizes."""

    Config = RoomsConfig
    summary = "rooms to go through"

    def make(self, num_envs: int, seed: int, threads: int) -> VectorEnv:
        if num_envs == 13:
            raise ValueError("num_envs must not be 13, got 13")
        return Rooms(num_envs, seed, self.config)
