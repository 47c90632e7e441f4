"""The interfaces of the old libraries, for code that was written for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from genhub_cprocgen.errors import OptionError
from genhub_cprocgen.vector import CProcgenVectorEnv

__all__ = ["CProcgenEnv", "ProcgenEnv"]

# Observations, rewards, whether the episode ended, and one dictionary per environment.
OldStep = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]


class ProcgenEnv:
    """The vector interface of the benchmark's own Python package (four values a step).

    Observations are `{"rgb": uint8 [N, 64, 64, 3]}`, `step` gives observations, rewards float32,
    `done` (the episode ended, for whatever reason) and one dictionary per environment.
    """

    def __init__(self, num_envs: int, env_name: str, **options: Any) -> None:
        """Take the options of the benchmark; raises OptionError for others."""
        self.env = CProcgenVectorEnv(env_name, num_envs=num_envs, **_current(options))
        self.num_envs = num_envs
        self.observation_space = spaces.Dict({"rgb": self.env.single_observation_space})
        self.action_space = self.env.single_action_space
        self._actions: Any = None

    def reset(self) -> dict[str, np.ndarray]:
        """Begin new levels everywhere."""
        observation, _ = self.env.reset()
        return {"rgb": observation}

    def step_async(self, actions: Any) -> None:
        """Begin a step."""
        self.env.step_async(actions)

    def step_wait(
        self,
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """End a step."""
        observation, reward, terminated, truncated, info = self.env.step_wait()
        names = ("prev_level_seed", "prev_level_complete", "level_seed")
        listed = [{name: info[name][i].item() for name in names} for i in range(self.num_envs)]
        return {"rgb": observation}, reward, terminated | truncated, listed

    def step(self, actions: Any) -> OldStep:
        """Step every environment once."""
        self.step_async(actions)
        return self.step_wait()

    def callmethod(self, name: str, *arguments: Any) -> Any:
        """Call `get_state` or `set_state` (with a list of states), as the benchmark's users do."""
        if name not in ("get_state", "set_state"):
            raise OptionError(f"callmethod knows get_state and set_state, got {name!r}")
        return getattr(self.env, name)(*arguments)

    def render(self) -> Any:
        """Give (rgb_array) or show (human) the games; needs render_mode at construction."""
        return self.env.render()

    def close(self) -> None:
        """Free the engine."""
        self.env.close()


class CProcgenEnv(ProcgenEnv):
    """C-Procgen's interface: a context per environment, changed one by one.

    Unlike there, a change keeps the parameters that it does not name, values are checked, and every
    parameter has an effect.
    """

    def __init__(
        self,
        num_envs: int,
        env_name: str,
        context_options: Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        """Take one context per environment."""
        contexts = None if context_options is None else list(context_options)
        super().__init__(num_envs, env_name, contexts=contexts, **options)

    def set_context_to(self, index: int, context: Mapping[str, Any]) -> None:
        """Change one environment's context, from its next level on."""
        self.env.set_context(index, context)

    def get_context(self) -> list[dict[str, Any]]:
        """Give the contexts that were set, one per environment."""
        return self.env.get_pending_context()


def _current(options: Mapping[str, Any]) -> dict[str, Any]:
    """Take the benchmark's options; those that only its own code needed are refused by name."""
    for name in ("render_human", "debug", "debug_mode", "resource_root", "interactive"):
        if name in options:
            raise OptionError(f"{name} belongs to the benchmark's own library; leave it out")
    return dict(options)
