"""The examples, shrunk: what they promise holds on the shipped models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import genhub
from genhub.cli import main

EXAMPLES = Path(str(files("genhub"))) / "examples"
MANIFEST = Path(__file__).resolve().parent.parent / "docs" / "manifest.schema.json"


@pytest.fixture(autouse=True)
def keep_manifests_to_their_schema(tmp_path: Path) -> Iterator[None]:
    """Hold what every run of a test left against the documented format, key by key."""
    yield
    schema = Draft202012Validator(json.loads(MANIFEST.read_text(encoding="utf-8")))
    for path in tmp_path.glob("*/manifest.json"):
        problems = schema.iter_errors(json.loads(path.read_text(encoding="utf-8")))
        assert [(list(p.path), p.message) for p in problems] == []


def test_quickstart_draws_what_its_captions_say(tmp_path: Path) -> None:
    result = genhub.run(
        EXAMPLES / "quickstart.yaml", set={"output.dir": str(tmp_path), "sampling.samples": 1}
    )
    assert len(result.artifacts) == 6
    assert result.report is not None and result.report.exists()
    assert result.metrics["main"]["caption-accuracy/joint"] >= 4 / 6


def test_the_linear_model_draws_nearly_as_well_as_its_baseline(tmp_path: Path) -> None:
    prompts = (EXAMPLES / "captions-200.txt").read_text().splitlines()[:24]
    result = genhub.run(
        EXAMPLES / "linear.yaml",
        set={"output.dir": str(tmp_path), "input.prompts": prompts, "sampling.batch": 12},
    )
    joint = {name: figures["caption-accuracy/joint"] for name, figures in result.metrics.items()}
    assert joint["main"] >= joint["baseline"] - 0.09  # 24 captions: two of them
    assert joint["main"] >= 0.82


def test_a_sweep_is_judged_and_timed_beside_its_baseline(tmp_path: Path) -> None:
    result = genhub.run(
        EXAMPLES / "compare.yaml",
        set={
            "output.dir": str(tmp_path),
            "input.prompts": ["a large red star in the center on white"],
            "sampling.steps": 4,
            "sampling.batch": 1,
            "sweep": {"sampling.steps": [2]},
        },
    )
    assert result.report is not None and "taken in turns" in result.report.read_text()
    assert set(result.timing["variants"]) == {"main", "baseline", "steps=2"}
    assert {"psnr", "ssim"} < set(result.metrics["steps=2"])
    assert result.timing["variants"]["steps=2"]["speedup"]["low"] > 0


def test_the_distillation_recipe_trains_and_its_weights_load(tmp_path: Path) -> None:
    small = {"task.steps": 3, "task.batch": 2, "task.log_every": 1, "output.dir": str(tmp_path)}
    trained = genhub.run(EXAMPLES / "distill.yaml", set=small)
    checkpoint = trained.folder / "linfusion"
    result = genhub.run(
        EXAMPLES / "linear.yaml",
        set={
            "output.dir": str(tmp_path),
            "attention.0.checkpoint": str(checkpoint),
            "input.prompts": ["a large red star in the center on white"],
            "sampling.steps": 2,
            "compare": [],
            "metrics": ["caption-accuracy"],
        },
    )
    assert len(result.artifacts) == 1


def test_a_search_leaves_a_front_and_a_config_of_its_best(tmp_path: Path) -> None:
    prompts = (EXAMPLES / "search-prompts.txt").read_text().splitlines()[:2]
    small = {
        "output.dir": str(tmp_path),
        "input.prompts": prompts,
        "sampling.steps": 2,
        "search.strategy": {"type": "evolution", "trials": 5, "population": 3},
    }
    result = genhub.run(EXAMPLES / "search.yaml", set=small)
    search = json.loads((result.folder / "manifest.json").read_text())["search"]
    assert len(search["trials"]) == 5 and search["best"] in search["front"]
    assert search["points"]["raw"] == 2**7
    assert len(list((result.folder / "trials").iterdir())) == len(search["front"])
    best = genhub.run(result.folder / "best.yaml", set={"output.dir": str(tmp_path)})
    figures = search["trials"][search["best"]]["figures"]
    assert best.metrics["main"]["psnr"] == pytest.approx(figures["psnr"])
    page = (result.folder / "report.html").read_text()
    assert "Search" in page and f"{search['best']} *" in page


def test_guidance_on_two_ranks_makes_the_pictures_of_one(tmp_path: Path) -> None:
    result = genhub.run(
        EXAMPLES / "parallel.yaml",
        set={
            "output.dir": str(tmp_path),
            "launch": {"simulate": True},
            "sampling.steps": 4,
            "metrics": ["psnr"],
        },
    )
    assert len(result.artifacts) == 4
    # Sums of another order differ in the last digits, which rounding to 8 bits may show: one level
    # in one value of a hundred is 68 dB.
    assert result.metrics["main"]["psnr"] > 68


@pytest.mark.parametrize("simulate", [False, True], ids=["processes", "threads"])
def test_two_pieces_of_a_linear_denoiser_draw_what_captions_say(
    tmp_path: Path, simulate: bool
) -> None:
    result = genhub.run(
        EXAMPLES / "async.yaml",
        set={
            "output.dir": str(tmp_path),
            "launch": {"simulate": simulate},
            "input.prompts": ["a large red star in the center on white"],
        },
    )
    assert len(result.artifacts) == 2
    assert result.metrics["main"]["caption-accuracy/joint"] == 1
    assert result.metrics["main"]["psnr"] > 25


def test_three_simulated_devices_draw_two_steps_at_once(tmp_path: Path) -> None:
    result = genhub.run(
        EXAMPLES / "async-simulated.yaml",
        set={
            "output.dir": str(tmp_path),
            "input.prompts": ["a large red star in the center on white"],
        },
    )
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert "B4(A3)     -       B6(A4)" in json.dumps(manifest)  # of the third rank
    assert result.metrics["main"]["caption-accuracy/joint"] == 1
    assert result.metrics["main"]["psnr"] > 25


def test_long_sound_is_judged_beside_full_attention(tmp_path: Path) -> None:
    result = genhub.run(
        EXAMPLES / "long-audio.yaml",
        set={"output.dir": str(tmp_path), "sampling.seconds": 6.4, "sampling.steps": 4},
    )
    assert [a.kind for a in result.artifacts] == ["audio"] * 2
    assert set(result.metrics) == {"main", "baseline"}
    assert all("tone-accuracy/joint" in figures for figures in result.metrics.values())
    page = (result.folder / "report.html").read_text()
    assert "litefocus" in page and "<audio" in page


@pytest.mark.parametrize("simulate", [False, True], ids=["processes", "threads"])
def test_long_sound_is_made_by_two_pieces_of_a_sparse_denoiser(
    tmp_path: Path, simulate: bool
) -> None:
    result = genhub.run(
        EXAMPLES / "long-audio-async.yaml",
        set={
            "output.dir": str(tmp_path),
            "launch": {"processes": 2, "simulate": simulate},
            "sampling.seconds": 6.4,
            "sampling.steps": 8,
        },
    )
    assert len(result.artifacts) == 2
    # Three windows of two seconds: what they sound like is heard in most of them.
    assert result.metrics["main"]["tone-accuracy/pitch"] > 0.5
    manifest = json.loads((result.folder / "manifest.json").read_text())
    held = manifest["variants"]["main"]
    assert (
        held["sites"] == {"litefocus": 5} and held["kernels"]["focus_attention"]["impl"] == "rows"
    )


def test_a_grid_of_contexts_shows_which_levels_are_hard(tmp_path: Path) -> None:
    small = {"output.dir": str(tmp_path), "task.steps": 400, "task.film_steps": 20}
    result = genhub.run(EXAMPLES / "procgen-contexts.yaml", set=small)
    config = yaml.safe_load((EXAMPLES / "procgen-contexts.yaml").read_text(encoding="utf-8"))
    rows = json.loads((result.folder / "manifest.json").read_text())["rollout"]["contexts"]
    grid = config["environment"]["contexts"]["grid"]
    known = json.loads((files("genhub_cprocgen") / "data" / "contexts.json").read_text("utf-8"))
    named = {p["name"] for p in known["parameters"] if p["game"] == "coinrun"}
    assert set(grid) <= named and len(rows) == 6
    assert {tuple(sorted(row["context"])) for row in rows} == {tuple(sorted(grid))}
    easiest, hardest = rows[0], rows[-1]
    assert hardest["context"] == {name: max(values) for name, values in grid.items()}
    assert easiest["return_mean"] > hardest["return_mean"]
    assert [a.kind for a in result.artifacts] == ["video"] * 6
    page = (result.folder / "report.html").read_text()
    assert "Returns by context" in page and "how levels of each context begin" in page


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_says_what_it_is_for(path: Path) -> None:
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_keeps_to_the_printed_schema(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(tree)] == []
