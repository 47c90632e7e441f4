"""Who gets which units: lists of modules, and what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from genhub.api import GenHubError
from genhub_asyncdiff.graph import Graph

__all__ = ["Split", "auto_split", "given_split", "owners", "shares"]


@dataclass(frozen=True)
class Split:
    """Units of each component, in order of execution; the last component has the output."""

    components: tuple[tuple[str, ...], ...]
    wrap: bool
    kind: Literal["auto", "published", "given"]


def owners(graph: Graph, split: Split) -> list[int]:
    """Give the component of each unit of a graph."""
    owner = {path: c for c, paths in enumerate(split.components) for path in paths}
    return [owner[unit.path] for unit in graph.units]


def shares(graph: Graph, split: Split, costs: Sequence[float] | None = None) -> tuple[float, ...]:
    """Give each component's share of the units' cost: multiply-adds, or `costs` per unit."""
    cost = [float(unit.flops) for unit in graph.units] if costs is None else list(costs)
    total = sum(cost) or 1.0
    of = owners(graph, split)
    return tuple(
        sum(c for c, o in zip(cost, of, strict=True) if o == component) / total
        for component in range(len(split.components))
    )


def given_split(graph: Graph, lists: Sequence[Sequence[str]]) -> Split:
    """Take a split from lists of module names; a container stands for the units inside it."""
    order = [unit.path for unit in graph.units]
    components = []
    for names in lists:
        inside = [
            path for path in order
            if any(path == name or path.startswith(f"{name}.") for name in names)
        ]  # fmt: skip
        components.append(tuple(inside))
    if sorted(path for paths in components for path in paths) != sorted(order):
        raise GenHubError("GH407", "split does not cover every unit once", hint="name each once")
    wrap = components[-1][0] == order[0] and len(components) > 1
    return Split(tuple(components), wrap, "given")


def auto_split(
    graph: Graph, n: int, *, wrap: bool | None = None, costs: Sequence[float] | None = None,
    slack: float = 0.01,
) -> Split:  # fmt: skip
    """Cut contiguous runs of about equal cost."""
    cost = [float(unit.flops) for unit in graph.units] if costs is None else list(costs)
    total, at, runs = sum(cost), 0.0, [[] for _ in range(n)]
    for unit, c in zip(graph.units, cost, strict=True):
        runs[min(n - 1, int(n * at / total))].append(unit.path)
        at += c
    return Split(tuple(map(tuple, runs)), False, "auto")
