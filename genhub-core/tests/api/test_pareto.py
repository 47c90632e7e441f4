"""Orders of points by several objectives, held against their definitions."""

from __future__ import annotations

import math
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from genhub.api import crowding, dominates, fronts, point_of

POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=14)
checked = settings(max_examples=100, deadline=None, derandomize=True)


def test_dominance_asks_for_no_worse_and_once_better() -> None:
    assert dominates((1, 2), (1, 3))
    assert not dominates((1, 2), (1, 2))
    assert not dominates((1, 4), (2, 3))


@checked
@given(POINTS)
def test_fronts_hold_every_point_once_and_each_is_dominated_by_the_front_before(
    points: list[tuple[int, int]],
) -> None:
    found = fronts(points)
    assert sorted(i for front in found for i in front) == list(range(len(points)))
    for number, front in enumerate(found):
        assert not any(dominates(points[i], points[j]) for i in front for j in front)
        for j in front if number else []:
            assert any(dominates(points[i], points[j]) for i in found[number - 1])


def test_equal_points_share_a_front() -> None:
    assert fronts([(1, 1), (0, 2), (1, 1), (1, 2)]) == [[0, 1, 2], [3]]


def test_crowding_is_the_gap_between_neighbours_relative_to_the_spread() -> None:
    assert crowding([(0, 4), (4, 0), (1, 3), (2, 2)]) == [math.inf, math.inf, 1.0, 1.5]
    assert crowding([(math.inf,), (1.0,)]) == [math.inf, math.inf]
    assert crowding([]) == []


def test_what_is_maximised_changes_its_sign_and_what_is_missing_is_worst() -> None:
    objectives = [SimpleNamespace(metric=m, goal=g) for m, g in (("acc", "max"), ("cost", "min"))]
    assert point_of({"acc": 0.5, "cost": 3, "more": 1}, objectives) == (-0.5, 3)
    assert point_of({}, objectives) == (math.inf, math.inf)
