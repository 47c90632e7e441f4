"""The loop of a search: its record, its ends, its results. No model is loaded here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import toyspaces

import genhub
from genhub import GenHubError
from genhub.api import dominates
from genhub.config import load

EVOLUTION = {"type": "evolution", "trials": 12, "population": 4, "tournament": 2}
STRATEGIES = [{"type": "random", "trials": 12}, EVOLUTION]


def lines(folder: Path) -> list[dict[str, Any]]:
    """Give what trials.jsonl says, less the seconds."""
    listed = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    assert all(line.pop("seconds") >= 0 for line in listed)
    return listed


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def test_a_search_leaves_its_trials_their_front_and_the_best(config: Any, registries: Any) -> None:
    result = genhub.run(config, registries=registries)

    trials = lines(result.folder)
    assert [t["index"] for t in trials] == list(range(12))
    assert len({t["fingerprint"] for t in trials}) == 12
    assert set(trials[0]["metrics"]) == {"score", "params", "macs", "flops", "activation_bytes"}
    assert set(trials[0]["genotype"]["roles"]["r"]) == {f"d{i}" for i in range(6)}
    found = manifest(result.folder)["search"]
    points = [(-t["metrics"]["score"], t["metrics"]["macs"]) for t in trials]
    front = {i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)}
    assert set(found["front"]) == front and len(front) > 1
    assert found["best"] in front
    assert found["points"] == {"raw": 4096, "valid": 4096, "distinct": 4096}
    best = trials[found["best"]]["metrics"]
    assert result.metrics["main"] == {"score": best["score"], "macs": best["macs"]}


def test_weights_choose_the_best_on_the_front(config: Any, registries: Any) -> None:
    ends = {}
    for name, weights in {"score": (1.0, 0.0), "macs": (0.0, 1.0)}.items():
        for objective, weight in zip(config["search"]["objective"], weights, strict=True):
            objective["weight"] = weight
        result = genhub.run(config, registries=registries)
        ends[name] = result.metrics["main"]
        trials = [t["metrics"] for t in lines(result.folder)]
    assert ends["score"]["score"] == max(t["score"] for t in trials)
    assert ends["macs"]["macs"] == min(t["macs"] for t in trials)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s["type"])
@pytest.mark.parametrize("falls_at", [1, 4, 11])
def test_a_search_cut_short_goes_on_to_the_same_trials(
    config: Any, registries: Any, strategy: dict[str, Any], falls_at: int
) -> None:
    config["search"]["strategy"] = strategy
    toyspaces.Scored.fails = frozenset({2})  # failures are part of the record
    whole = genhub.run(config, registries=registries).folder
    toyspaces.Scored.calls.clear()
    toyspaces.Scored.falls_at = falls_at
    with pytest.raises(GenHubError) as caught:
        genhub.run(config, registries=registries)
    assert caught.value.code == "GH603"
    folder = (whole.parent / "latest").resolve()
    assert folder != whole
    with (folder / "trials.jsonl").open("a") as file:
        file.write('{"index": 99, "state": "do')  # what a kill in the middle of a write leaves

    result = genhub.run(folder, registries=registries)

    assert result.folder == folder
    assert lines(folder) == lines(whole)
    assert len(toyspaces.Scored.calls) == 12 + 1  # the one that fell is the only one repeated
    kept = [manifest(f)["search"] for f in (folder, whole)]
    assert [(k["front"], k["best"]) for k in kept] == [(kept[0]["front"], kept[0]["best"])] * 2
    again = genhub.run(folder, output=whole.parent, registries=registries)
    assert again.folder != folder  # a search that is done begins anew
    assert lines(again.folder) == lines(whole)


def test_genotypes_met_before_are_not_evaluated_again(config: Any, registries: Any) -> None:
    class Narrow(toyspaces.Scored):
        name = "narrow"

        def describe(self) -> Any:
            whole = super().describe().decisions
            return toyspaces.SpaceDescription(
                tuple(d.model_copy(update={"choices": ("a", "b")}) for d in whole[:3])
            )

    registries.get("search_spaces").add("narrow", Narrow)
    config["search"] |= {"type": "narrow", "strategy": {**EVOLUTION, "trials": 8}}
    folder = genhub.run(config, registries=registries).folder
    assert len(toyspaces.Scored.calls) == len(set(toyspaces.Scored.calls)) == len(lines(folder))
    assert len(lines(folder)) == 8  # the whole space, though children repeat one another

    toyspaces.Scored.calls.clear()
    config["search"]["strategy"] = {"type": "random", "trials": 100}
    assert len(lines(genhub.run(config, registries=registries).folder)) == 8


def test_a_failed_trial_is_a_sentence_in_the_record_and_the_search_goes_on(
    config: Any, registries: Any
) -> None:
    toyspaces.Scored.fails = frozenset({1, 3})
    config["search"]["strategy"]["trials"] = 6
    result = genhub.run(config, registries=registries)
    trials = lines(result.folder)
    failed = [t for t in trials if t["state"] == "failed"]
    assert 0 < len(failed) < len(trials) == 6
    assert all(t["metrics"] == {} and "is no good" in t["error"] for t in failed)
    assert all(t["error"] == "" for t in trials if t["state"] == "done")
    assert not set(manifest(result.folder)["search"]["front"]) & {t["index"] for t in failed}
    assert any("trial" in p and "is no good" in p for p in result.problems)
    assert "ValueError" in (result.folder / "log.txt").read_text()


def test_many_failures_in_a_row_end_the_search_which_can_go_on(
    config: Any, registries: Any
) -> None:
    toyspaces.Scored.fails = frozenset(range(4))
    with pytest.raises(GenHubError, match="5 trials in a row failed") as caught:
        genhub.run(config, registries=registries)
    assert caught.value.code == "GH611"
    folder = (Path(config["output"]["dir"]) / "latest").resolve()
    assert len(lines(folder)) == 5

    toyspaces.Scored.fails = frozenset()  # the cause is mended
    result = genhub.run(folder, registries=registries)
    assert result.folder == folder
    assert [t["state"] for t in lines(folder)] == ["failed"] * 5 + ["done"] * 7


def test_a_figure_that_is_missing_or_no_number_fails_the_trial(
    config: Any, registries: Any
) -> None:
    config["search"]["objective"] = [{"metric": "wobble", "goal": "max"}]
    with pytest.raises(GenHubError, match="its 'wobble' is nan"):
        genhub.run(config, registries=registries)


def test_no_trial_begins_after_the_time_is_spent(config: Any, registries: Any) -> None:
    config["search"]["budget_s"] = 1e-9
    result = genhub.run(config, registries=registries)
    assert toyspaces.Scored.calls == []
    assert any("found nothing" in problem for problem in result.problems)
    assert manifest(result.folder)["search"]["best"] is None


def test_a_record_of_another_space_is_refused(config: Any, registries: Any) -> None:
    toyspaces.Scored.falls_at = 3
    with pytest.raises(GenHubError):
        genhub.run(config, registries=registries)
    folder = (Path(config["output"]["dir"]) / "latest").resolve()
    path = folder / "trials.jsonl"
    path.write_text(path.read_text().replace('"space": "scored"', '"space": "other"'))
    with pytest.raises(GenHubError, match=r"line 1 of .*belongs to the space 'other'") as caught:
        genhub.run(folder, registries=registries)
    assert caught.value.code == "GH608"


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ({"objective": [{"metric": "scroe", "goal": "max"}]}, "GH201", "nothing measures 'scroe'"),
        ({"strategy": {"type": "greedy"}}, "GH413", "needs a space that is differentiable"),
        ({"strategy": {"type": "evolution", "tournament": 99}}, "GH305", "larger than the pop"),
        ({"strategy": {"type": "evolutoin"}}, "GH201", "evolutoin"),
        ({"type": "mixer-placement"}, "GH304", "needs the key 'choices'"),
        ({"type": "mixer-placement", "choices": ["none"]}, "GH302", "at least 2"),
        ({"type": "mixer-placement", "choices": ["none", "gian"]}, "GH201", "gian"),
        ({"type": "mixer-placement", "choices": ["half", "half"]}, "GH305", "stands there twice"),
        (
            {"type": "mixer-placement", "choices": ["none", {"type": "half", "gain": 2}]},
            "GH302",
            "search.choices.1.gain is 2",
        ),
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_runs(
    config: Any, registries: Any, change: dict[str, Any], code: str, told: str
) -> None:
    config["search"] |= change
    if change.get("type") == "mixer-placement":
        config["search"]["objective"] = [{"metric": "flops", "goal": "min"}]
    with pytest.raises(GenHubError, match=told) as caught:
        load(config, registries=registries)
    assert caught.value.code == code
    assert len(caught.value.problems) == 1


def test_an_unknown_objective_is_answered_with_all_that_there_is(
    config: Any, registries: Any
) -> None:
    config["search"]["objective"][0]["metric"] = "latency_ms"
    with pytest.raises(GenHubError) as caught:
        load(config, registries=registries)
    for name in ("caption-accuracy", "psnr", "params", "macs", "flops", "score"):
        assert name in caught.value.problems[0].hint


def test_evolution_climbs_where_random_draws_do_not(config: Any, registries: Any) -> None:
    best: dict[str, list[float]] = {"random": [], "evolution": []}
    config["search"]["objective"] = [{"metric": "score", "goal": "max"}]
    for seed in range(3):
        for strategy in ({"type": "random"}, {"type": "evolution", "tournament": 4}):
            config["search"]["strategy"] = {**strategy, "trials": 80}
            found = genhub.run(config, set={"seed": seed}, registries=registries)
            best[strategy["type"]].append(found.metrics["main"]["score"])
    assert min(best["evolution"]) > max(best["random"])


def test_a_search_of_several_ranks_is_a_wrong_config(config: Any, registries: Any) -> None:
    with pytest.raises(GenHubError, match="'search' needs 1 process, 2 available") as caught:
        load({**config, "parallel": {"type": "cfg-parallel"}}, registries=registries)
    (problem,) = caught.value.problems
    assert (problem.code, problem.hint) == ("GH406", "leave out 'parallel:'")
