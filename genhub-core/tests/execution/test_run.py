from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tinypipe
import torch

import genhub
from genhub import GenHubError
from genhub.api import Run, hookimpl
from genhub.metrics.pictures import open_picture


def pictures(result: Any, variant: str = "main") -> list[np.ndarray]:
    return [
        open_picture(result.folder / a.path).astype(int)
        for a in result.artifacts
        if a.sample.variant == variant
    ]


def test_a_run_leaves_pictures_and_a_manifest_that_tells_of_them(config: Any) -> None:
    result = genhub.run(config)

    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert result.status == manifest["status"] == "done"
    assert [a["path"] for a in manifest["artifacts"]] == [
        "artifacts/000000.png",
        "artifacts/000001.png",
    ]
    assert [a.sample.seed for a in result.artifacts] == [0, 1]
    assert result.folder.name.startswith("try-")
    assert (result.folder.parent / "latest").resolve() == result.folder
    assert not list(result.folder.glob(".*"))  # neither reserve nor half-written files


def test_the_manifest_says_what_a_result_depends_on(config: Any) -> None:
    manifest = json.loads((genhub.run(config).folder / "manifest.json").read_text())

    assert manifest["genhub"] == 1
    assert set(manifest["phases"]) >= {"load", "attach", "steps", "decode", "save"}
    assert all(set(p) == {"wall", "cpu"} for p in manifest["phases"].values())
    steps = manifest["variants"]["main"]["steps"]
    assert steps["count"] == 4 and len(steps["median_ms"]) == 2
    assert steps["p50_ms"] <= steps["p95_ms"]
    assert manifest["machine"]["versions"]["torch"] == torch.__version__
    assert manifest["machine"]["cpu"]["cores"] >= 1
    assert manifest["model"]["files"]["model_index.json"]["sha256"]
    assert [p["name"] for p in manifest["plugins"]] == ["generate"]
    assert manifest["plugins"][0]["record_sha256"]
    assert manifest["peak_memory_bytes"]["cpu"] > 0
    assert manifest["started"] < manifest["ended"]
    assert manifest["error"] is None and manifest["problems"] == []
    assert len(manifest["sites"]) == 8


def test_a_run_equals_a_plain_call_of_the_pipeline_bit_for_bit(config: Any, model: Path) -> None:
    from diffusers import StableDiffusionPipeline

    result = genhub.run(config, set={"sampling.batch": 2, "seed": 7})

    pipeline = StableDiffusionPipeline.from_pretrained(model)
    generators = [torch.Generator().manual_seed(seed) for seed in (7, 8)]
    plain = pipeline(
        config["input"]["prompts"], num_inference_steps=2, guidance_scale=3.0, generator=generators
    ).images
    for made, expected in zip(pictures(result), plain, strict=True):
        assert np.array_equal(made, np.asarray(expected))


def test_the_batch_size_changes_nothing_but_rounding(config: Any) -> None:
    one = genhub.run(config, set={"sampling.samples": 2})
    three = genhub.run(config, set={"sampling.samples": 2, "sampling.batch": 3})

    assert len(one.artifacts) == len(three.artifacts) == 4
    for a, b in zip(pictures(one), pictures(three), strict=True):
        assert np.abs(a - b).max() <= 1
    assert np.abs(pictures(one)[0] - pictures(one)[1]).max() > 1  # other seeds, other pictures


@pytest.mark.parametrize("scheduler", ["EulerAncestralDiscreteScheduler", "DDPMScheduler"])
def test_schedulers_that_draw_noise_draw_it_per_sample(config: Any, scheduler: str) -> None:
    swapped = {"model.scheduler": scheduler}
    one = genhub.run(config, set=swapped)
    two = genhub.run(config, set={**swapped, "sampling.batch": 2})

    for a, b in zip(pictures(one), pictures(two), strict=True):
        assert np.abs(a - b).max() <= 1


def test_variants_are_paired_and_measured_against_the_baseline(
    config: Any, registries: Any
) -> None:
    config |= {
        "attention": [{"type": "gain", "gain": 1.0}],
        "variants": {"loud": {"attention.0.gain": 3.0}},
        "compare": ["baseline", "loud"],
        "metrics": ["psnr", "ssim", "caption-accuracy"],
    }
    result = genhub.run(config, registries=registries)

    assert {v: len(pictures(result, v)) for v in ("main", "baseline", "loud")} == {
        "main": 2, "baseline": 2, "loud": 2,
    }  # fmt: skip
    assert result.metrics["main"]["psnr"] == 120.0  # a gain of one changes nothing
    assert result.metrics["main"]["ssim"] == pytest.approx(1.0)
    assert result.metrics["loud"]["psnr"] < 60
    assert "psnr" not in result.metrics["baseline"]
    assert set(result.metrics["baseline"]) >= {"caption-accuracy/joint"}
    lines = (result.folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["variant"] for line in lines] == ["baseline", "main", "loud"]
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert len(manifest["variants"]["loud"]["sites_held"]["gain"]) == 4
    assert "warm-up" in manifest["phases"]


@pytest.mark.parametrize(
    ("attention", "code"),
    [([{"type": "gain"}, {"type": "late"}], "GH401"), ([{"type": "unready"}], "GH305")],
)
def test_what_cannot_be_attached_later_is_found_before_anything_is_generated(
    config: Any, registries: Any, attention: Any, code: str
) -> None:
    config |= {"variants": {"both": {"attention": attention}}, "compare": ["both"]}
    with pytest.raises(GenHubError) as caught:
        genhub.run(config, registries=registries)

    assert caught.value.code == code
    assert list((Path(config["output"]["dir"]) / "latest" / "artifacts").iterdir()) == []


def test_a_pipeline_in_hand_is_used_and_given_back_as_it_was(config: Any) -> None:
    pipeline = tinypipe.build()
    pipeline.set_progress_bar_config(leave=False)
    scheduler, bar = pipeline.scheduler, pipeline._progress_bar_config
    config["model"] = {"scheduler": "EulerDiscreteScheduler"}

    result = genhub.run(config, pipeline=pipeline)

    assert len(result.artifacts) == 2
    assert pipeline.scheduler is scheduler and type(scheduler).__name__ == "DDIMScheduler"
    assert pipeline._progress_bar_config is bar
    with pytest.raises(GenHubError, match="given in Python") as caught:
        genhub.run(result.folder)
    assert caught.value.code == "GH608"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model.source": "somewhere/else"}, "model.source"),
        ({"model.dtype": "fp32"}, "model.dtype"),
        ({"launch.devices": "cpu"}, "launch.devices"),
        ({"sweep": {"model.dtype": ["bf16"]}}, "model.dtype"),
    ],
)
def test_what_a_pipeline_in_hand_decides_by_itself_cannot_be_set(
    config: Any, changes: Any, field: str
) -> None:
    del config["model"]
    with pytest.raises(GenHubError, match=f"{field} is set") as caught:
        genhub.run(config, set=changes, pipeline=tinypipe.build())
    assert caught.value.code == "GH305"
    assert caught.value.problems[0].mark is not None
    assert not Path(config["output"]["dir"]).exists()


def test_a_scheduler_with_its_own_loop_writes_the_pictures_itself(
    config: Any, registries: Any
) -> None:
    config |= {"parallel": {"type": "own-loop"}, "compare": ["baseline"], "seed": 40}
    config["sampling"]["batch"] = 2
    result = genhub.run(config, registries=registries)

    assert [p[0, 0].tolist() for p in pictures(result)] == [[40] * 3, [41] * 3]
    assert all(p.shape == (32, 32, 3) for p in pictures(result, "baseline"))


def test_hooks_hear_of_every_step_artifact_and_of_the_end(config: Any, registries: Any) -> None:
    heard: list[Any] = []

    class Listener:
        @hookimpl
        def genhub_step(self, step: Any) -> None:
            heard.append((step.variant, step.sample, step.index, step.done, step.total))

        @hookimpl
        def genhub_artifact(self, artifact: Any) -> None:
            heard.append(artifact.path)

        @hookimpl
        def genhub_metrics(self) -> dict[str, float]:
            return {"heard": len(heard)}

        @hookimpl
        def genhub_finished(self, run: Any, error: Any) -> None:
            assert isinstance(run, Run)
            heard.append((run.manifest["status"], error))

    registries.get("hooks").add("listener", Listener)
    result = genhub.run(config, set={"hooks": ["listener"]}, registries=registries)

    assert heard == [
        ("main", 0, 0, 1, 4), ("main", 0, 1, 2, 4), "artifacts/000000.png",
        ("main", 1, 0, 3, 4), ("main", 1, 1, 4, 4), "artifacts/000001.png",
        ("done", None),
    ]  # fmt: skip
    assert result.metrics["main"]["heard"] == 6


def test_a_task_without_a_model_logs_counts_and_goes_on_from_its_checkpoint(
    tmp_path: Path, registries: Any
) -> None:
    import rundrivers

    config = {"genhub": 1, "name": "n", "task": {"type": "count", "to": 4}}
    rundrivers.Count.falls_at = 3
    with pytest.raises(GenHubError) as caught:
        genhub.run(config, output=tmp_path, registries=registries)
    assert (caught.value.code, caught.value.exit_code) == ("GH603", 130)
    folder = (tmp_path / "latest").resolve()
    assert json.loads((folder / "manifest.json").read_text())["status"] == "interrupted"

    result = genhub.run(folder, registries=registries)

    assert result.folder == folder  # the same run goes on
    assert result.metrics["main"] == {"step": 4, "total": 10.0}
    assert json.loads((folder / "manifest.json").read_text())["status"] == "done"
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 4
    assert genhub.run(folder, output=tmp_path, registries=registries).folder != folder


def test_what_warnings_say_is_among_the_problems_and_in_the_log(config: Any) -> None:
    long = "a large red star in the center on white a large red star on the left on black"
    result = genhub.run(
        config, set={"input.prompts": [long], "model.dtype": "fp16", "launch.devices": "cpu"}
    )

    assert any("fp16 is not used" in problem for problem in result.problems)
    assert any("does not see 'the left on black'" in p for p in result.problems)
    assert "fp16 is not used" in (result.folder / "log.txt").read_text()
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["problems"] == list(result.problems)
    assert manifest["model"]["dtype"] == "fp32"


def test_values_from_the_environment_are_written_nowhere(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "SECRET_PROMPT", "zebra quagga secret star ring moon cross zebra quagga okapi"
    )
    config["input"]["prompts"] = ["${env:SECRET_PROMPT}"]
    config["output"]["report"] = True
    result = genhub.run(config)

    for path in result.folder.rglob("*"):
        if path.is_file():
            assert b"quagga" not in path.read_bytes(), path
    assert "${env:SECRET_PROMPT}" in (result.folder / "resolved.yaml").read_text()
