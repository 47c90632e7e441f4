from __future__ import annotations

import pytest
from rolling import Roll

from genhub.rollout.episodes import Episode
from genhub.rollout.tables import Axes, returns_by_context


def test_the_page_shows_returns_films_and_contexts(roll: Roll) -> None:
    result = roll(
        {"policy": "script", "script": ["go"], "films": 2},
        {"sizes": [2, 3]},
        output={"report": True},
    )
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "4 environments took 20 steps each with the policy script. 32 episodes ended" in page
    row = [">2<", ">16<", ">2<", ">0<", ">2.0<", ">100.0 %<"]
    places = [page.index(cell, page.index("mean return")) for cell in row]
    assert places[0] < places[1] and places[-1] > places[0]
    for part in ("Returns by context", "Returns over time", "Contexts", "Video", "size 3"):
        assert part in page
    assert "rooms to go through" in page  # among the plugins


def test_a_rollout_without_an_ended_episode_says_so(roll: Roll) -> None:
    result = roll({"policy": "script", "script": ["wait"]}, output={"report": True})
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "0 episodes ended; 4 were under way at the end and are not counted" in page
    assert result.metrics == {} or "return_mean" not in result.metrics["main"]


def episode(context: dict[str, object], total: float = 1.0) -> Episode:
    return Episode(0, 1, total, 1, "terminated", None, context)


def test_a_parameter_with_many_values_is_cut_into_ranges() -> None:
    listed = [episode({"speed": i / 10, "kind": "a"}, total=i) for i in range(40)]
    rows = returns_by_context(listed)
    assert [row["context"]["speed"] for row in rows] == [
        "0 to 1", "1 to 2", "2 to 2.9", "2.9 to 3.9"
    ]  # fmt: skip
    assert sum(row["episodes"] for row in rows) == 40
    assert [row["return_mean"] for row in rows] == sorted(row["return_mean"] for row in rows)


def test_what_differs_only_between_games_is_told_by_the_game() -> None:
    contexts = [{"game": "a", "x": 1, "y": 5}, {"game": "b", "x": 2, "y": 5}]
    contexts += [{"game": "b", "x": 2, "y": 6, "z": None}]
    axes = Axes(contexts)
    assert [dict(axes.key(context)) for context in contexts] == [
        {"game": "a", "y": 5}, {"game": "b", "y": 5}, {"game": "b", "y": 6}
    ]  # fmt: skip


def test_means_and_standard_errors_are_those_of_the_returns() -> None:
    [row] = returns_by_context([episode({}, total) for total in (1.0, 2.0, 6.0)])
    assert row["return_mean"] == 3 and row["return_sem"] == pytest.approx((7 / 3) ** 0.5)
    [alone] = returns_by_context([episode({})])
    assert alone["return_sem"] is None and alone["success_rate"] is None
