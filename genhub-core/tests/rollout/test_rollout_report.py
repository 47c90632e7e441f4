from __future__ import annotations

import json
from pathlib import Path

import pytest
from rolling import Roll

from genhub.rollout.episodes import Episode
from genhub.rollout.report import _series
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
    for part in ("Returns by context", "Mean return so far", "Contexts", "Video", "size 3"):
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


def test_curves_run_from_the_first_mean_to_the_mean_of_all(tmp_path: Path) -> None:
    lines = [
        {**episode({"size": 1 + i % 2}, total=float(i)).to_json(), "step": i} for i in range(1000)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "episodes.jsonl").write_text(text + '{"return": 1, "en', encoding="utf-8")
    curves = _series(tmp_path)
    assert list(curves) == ["size 1", "size 2"]
    assert curves["size 1"][-1] == (998, 499) and curves["size 2"][-1] == (999, 500)
    assert all(100 < len(curve) <= 200 for curve in curves.values())


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
