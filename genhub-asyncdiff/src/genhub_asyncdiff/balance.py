"""Cuts of equal cost and little traffic, found exactly.

The last component has the units before the head (none in a straight split) and those from the last
end on; the others have the runs between. Every unit reads from units before it, so that what a run
reads from outside depends on nothing but its two ends.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from genhub_asyncdiff.graph import Graph

__all__ = ["lightest"]

_ROUNDING = 1 + 1e-9


def lightest(
    graph: Graph, n: int, heads: Sequence[int], costs: Sequence[float], slack: float
) -> tuple[int, ...]:
    """Give the cut into `n` components that has the fewest bytes among those of about least cost.

    Of about least cost is what costs at most 1 + `slack` times what the dearest component must.
    `heads` are the numbers of units that the last component may have ahead of the others; the
    first entry of the result is the one chosen, the others are the ends of the runs after it.
    """
    units = _Units.of(graph, costs)
    bound = (1 + slack) * units.least(n, heads)
    found = (units.lightest(n, head, bound) for head in heads)
    return min(cut for cut in found if cut is not None).ends


@dataclass(frozen=True, order=True)
class _Cut:
    bytes: int
    dearest: float
    ends: tuple[int, ...]


@dataclass(frozen=True)
class _Units:
    """Costs and traffic of runs of units.

    `upto[i]` is the cost of the units before i; `into[i][j]` are the bytes that units i..j-1 read
    from units before i, the denoiser's output being read by a unit past the last; `tail[j][i]` are
    those that units from j on read from units i..j-1.
    """

    upto: tuple[float, ...]
    into: tuple[tuple[int, ...], ...]
    tail: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, graph: Graph, costs: Sequence[float]) -> _Units:
        count = len(graph.units)
        readers: dict[tuple[int, int], list[int]] = {}  # by leaf, in order of execution
        for i, reads in enumerate((*(unit.reads for unit in graph.units), graph.output)):
            for leaf in reads:
                readers.setdefault((leaf.unit, leaf.index), []).append(i)
        into = [[0] * (count + 2) for _ in range(count + 1)]
        tail = [[0] * (count + 1) for _ in range(count + 1)]
        for (made, index), read in readers.items():
            unit = graph.units[made]
            size = unit.sizes[index] * unit.itemsizes[index]
            for i in range(made + 1, read[-1] + 1):
                into[i][read[bisect_left(read, i)] + 1] += size
                tail[i][made] += size
        return cls(
            tuple(accumulate(costs, initial=0)),
            tuple(tuple(accumulate(row)) for row in into),
            tuple(tuple(accumulate(reversed(row)))[::-1] for row in tail),
        )

    def least(self, n: int, heads: Sequence[int]) -> float:
        """Give the least cost that the dearest of `n` components can have."""
        upto, total = self.upto, self.upto[-1]
        count = len(upto) - 1
        runs = {upto[j] - upto[i] for i in range(count) for j in range(i + 1, count + 1)}
        tails = {upto[a] + total - upto[z] for a in heads for z in range(a, count)}
        candidates = sorted(runs | tails)
        at = bisect_left(
            candidates, True, key=lambda bound: any(self._fits(n, a, bound) for a in heads)
        )
        return candidates[at]

    def _fits(self, n: int, head: int, bound: float) -> bool:
        """Tell whether runs filled as far as they go leave no more than `bound` to the tail."""
        upto, at = self.upto, head
        for left in range(n - 1, 0, -1):
            far = self._reach(at, bound)
            if far == at:
                return False
            at = min(far, len(upto) - 1 - left)
        return upto[head] + upto[-1] - upto[at] <= bound

    def _reach(self, at: int, bound: float) -> int:
        """Give the last end that a run from `at` can have."""
        return bisect_right(self.upto, bound, at, key=lambda cost: cost - self.upto[at]) - 1

    def lightest(self, n: int, head: int, bound: float) -> _Cut | None:
        """Give the cut of fewest bytes whose components cost at most `bound` each."""
        upto = self.upto
        states = {head: _Cut(0, 0, (head,))}
        for left in range(n - 1, 0, -1):
            after: dict[int, _Cut] = {}
            for at, cut in states.items():
                for end in self._ends(at, left, head, bound):
                    dearest = max(cut.dearest, upto[end] - upto[at])
                    traffic = cut.bytes + self.into[at][end]
                    new = _Cut(traffic, dearest, (*cut.ends, end))
                    if end not in after or new < after[end]:
                        after[end] = new
            states = after
        whole = []
        for end, cut in states.items():
            own = upto[head] + upto[-1] - upto[end]
            if own <= bound:
                traffic = cut.bytes + self.tail[end][head]
                whole.append(_Cut(traffic, max(cut.dearest, own), cut.ends))
        return min(whole, default=None)

    def _ends(self, at: int, left: int, head: int, bound: float) -> Iterator[int]:
        """Give the ends of a run from `at` that leave no more than the others can take."""
        upto = self.upto
        for end in range(min(self._reach(at, bound), len(upto) - 1 - left), at, -1):
            if upto[-1] - upto[end] + upto[head] > left * bound * _ROUNDING:
                return
            yield end
