"""asyncdiff on one CUDA device: ranks that are threads share it."""

from __future__ import annotations

from pathlib import Path

import pytest

import genhub
from genhub_asyncdiff import simulate

CONFIG = {
    "genhub": 1,
    "model": {"source": "tiny:shapes"},
    "input": {"prompts": ["a large red star in the center on white"]},
    "sampling": {"steps": 20, "guidance": 3.0},
    "metrics": ["psnr", "caption-accuracy"],
}


@pytest.mark.parametrize("stride", [1, 2])
def test_half_precision_schedules_draw_what_captions_say(tmp_path: Path, stride: int) -> None:
    schedules = {
        "two": {"components": 2, "stride": stride},
        "full": {"components": 2, "warmup": 20},
    }
    metrics = simulate(CONFIG, schedules, output=tmp_path).metrics
    assert metrics["two"]["caption-accuracy/joint"] == 1
    assert metrics["two"]["psnr"] > 20
    assert metrics["full"]["psnr"] == metrics["main"]["psnr"]  # all calls are full: it is serial


def test_threads_on_one_device_draw_what_the_simulation_draws(tmp_path: Path) -> None:
    parallel = {"type": "asyncdiff", "components": 2}
    run = {**CONFIG, "compare": ["baseline"], "output": {"dir": str(tmp_path / "ranks")}}
    ranks = genhub.run(
        {**run, "parallel": parallel, "launch": {"processes": 2, "simulate": True}}
    ).metrics
    one = simulate(CONFIG, {"two": {"components": 2}}, output=tmp_path / "one").metrics
    assert ranks["main"]["psnr"] == pytest.approx(one["two"]["psnr"], abs=3)
