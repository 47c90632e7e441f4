"""What can go wrong, each with one sentence that says what was seen and how to mend it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

__all__ = [
    "ActionError",
    "ClosedError",
    "ContextError",
    "LevelGenerationError",
    "OptionError",
    "SkinError",
    "StateError",
    "closest",
]


class OptionError(ValueError):
    """A field of the construction, or an argument of a call, cannot be used."""


class ContextError(ValueError):
    """A context names an unknown parameter or gives it a value it cannot have."""


class ActionError(ValueError):
    """Actions of a wrong shape, kind or range; nothing was stepped."""


class StateError(ValueError):
    """Bytes that are no state of this environment; nothing was changed."""


class SkinError(ValueError):
    """A folder of pictures that cannot be used as a skin."""


class ClosedError(RuntimeError):
    """The environments were closed."""


class LevelGenerationError(RuntimeError):
    """No level of this seed could be made from this context.

    Attributes
    ----------
    game, seed, context: the game's name, the level seed, and the parameters that differ from the
        mode's defaults. `index` is the environment; reset it with another context to go on.
    results: what the call gives of all other environments: of `step` its five results, of `reset`
        its two. The frame of the failed environment is black.
    """

    results: tuple[Any, ...] = ()

    def __init__(self, index: int, game: str, seed: int, context: dict[str, Any], why: str) -> None:
        self.index, self.game, self.seed, self.context = index, game, seed, context
        super().__init__(
            f"environment {index}: no level of {game} with seed {seed} can be made from the "
            f"context {context or '(all defaults)'}: {why}; reset this environment with another "
            "context"
        )


def closest(name: str, known: list[str]) -> str:
    """Give `; did you mean "x"?` where a known name is close, else the known names."""
    found = get_close_matches(name, known, n=1)
    return f'; did you mean "{found[0]}"?' if found else f"; known are {', '.join(known)}"
