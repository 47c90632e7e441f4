"""The space of a game's contexts, for searches and for the design of environments."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from genhub_cprocgen.contexts import Parameter, parameters_of
from genhub_cprocgen.errors import ContextError

__all__ = ["ContextSpace", "context_space"]

MOST_TRIES = 1000


class ContextSpace(spaces.Dict):
    """One entry per parameter; every sample is a context that `make_vec` takes.

    Samples hold plain Python values: odd sizes where a size must be odd, no lower bound above its
    upper bound. Not every context has a level: see `LevelGenerationError`.
    """

    def __init__(self, game: str, mode: str, seed: int | None = None) -> None:
        """Give the space of a game and a mode; raises ContextError."""
        self.parameters, self.mode = parameters_of(game), mode
        super().__init__({p.name: _space(p) for p in self.parameters.all}, seed=seed)

    def sample(self, mask: Any = None, probability: Any = None) -> dict[str, Any]:
        """Draw a context uniformly from those that are valid."""
        for _ in range(MOST_TRIES):
            drawn = super().sample(mask, probability)
            context = {p.name: _value(p, drawn[p.name]) for p in self.parameters.all}
            for low, high in self.parameters.ordered_pairs:
                if context[low] > context[high]:
                    context[low], context[high] = context[high], context[low]
            if self.contains(context):
                return context
        raise ContextError(f"no valid context of {self.parameters.game} was drawn")

    def contains(self, x: Any) -> bool:
        """Is this a context with all parameters, each in its range, and bounds in order?"""
        if not isinstance(x, dict) or x.keys() != self.spaces.keys():
            return False
        try:
            self.parameters.row(x, self.mode)
        except ContextError:
            return False
        return True


def context_space(game: str, mode: str = "hard") -> ContextSpace:
    """Give the space that a game's contexts lie in; raises ContextError."""
    return ContextSpace(game, mode)


def _space(parameter: Parameter) -> spaces.Space:
    if parameter.type == "bool":
        return spaces.Discrete(2)
    assert parameter.min is not None and parameter.max is not None
    low, high = float(parameter.min), float(parameter.max)
    if parameter.type == "float":
        return spaces.Box(low, high, (), np.float64)
    stride = 2 if parameter.odd else 1
    return spaces.Discrete(int(high - low) // stride + 1, start=int(low))


def _value(parameter: Parameter, drawn: Any) -> float | int | bool:
    if parameter.type == "bool":
        return bool(drawn)
    if parameter.type == "float":
        return float(drawn)
    assert parameter.min is not None
    low = int(parameter.min)
    return low + 2 * (int(drawn) - low) if parameter.odd else int(drawn)
