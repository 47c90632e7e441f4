"""Episodes as they end, and what they amount to by context."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Episode", "table_by_context", "varied"]

MOST_ROWS = 60


@dataclass(frozen=True)
class Episode:
    """One episode of one environment; `context` is what was in force, where there is such."""

    env: int
    index: int  # of this environment
    episode_return: float
    length: int
    terminated: bool  # False: cut off by a limit of steps
    completed: bool | None = None  # whether its level was won, where the environment tells
    level: int | None = None  # seed of its level, where the environment tells
    context: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Give a line of JSON."""
        return json.dumps({k: v for k, v in asdict(self).items() if v is not None})


def varied(contexts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the parameters that have more than one value."""
    seen: dict[str, set[Any]] = {}
    for context in contexts:
        for name, value in context.items():
            seen.setdefault(name, set()).add(value)
    return [name for name, values in seen.items() if len(values) > 1]


def table_by_context(
    episodes: Sequence[Mapping[str, Any]],
) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Give header and rows: a row per context, and one of all episodes.

    The mean return stands with its standard error; more contexts than the page can show are left
    to the row of all.
    """
    names = varied(e.get("context", {}) for e in episodes)
    tells = any("completed" in e for e in episodes)
    header = [*names, "episodes", "return", "length", *(["completed"] if tells else [])]
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for episode in episodes:
        key = tuple(episode.get("context", {}).get(name, "") for name in names)
        groups.setdefault(key, []).append(episode)
    rows = []
    if names and len(groups) <= MOST_ROWS:
        for key in sorted(groups, key=_order):
            rows.append([*map(_shown, key), *_figures(groups[key], tells)])
    rows.append([*(["all"] + [""] * (len(names) - 1) if names else []), *_figures(episodes, tells)])
    return header, rows


def _order(key: tuple[Any, ...]) -> list[tuple[int, Any]]:
    return [(0, v) if isinstance(v, int | float) else (1, str(v)) for v in key]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _figures(episodes: Sequence[Mapping[str, Any]], tells: bool) -> list[str]:
    if not episodes:
        return ["0", "", "", *([""] if tells else [])]
    returns = [e["episode_return"] for e in episodes]
    mean = sum(returns) / len(returns)
    shown = f"{mean:.2f}"
    if len(returns) > 1:
        spread = math.sqrt(sum((r - mean) ** 2 for r in returns) / (len(returns) - 1))
        shown += f" ± {spread / math.sqrt(len(returns)):.2f}"
    length = sum(e["length"] for e in episodes) / len(episodes)
    won = sum(bool(e.get("completed")) for e in episodes) / len(episodes)
    return [str(len(episodes)), shown, f"{length:.1f}", *([f"{won:.0%}"] if tells else [])]
