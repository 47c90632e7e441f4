"""What only a CUDA device can show: the session `gpu` runs these where there is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import genhub
from genhub.cli import main

PROMPTS = ["a large red star in the center on white", "a small blue ring on the left on black"]


def small(folder: Path, **changes: object) -> dict[str, object]:
    """Give a config of two pictures that are judged by their captions."""
    return {
        "genhub": 1,
        "model": {"source": "tiny:shapes"},
        "input": {"prompts": PROMPTS},
        "sampling": {"steps": 20, "guidance": 3.0, "batch": 2},
        "metrics": ["caption-accuracy"],
        "output": {"dir": str(folder)},
        **changes,
    }


def manifest_of(result: genhub.execution.RunResult) -> dict[str, object]:
    return json.loads((result.folder / "manifest.json").read_text(encoding="utf-8"))


def test_the_device_and_its_precision_are_chosen_and_captions_are_obeyed(tmp_path: Path) -> None:
    result = genhub.run(small(tmp_path))
    manifest = manifest_of(result)
    assert manifest["device"].startswith("cuda")
    wanted = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    assert manifest["model"]["dtype"] == wanted
    assert result.metrics["main"]["caption-accuracy/joint"] == 1.0


def test_linear_attention_on_the_device_draws_as_softmax_does(tmp_path: Path) -> None:
    config = small(tmp_path, attention=[{"type": "linfusion"}], compare=["baseline"])
    result = genhub.run(config)
    assert result.metrics["main"]["caption-accuracy/joint"] == 1.0


def test_the_memory_reported_is_what_the_allocator_saw(tmp_path: Path) -> None:
    torch.cuda.reset_peak_memory_stats()
    manifest = manifest_of(genhub.run(small(tmp_path)))
    seen = torch.cuda.max_memory_allocated()
    assert manifest["peak_memory_bytes"]["cuda:0"] == pytest.approx(seen, rel=0.05)


def test_threads_of_one_device_split_guidance_exactly(tmp_path: Path) -> None:
    config = small(
        tmp_path,
        model={"source": "tiny:shapes", "dtype": "fp32"},
        parallel={"type": "cfg-parallel"},
        launch={"simulate": True},
        compare=["baseline"],
        metrics=["psnr"],
    )
    assert genhub.run(config).metrics["main"]["psnr"] > 60


def test_kernels_agree_with_their_references_on_the_device() -> None:
    assert main(["doctor", "--verify"]) == 0


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="two devices are needed for nccl")
def test_two_devices_split_guidance_over_nccl(tmp_path: Path) -> None:
    config = small(
        tmp_path,
        model={"source": "tiny:shapes", "dtype": "fp32"},
        parallel={"type": "cfg-parallel"},
        compare=["baseline"],
        metrics=["psnr"],
    )
    result = genhub.run(config)
    assert result.metrics["main"]["psnr"] > 60
    assert [each["device"] for each in manifest_of(result)["ranks"]["each"]] == ["cuda:0", "cuda:1"]
