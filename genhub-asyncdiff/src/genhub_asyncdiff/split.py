"""Who gets which units: lists of modules, and what each costs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import accumulate, pairwise
from math import inf
from typing import Literal

from genhub.api import GenHubError
from genhub_asyncdiff.graph import Graph, Leaf

__all__ = ["Split", "auto_split", "given_split", "owners", "shares"]

Kind = Literal["auto", "published", "given"]


@dataclass(frozen=True)
class Split:
    """Units of each component, in order of execution; the last component has the output."""

    components: tuple[tuple[str, ...], ...]
    wrap: bool
    kind: Kind


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


def given_split(graph: Graph, lists: Sequence[Sequence[str]], kind: Kind = "given") -> Split:
    """Take a split from lists of module names; a container stands for the units inside it.

    Raises GenHubError (GH407) for an empty list, for names that are no module or lie in each other,
    for units that are in no list or in two, and for a last list without the unit that gives the
    output.
    """
    order = [unit.path for unit in graph.units]
    empty = next((component for component, names in enumerate(lists) if not names), None)
    if empty is not None or not lists:
        raise _wrong(f"list {empty or 0} is empty")
    taken: dict[str, tuple[int, str]] = {}
    for component, names in enumerate(lists):
        for name in names:
            for path in _inside(name, order):
                if path in taken:
                    raise _wrong(_twice(path, *taken[path], component, name))
                taken[path] = component, name
    left = [path for path in order if path not in taken]
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise _wrong(f"no list has {', '.join(left[:3])}{more}")
    tail = len(lists) - 1
    last = graph.units[max(leaf.unit for leaf in graph.output)].path
    if taken[last][0] != tail:
        raise _wrong(f"'{last}' gives the output and is in list {taken[last][0]}, not in the last")
    components = tuple(
        tuple(path for path in order if taken[path][0] == component)
        for component in range(tail + 1)
    )
    return Split(components, tail > 0 and taken[order[0]][0] == tail, kind)


def auto_split(
    graph: Graph,
    n: int,
    *,
    wrap: bool | None = None,
    costs: Sequence[float] | None = None,
    slack: float = 0.005,
) -> Split:
    """Cut a denoiser into n components of about equal cost.

    Components are contiguous in order of execution; with `wrap` the last one owns the first units,
    too, so that skip connections of high resolution stay where they are (None: whichever is
    better). Found is the least cost of the dearest component and, among all cuts that exceed it by
    `slack` at most, the one that the fewest bytes pass. `costs` per unit replace multiply-adds.

    Raises GenHubError (GH407) where there are fewer units than components.
    """
    cost = [float(unit.flops) for unit in graph.units] if costs is None else [*map(float, costs)]
    if n > len(cost) - bool(wrap):
        raise _wrong(f"{n} components cannot be made of {len(cost)} units")
    chain = _Chain(graph, cost)
    heads = [0] if n == 1 or wrap is False else range(int(wrap is True), len(cost) - n + 1)
    dearest = {head: chain.least(n, head) for head in heads}
    limit = min(dearest.values()) * (1 + slack) + 1e-9 * chain.total
    cuts = (chain.lightest(n, head, limit) for head in heads if dearest[head] <= limit)
    _, head, bounds = min(cut for cut in cuts if cut is not None)
    order = [unit.path for unit in graph.units]
    runs = [order[a:b] for a, b in pairwise(bounds)]
    runs[-1] = order[:head] + runs[-1]
    return Split(tuple(tuple(run) for run in runs), head > 0, "auto")


class _Chain:
    """Units in a row: what runs of them cost, and how many bytes they read from elsewhere.

    Bytes add up per reading component, so they can be summed along a row of cuts. With a head, the
    last component owns the units before it, too.
    """

    def __init__(self, graph: Graph, cost: Sequence[float]) -> None:
        self.sums = [0.0, *accumulate(cost)]
        self.total = self.sums[-1]
        self.count = len(cost)
        self._reads = [{leaf: _bytes(graph, leaf) for leaf in u.reads} for u in graph.units]
        self._reads[-1] |= {leaf: _bytes(graph, leaf) for leaf in graph.output}

    def cost(self, start: int, end: int) -> float:
        """Give the cost of units [start, end)."""
        return self.sums[end] - self.sums[start]

    def least(self, n: int, head: int) -> float:
        """Give the least possible cost of the dearest component."""
        ends = range(head, self.count)
        costs = {self.cost(0, head) + self.cost(b, self.count) for b in ends} if n > 1 else set()
        costs |= {self.cost(a, b) for a in ends for b in range(a + 1, self.count + 1)}
        limits = sorted(cost for cost in costs if cost >= self.total / n * (1 - 1e-12))
        at = bisect_left(limits, True, key=lambda limit: self._fits(n, head, limit))
        return limits[at] if at < len(limits) else inf

    def _fits(self, n: int, head: int, limit: float) -> bool:
        """Say whether n runs, none of them empty, stay within a limit."""
        own, start = self.cost(0, head), self.count - 1
        while start > head + n - 1 and own + self.cost(start - 1, self.count) <= limit:
            start -= 1
        if own + self.cost(start, self.count) > limit:
            return False
        at = head
        for component in range(n - 1):
            after, most = at, start - (n - 2 - component)
            while after < most and self.cost(at, after + 1) <= limit:
                after += 1
            if after == at:
                return False
            at = after
        return at == start

    def lightest(
        self, n: int, head: int, limit: float
    ) -> tuple[tuple[int, float], int, tuple[int, ...]] | None:
        """Give ((bytes, dearest), head, bounds) of the lightest cut within a limit."""
        best: dict[int, tuple[tuple[int, float], tuple[int, ...]]] = {head: ((0, 0.0), (head,))}
        for left in reversed(range(n)):  # components still to come after this one
            found: dict[int, tuple[tuple[int, float], tuple[int, ...]]] = {}
            for start, ((sent, dearest), bounds) in best.items():
                own = 0 if left else head
                ends = range(start + 1, self.count - left + 1) if left else (self.count,)
                for end in ends:
                    cost = self.cost(0, own) + self.cost(start, end)
                    rest = self.cost(end, self.count) + self.cost(0, head - own)
                    if cost > limit:
                        break
                    if rest > left * limit:
                        continue
                    score = sent + self._read(start, end, own), max(dearest, cost)
                    if end not in found or score < found[end][0]:
                        found[end] = score, (*bounds, end)
            best = found
        made = best.get(self.count)
        return None if made is None else (made[0], head, made[1])

    @cache  # noqa: B019  (the object lives as long as one search)
    def _read(self, start: int, end: int, head: int) -> int:
        """Count the bytes that units [0, head) and [start, end) together read of others."""
        own = (*range(head), *range(start, end))
        inside = set(own)
        found = {
            leaf: size for i in own for leaf, size in self._reads[i].items()
            if leaf.unit not in inside
        }  # fmt: skip
        return sum(found.values())


def _bytes(graph: Graph, leaf: Leaf) -> int:
    unit = graph.units[leaf.unit]
    return unit.sizes[leaf.index] * unit.itemsizes[leaf.index]


def _inside(name: str, order: Sequence[str]) -> list[str]:
    """Give the units that a name stands for."""
    found = [path for path in order if path == name or path.startswith(f"{name}.")]
    if found:
        return found
    around = next((path for path in order if name.startswith(f"{path}.")), None)
    if around is not None:
        raise _wrong(
            f"'{name}' lies inside '{around}', which is computed as a whole", f"list '{around}'"
        )
    known = {".".join(path.split(".")[:i]) for path in order for i in range(1, 9)}
    near = get_close_matches(name, sorted(known), n=1)
    raise _wrong(
        f"'{name}' is no module that one component can compute alone",
        f"did you mean '{near[0]}'?" if near else f"names are like '{order[0]}'",
    )


def _twice(path: str, first: int, said: str, component: int, name: str) -> str:
    if (first, said) == (component, name):
        return f"'{path}' is in list {first} twice"
    return f"'{path}' is in list {first} as '{said}' and in list {component} as '{name}'"


def _wrong(why: str, hint: str = "") -> GenHubError:
    return GenHubError(
        "GH407",
        f"the denoiser cannot be split so: {why}",
        hint=hint
        or "every module that computes belongs to exactly one component, and what gives the "
        "output to the last; split: auto finds such lists",
    )
