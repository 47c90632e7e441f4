"""Sparse attention for sound beside linear attention and beside parallel schedulers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genhub
from genhub.api import GenHubError
from genhub.testing import families
from genhub_asyncdiff import simulate

BLOCK = {"type": "litefocus", "decode": "pipeline", "where": {"level": "all"}}
LINEAR = {"type": "linfusion", "checkpoint": None}


def config(folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "genhub": 1,
        "model": {"source": "tiny:tones"},
        "attention": [BLOCK],
        "input": {"prompts": ["a steady low tone"]},
        "sampling": {"steps": 6, "seconds": 1.0},
        "output": {"dir": str(folder)},
        **more,
    }


def samples(run: Any) -> np.ndarray:
    """Give the 16-bit samples of a run's last sound."""
    wave = (run.folder / run.artifacts[-1].path).read_bytes()
    return np.frombuffer(wave[-32000:], dtype="<i2").astype(int)


@pytest.mark.parametrize("warmup", [1, 3])
def test_ranks_of_asyncdiff_draw_what_one_process_draws(tmp_path: Path, warmup: int) -> None:
    schedule = {"components": 2, "warmup": warmup}
    threads = {"processes": 2, "simulate": True}
    about = config(tmp_path, parallel={"type": "asyncdiff", **schedule}, launch=threads)
    ranks = genhub.run(about, quiet=True)
    one = simulate(config(tmp_path), {"two": schedule})
    plain = genhub.run(config(tmp_path), quiet=True)
    assert samples(ranks).std() > 10
    assert np.abs(samples(ranks) - samples(one)).max() <= 1
    assert not np.array_equal(samples(ranks), samples(plain))


def test_the_published_sampler_is_refused_on_several_ranks(tmp_path: Path) -> None:
    about = config(
        tmp_path, attention=[BLOCK | {"sampler": "reference"}],
        parallel={"type": "asyncdiff", "components": 2}, launch={"processes": 2, "simulate": True},
    )  # fmt: skip
    with pytest.raises(GenHubError) as caught:
        genhub.run(about, quiet=True)
    assert caught.value.code == "GH404" and "use sampler: random" in str(caught.value)


def test_linear_attention_takes_the_levels_that_are_left() -> None:
    unet = families.pipeline("unet2d").denoiser
    first, rest = {"kind": "self", "level": "first"}, {"kind": "self", "level": {"min": 1}}
    blocks = [BLOCK | {"where": first, "layout": "tf"}, LINEAR | {"where": rest}]
    with genhub.attach(unet, blocks) as attached:
        held = [{site.level for site in claim.sites} for claim in attached.plan.claims]
        assert held == [{0}, {1}]
    with pytest.raises(GenHubError) as caught:
        genhub.attach(unet, [BLOCK | {"layout": "tf"}, LINEAR])
    assert caught.value.code == "GH401" and "both select" in str(caught.value)
