"""One environment with the plain gymnasium interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from genhub_cprocgen.errors import OptionError
from genhub_cprocgen.vector import CProcgenVectorEnv

__all__ = ["CProcgenSingleEnv"]


class CProcgenSingleEnv(gymnasium.Env):
    """A single game; fields as in `Options`, without num_envs, autoreset and final_obs.

    An episode that has ended must be reset, as in every gymnasium environment.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 15}  # noqa: RUF012

    def __init__(self, game: str, **fields: Any) -> None:
        """Make the environment; raises OptionError or ContextError."""
        for name in ("num_envs", "autoreset", "final_obs"):
            if name in fields:
                raise OptionError(f"a single environment has no {name}: use make_vec")
        self._vector = CProcgenVectorEnv(game, num_envs=1, autoreset="disabled", **fields)
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space
        self.render_mode = self._vector.render_mode

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a new level; `options` as in the vector environment."""
        super().reset(seed=seed)
        observation, info = self._vector.reset(seed=seed, options=options)
        return self._first(observation), {name: values[0] for name, values in info.items()}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one action, an integer 0..14."""
        observation, reward, terminated, truncated, info = self._vector.step(np.asarray([action]))
        named = {name: values[0] for name, values in info.items()}
        ended = bool(terminated[0]), bool(truncated[0])
        return self._first(observation), float(reward[0]), *ended, named

    @staticmethod
    def _first(observation: Any) -> Any:
        if isinstance(observation, dict):
            return {name: values[0] for name, values in observation.items()}
        return observation[0]

    def render(self) -> np.ndarray | None:
        """Give (rgb_array) or show (human) the game at 512 x 512."""
        frames = self._vector.render()
        return None if frames is None else frames[0]

    def set_context(self, context: Mapping[str, Any], **how: Any) -> None:
        """Change the context, as in the vector environment."""
        self._vector.set_context(0, context, **how)

    def get_context(self) -> dict[str, Any]:
        """Give the context of the running level."""
        return self._vector.get_context(0)

    def get_state(self) -> bytes:
        """Give the whole state."""
        return self._vector.get_state()[0]

    def set_state(self, state: bytes) -> None:
        """Load a state."""
        self._vector.set_state([state])

    def close(self) -> None:
        """Free the engine."""
        self._vector.close()
