"""Order points by several objectives at once: dominance, fronts, crowding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["crowding", "dominates", "fronts", "point_of"]

Point = Sequence[float]  # one value per objective, lower is better


def point_of(figures: Mapping[str, float], objectives: Iterable[Any]) -> tuple[float, ...]:
    """Give a trial's figures as a point: what is maximised changes its sign.

    `objectives` have `metric` and `goal`, as in `search.objective`. A figure that is not there
    (a trial that failed) is infinitely bad.
    """
    return tuple(
        math.inf if (value := figures.get(o.metric)) is None
        else -value if o.goal == "max" else value
        for o in objectives
    )  # fmt: skip


def dominates(a: Point, b: Point) -> bool:
    """Say whether `a` is nowhere worse than `b`, and somewhere better."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)


def fronts(points: Sequence[Point]) -> list[list[int]]:
    """Sort points into fronts: the first is dominated by none, the second by the first alone, ...

    Gives indices in the order of `points`; equal points stand in one front.

    >>> fronts([(0, 3), (1, 1), (2, 2), (1, 1)])
    [[0, 1, 3], [2]]
    """
    left = list(range(len(points)))
    found = []
    while left:
        front = [i for i in left if not any(dominates(points[j], points[i]) for j in left)]
        found.append(front)
        left = [i for i in left if i not in set(front)]
    return found


def crowding(points: Sequence[Point]) -> list[float]:
    """Give each point's crowding distance (NSGA-II, Deb et al. 2002): infinite at the ends.

    The distance is the sum over objectives of the gap between a point's two neighbours, relative
    to the spread of all points.
    """
    distance = [0.0] * len(points)
    for axis in range(len(points[0]) if points else 0):
        order = sorted(range(len(points)), key=lambda i: points[i][axis])
        low, high = points[order[0]][axis], points[order[-1]][axis]
        distance[order[0]] = distance[order[-1]] = math.inf
        if not 0 < high - low < math.inf:
            continue
        for before, i, after in zip(order, order[1:], order[2:], strict=False):
            distance[i] += (points[after][axis] - points[before][axis]) / (high - low)
    return distance
