"""Returns by context: which parameters differ between episodes, and a row for each setting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any

from genhub.rollout.episodes import Episode

__all__ = ["Axes", "order_of", "returns_by_context", "summary_of"]

MOST_VALUES = 8  # of a parameter that has a row for each of them
RANGES = 4  # of a parameter with more values, which are then put together

Context = Mapping[str, Any]
Key = tuple[tuple[str, Any], ...]


class Axes:
    """The parameters in which contexts differ; what has many values is cut into ranges.

    A parameter that differs only from game to game tells nothing beside the game's name.
    """

    def __init__(self, contexts: Iterable[Context]) -> None:
        seen: dict[str, dict[Any, dict[Any, None]]] = {}
        for context in contexts:
            for name, value in context.items():
                of_game = "" if name == "game" else context.get("game", "")
                seen.setdefault(name, {}).setdefault(of_game, {})[value] = None
        self.values = {
            name: list(dict.fromkeys(v for held in games.values() for v in held))
            for name, games in seen.items()
            if any(len(held) > 1 for held in games.values())
        }
        self._cuts = {
            name: _cuts(values) for name, values in self.values.items() if _is_long(values)
        }

    def key(self, context: Context) -> Key:
        """Give the row that a context belongs to, as (name, value or range) per axis."""
        return tuple((n, self._place(n, context[n])) for n in self.values if n in context)

    def _place(self, name: str, value: Any) -> Any:
        for low, high in pairwise(self._cuts.get(name, ())):
            if value <= high:
                return f"{low:.4g} to {high:.4g}"
        return value


def returns_by_context(episodes: Sequence[Episode]) -> list[dict[str, Any]]:
    """Give one row per setting: `context`, and the figures of `summary_of`."""
    axes = Axes(episode.context for episode in episodes)
    rows: dict[Key, list[Episode]] = {}
    for episode in episodes:
        rows.setdefault(axes.key(episode.context), []).append(episode)
    listed = [{"context": dict(key), **summary_of(held)} for key, held in rows.items()]
    return sorted(listed, key=lambda row: [order_of(v) for v in row["context"].values()])


def summary_of(episodes: Sequence[Episode]) -> dict[str, float | int | None]:
    """Give mean and standard error of returns, the mean length, and the share of successes.

    The standard error is None for fewer than two episodes, the share where nobody says.
    """
    totals = [episode.total for episode in episodes]
    told = [episode.success for episode in episodes if episode.success is not None]
    several = len(totals) > 1
    return {
        "episodes": len(episodes),
        "return_mean": fmean(totals) if totals else None,
        "return_sem": stdev(totals) / math.sqrt(len(totals)) if several else None,
        "length_mean": fmean(e.length for e in episodes) if episodes else None,
        "success_rate": fmean(told) if told else None,
    }


def _is_long(values: Sequence[Any]) -> bool:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return numbers and len(values) > MOST_VALUES


def _cuts(values: Sequence[float]) -> list[float]:
    """Give the borders of ranges that hold about equally many of the values."""
    ordered = sorted(values)
    places = [round(i * (len(ordered) - 1) / RANGES) for i in range(RANGES + 1)]
    return [ordered[place] for place in places]


def order_of(value: Any) -> tuple[int, Any]:
    """Sort numbers by size, ranges by where they begin, and names by letters."""
    if isinstance(value, str):
        head = value.partition(" to ")[0]
        try:
            return (0, float(head))
        except ValueError:
            return (1, value)
    return (0, -math.inf if value is None else float(value))
