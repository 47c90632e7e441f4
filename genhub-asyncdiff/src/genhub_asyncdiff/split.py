"""Who gets which units: splits that are found, and splits that the user lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import Literal

from genhub.api import GenHubError
from genhub_asyncdiff.balance import lightest
from genhub_asyncdiff.graph import Graph

__all__ = ["Split", "auto_split", "given_split", "owners", "shares"]


@dataclass(frozen=True)
class Split:
    """Units of each component, in order of execution; the last component has the output.

    With `wrap` the last component has the first units, too.
    """

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


def auto_split(
    graph: Graph,
    n: int,
    *,
    wrap: bool | None = None,
    costs: Sequence[float] | None = None,
    slack: float = 0.01,
) -> Split:
    """Cut a denoiser into `n` runs of units of about equal cost with little between them.

    Of all cuts whose dearest component costs at most 1 + `slack` times the least that is possible,
    take one with the fewest bytes per call. `costs` are by unit, multiply-adds if left out. With
    `wrap` the last component has the first units, too; None leaves that open.

    Raises GenHubError (GH407) where the denoiser has too few units.
    """
    order = tuple(unit.path for unit in graph.units)
    wraps = wrap is not False and n > 1
    heads = range(int(wraps and wrap is True), len(order) - n + 1 if wraps else 1)
    if n > len(order) or not heads:
        raise GenHubError(
            "GH407",
            f"the denoiser has {len(order)} units, too few for {n} components"
            f"{' that wrap' if wrap else ''}",
            hint="take fewer components",
        )
    cost = [float(unit.flops) for unit in graph.units] if costs is None else costs
    head, *ends = lightest(graph, n, heads, cost, slack)
    runs = [order[i:j] for i, j in pairwise((head, *ends))]
    return Split((*runs, order[:head] + order[(head, *ends)[-1] :]), head > 0, "auto")


def given_split(
    graph: Graph,
    lists: Sequence[Sequence[str]],
    kind: Literal["published", "given"] = "given",
) -> Split:
    """Take a split from lists of module names; a container stands for the units inside it.

    Raises GenHubError (GH407) where a name is unknown, a unit is in two lists or in none, a list
    is empty, or the last one lacks the unit that makes the output.
    """
    order = [unit.path for unit in graph.units]
    listed: dict[str, str] = {}  # unit: the name that it was listed by
    components = []
    for number, names in enumerate(lists):
        if not names:
            raise _bad(f"list {number + 1} of {len(lists)} is empty", _one_each(len(lists), order))
        inside = {unit: name for name in names for unit in _units_of(name, order, listed)}
        components.append(tuple(unit for unit in order if unit in inside))
    missing = [unit for unit in order if unit not in listed]
    if missing:
        raise _bad(f"no list has {_some(missing)}", "add each to one list")
    last = graph.units[max(leaf.unit for leaf in graph.output)].path
    if last not in components[-1]:
        raise _bad(
            f"'{last}' makes the output and is not in the last list",
            "move it there, or write the lists in another order",
        )
    wrap = len(components) > 1 and components[-1][0] == order[0]
    return Split(tuple(components), wrap, kind)


def _units_of(name: str, order: Sequence[str], listed: dict[str, str]) -> Iterator[str]:
    """Give the units that a name stands for, and note that they are taken."""
    units = [unit for unit in order if unit == name or unit.startswith(f"{name}.")]
    if not units:
        raise _unknown(name, order)
    for unit in units:
        if unit in listed:
            also = "twice" if listed[unit] == name else f"by '{listed[unit]}' and by '{name}'"
            raise _bad(f"'{unit}' is listed {also}", "list every module once, in one component")
        listed[unit] = name
        yield unit


def _unknown(name: str, order: Sequence[str]) -> GenHubError:
    around = next((unit for unit in order if name.startswith(f"{unit}.")), None)
    if around is not None:
        return _bad(
            f"'{name}' lies inside '{around}', which one rank computes as a whole",
            f"write {around} instead",
        )
    near = get_close_matches(name, list(dict.fromkeys(_with_containers(order))), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"names are like '{order[0]}'"
    return _bad(f"'{name}' is no module that can be computed elsewhere", hint)


def _with_containers(order: Sequence[str]) -> Iterator[str]:
    for unit in order:
        words = unit.split(".")
        yield from (".".join(words[:i]) for i in range(len(words), 0, -1))


def _some(units: Sequence[str]) -> str:
    shown = ", ".join(units[:5])
    return shown if len(units) <= 5 else f"{shown} and {len(units) - 5} more"


def _one_each(count: int, order: Sequence[str]) -> str:
    return f"give every component at least one of the {len(order)} units"


def _bad(what: str, hint: str) -> GenHubError:
    return GenHubError("GH407", f"parallel.split: {what}", hint=hint)
