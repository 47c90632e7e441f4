"""`time: true`: turns in a balanced order, figures with an interval, and words that say no more."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import rundrivers
import tinypipe
from smallruns import small_config, toy_registries

import genhub
from genhub.execution.progress import figures_table
from genhub.execution.speedup import UNTOLD, Speedup, in_words, speedup
from genhub.execution.timing import FEWEST_ROUNDS, MOST_ROUNDS, orders, rounds_for
from genhub.report.facts import cards

HEARD: list[str] = []


class Heard(rundrivers.Gain):
    """Says when it is attached and detached."""

    def prepare(self, ctx: Any) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def told() -> Any:
            HEARD.append(f"on {self.config.gain:g}")
            yield
            HEARD.append(f"off {self.config.gain:g}")

        return told()


@pytest.fixture(scope="module")
def made(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    registries = toy_registries()
    registries.get("attention_mixers").add("heard", Heard)
    config = small_config(model, tmp_path_factory.mktemp("timed")) | {
        "attention": [{"type": "heard", "gain": 1.0}],
        "sweep": {"sampling.steps": [1, 3], "attention.0.gain": [2.0]},
        "compare": ["baseline"],
        "time": True,
    }
    config["output"]["report"] = True
    HEARD.clear()
    return genhub.run(config, registries=registries)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 9])
def test_in_a_whole_pass_every_place_and_every_neighbour_comes_up_equally_often(count: int) -> None:
    names = [f"v{i}" for i in range(count)]
    whole = list(orders(names, count if count % 2 == 0 else 2 * count))
    places = Counter((place, name) for order in whole for place, name in enumerate(order))
    assert len(places) == count**2 and len(set(places.values())) == 1
    neighbours = Counter(pair for order in whole for pair in pairwise(order))
    assert len(neighbours) == count * (count - 1) and len(set(neighbours.values())) == 1


def test_rounds_are_bounded_and_whole_passes_where_that_fits() -> None:
    assert rounds_for([1, 1]) == MOST_ROUNDS
    assert rounds_for([20] * 3) == 12  # two passes of six
    assert rounds_for([1000] * 65) == FEWEST_ROUNDS
    for count in range(2, 66):
        for steps in (1, 20, 50, 1000):
            assert FEWEST_ROUNDS <= rounds_for([steps] * count) <= MOST_ROUNDS


def test_the_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    draw = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        drift = draw.lognormal(0, 0.3, 12)  # of the machine, shared by what has its turn then
        pair = [drift * draw.lognormal(np.log(mean), 0.03, 12) for mean in (0.30, 0.25)]
        found = speedup(*pair)
        hits += found.low <= 1.2 <= found.high
        assert found.low <= found.ratio <= found.high
    assert hits >= 180


def test_the_interval_of_known_samples_is_what_can_be_worked_out_by_hand() -> None:
    same = speedup([2.0] * 9, [1.0] * 9)
    assert (same.ratio, same.low, same.high) == (2.0, 2.0, 2.0)
    # Every resample of these has a median among the values, and equals its partner's half.
    spread = speedup([2.0, 4.0, 6.0, 8.0, 10.0], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert (spread.ratio, spread.low, spread.high) == (2.0, 2.0, 2.0)


def test_the_interval_depends_on_the_rounds_and_not_on_their_order_or_on_chance() -> None:
    draw = np.random.default_rng(1)
    one, other = draw.lognormal(0, 0.1, 11), draw.lognormal(0, 0.1, 11)
    shuffled = draw.permutation(11)
    state = np.random.get_state()[1].tolist()
    first = speedup(one.tolist(), other.tolist())
    assert speedup(one[shuffled].tolist(), other[shuffled].tolist()) == first
    assert np.random.get_state()[1].tolist() == state
    back = speedup(other.tolist(), one.tolist())
    assert back.ratio == pytest.approx(1 / first.ratio)
    assert speedup((7 * one).tolist(), (7 * other).tolist()).low == pytest.approx(first.low)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Speedup(1.24, 1.2, 1.29), "1.24 (1.2 to 1.29)"),
        (Speedup(0.8, 0.7, 0.9), "0.8 (0.7 to 0.9)"),
        (Speedup(1.4, 0.98, 1.6), f"{UNTOLD} (0.98 to 1.6)"),
        (Speedup(1.0, 1.0, 1.0), f"{UNTOLD} (1 to 1)"),
    ],
)
def test_a_speed_up_is_not_claimed_where_the_interval_holds_one(found: Speedup, words: str) -> None:
    assert in_words(found) == words


def test_the_manifest_tells_of_every_round(made: Any) -> None:
    manifest = json.loads((made.folder / "manifest.json").read_text())
    timing = manifest["timing"]
    assert made.timing == timing
    names = {"main", "baseline", "steps=1,gain=2.0", "steps=3,gain=2.0"}
    assert timing["reference"] == "baseline" and timing["rounds"] == 16
    assert set(timing["variants"]) == names
    assert all(sorted(order) == sorted(names) for order in timing["order"])
    assert Counter(order[0] for order in timing["order"]) == dict.fromkeys(names, 4)
    for name, found in timing["variants"].items():
        assert len(found["rounds_ms"]) == 16
        assert sorted(found["rounds_ms"])[0] <= found["ms_per_sample"] <= max(found["rounds_ms"])
        assert 0 < found["ms_per_step"] < found["ms_per_sample"]
        assert ("speedup" in found) == (name != "baseline")
    assert "timing" in manifest["phases"]


def test_variants_take_turns_with_their_drivers_attached(made: Any) -> None:
    order = [name for listed in made.timing["order"] for name in listed]
    expected = ["1" if n == "main" else "2" for n in order if n != "baseline"]
    turns = HEARD[-2 * len(expected) :]
    assert turns[::2] == [f"on {gain}" for gain in expected]
    assert turns[1::2] == [f"off {gain}" for gain in expected]  # never two at a time


def test_timing_adds_nothing_to_what_was_made(made: Any) -> None:
    assert len(made.artifacts) == len(list((made.folder / "artifacts").iterdir())) == 8
    manifest = json.loads((made.folder / "manifest.json").read_text())
    assert manifest["variants"]["main"]["steps"]["count"] == 4


def test_the_table_at_the_end_has_the_figures(made: Any) -> None:
    manifest = json.loads((made.folder / "manifest.json").read_text())
    lines = figures_table(manifest["variants"], made.metrics, manifest["timing"])
    assert lines[0].split() == ["baseline", "main", "steps=1,gain=2.0", "steps=3,gain=2.0"]
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "ms per step", "ms per sample", "times as fast as baseline",
    ]  # fmt: skip


def test_the_report_shows_times_that_were_taken_in_turns(made: Any) -> None:
    text = made.report.read_text(encoding="utf-8")
    assert "Time, taken in turns" in text and "times as fast as baseline" in text
    manifest = json.loads((made.folder / "manifest.json").read_text())
    shown = {label: value for label, value, unit in cards(manifest) if unit == "ms per step"}
    for name, found in made.timing["variants"].items():
        assert shown[name] == f"{found['ms_per_step']:.4g}"


def test_many_variants_have_a_row_each() -> None:
    metrics = {f"v{i}": {"psnr": float(i)} for i in range(7)}
    lines = figures_table({}, metrics)
    assert lines[0].split() == ["psnr"]
    assert [line.split() for line in lines[1:]] == [[f"v{i}", f"{i}"] for i in range(7)]


def test_variants_of_different_models_are_held_one_at_a_time(
    config: Any, model: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gc
    import weakref

    from genhub.execution import models

    alive: list[Any] = []
    load = models.load

    def watched(*args: Any) -> Any:
        gc.collect()
        assert not [ref for ref in alive if ref() is not None]
        loaded = load(*args)
        alive.append(weakref.ref(loaded.pipeline.unet))
        return loaded

    monkeypatch.setattr(models, "load", watched)
    other = tinypipe.save(tmp_path / "other")
    config |= {"sweep": {"model.source": [str(other)]}, "time": True}
    config["input"]["prompts"] = config["input"]["prompts"][:1]
    monkeypatch.setattr("genhub.execution.timing.FEWEST_ROUNDS", 2)
    monkeypatch.setattr("genhub.execution.timing.MOST_ROUNDS", 2)
    config["sampling"]["steps"] = 2
    result = genhub.run(config)
    (variant,) = result.timing["variants"].keys() - {"main"}
    assert result.timing["reference"] == "main"
    assert result.timing["order"] == [["main", variant], [variant, "main"]]
    assert len(alive) == 2 + 2 + 2 + 1  # made, warmed up, and two rounds that meet in one model


def test_a_pipeline_in_hand_can_be_timed(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genhub.execution.timing.MOST_ROUNDS", 8)
    del config["model"]
    config |= {"compare": ["baseline"], "time": True}
    result = genhub.run(config, pipeline=tinypipe.build())
    assert set(result.timing["variants"]) == {"main", "baseline"}


def test_ranks_take_their_turns_together(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genhub.execution.timing.MOST_ROUNDS", 8)
    config |= {"parallel": {"type": "cfg-parallel"}, "launch": {"simulate": True}}
    config |= {"compare": ["baseline"], "time": True}
    result = genhub.run(config)
    assert set(result.timing["variants"]) == {"main", "baseline"}
    assert all(len(v["rounds_ms"]) == 8 for v in result.timing["variants"].values())
