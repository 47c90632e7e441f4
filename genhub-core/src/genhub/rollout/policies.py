"""What chooses actions: chance, a list of actions, or a network from a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

__all__ = ["Policy", "RandomPolicy", "ScriptPolicy", "read_action", "read_script"]

MOST_ACTIONS = 10_000_000
REPEATED = re.compile(r"(.+?)\s*\*\s*(\d{1,9})")


class Policy(Protocol):
    """Gives the next actions of all environments."""

    def act(self, observation: Any) -> Any:
        """Take a batch of observations and give a batch of actions."""
        ...


class RandomPolicy:
    """Samples the action space with a generator of its own."""

    def __init__(self, env: VectorEnv, seed: int) -> None:
        self._space = env.action_space
        self._space.seed(seed % 2**32)

    def act(self, observation: Any) -> Any:
        """Draw one action per environment."""
        return self._space.sample()


class ScriptPolicy:
    """Plays a list of actions in all environments, again and again."""

    def __init__(self, env: VectorEnv, script: Sequence[Any]) -> None:
        """Read the script; raises ValueError for an action that the environments do not have."""
        self._actions = read_script(script, env.single_action_space, names_of(env))
        self._count, self._step = env.num_envs, 0

    def act(self, observation: Any) -> Any:
        """Give the same next action for every environment."""
        action = self._actions[self._step % len(self._actions)]
        self._step += 1
        return np.stack([action] * self._count)


def names_of(env: Any) -> list[str]:
    """List the names of a discrete action space, where the environments tell any."""
    return [str(name) for name in getattr(env, "action_names", ())]


def read_script(script: Sequence[Any], space: Any, names: Sequence[str]) -> list[Any]:
    """Give the actions of a script; `NAME*20` and `7*20` stand for twenty of them.

    Raises ValueError for an action that is not in the space of one environment.
    """
    actions: list[Any] = []
    for place, entry in enumerate(script):
        repeated = REPEATED.fullmatch(entry) if isinstance(entry, str) else None
        word, times = (repeated[1], int(repeated[2])) if repeated else (entry, 1)
        actions += [read_action(word, space, names, f"action {place} of the script")] * times
        if not 0 < len(actions) <= MOST_ACTIONS:
            raise ValueError(f"a script has 1 to {MOST_ACTIONS} actions, got {len(actions)}")
    return actions


def read_action(word: Any, space: Any, names: Sequence[str], what: str) -> Any:
    """Give one action from a name, a number, or numbers; raises ValueError."""
    value = word
    if isinstance(word, str):
        known = [name.lower() for name in names]
        if word.lower() in known:
            value = known.index(word.lower()) + int(getattr(space, "start", 0))
        elif re.fullmatch(r"-?\d+", word):
            value = int(word)
        else:
            told = f"the names are {', '.join(names)}" if names else "these actions have no names"
            raise ValueError(f"{what} is {word!r}; {told}")
    action = np.asarray(value, getattr(space, "dtype", None))
    if not space.contains(action[()] if action.ndim == 0 else action):
        raise ValueError(f"{what} is {word!r}, which is not in {space}")
    return action
