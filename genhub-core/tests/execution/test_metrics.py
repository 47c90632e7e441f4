from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from genhub.api import Artifact, GenHubError, Metric, Sample
from genhub.metrics.measure import figures_of
from genhub.metrics.pictures import psnr, ssim
from genhub.registry import default


def picture(seed: int, height: int = 24, width: int = 31) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_equal_pictures_are_infinitely_near_and_wholly_similar() -> None:
    assert psnr(picture(0), picture(0)) == math.inf
    assert ssim(picture(0), picture(0)) == pytest.approx(1.0)


@given(offset=st.integers(1, 255))
def test_psnr_of_a_constant_offset_is_exact(offset: int) -> None:
    a = np.zeros((8, 8, 3), np.uint8)
    assert psnr(a, a + np.uint8(offset)) == pytest.approx(20 * math.log10(255 / offset))


@given(low=st.integers(0, 255), high=st.integers(0, 255))
def test_ssim_of_flat_pictures_is_its_luminance_term(low: int, high: int) -> None:
    a, b = (np.full((12, 13, 3), level, np.uint8) for level in (low, high))
    c1 = (0.01 * 255) ** 2
    assert ssim(a, b) == pytest.approx((2 * low * high + c1) / (low**2 + high**2 + c1))


def test_ssim_is_symmetric_and_ignores_order_of_channels() -> None:
    a, b = picture(1), picture(2)
    assert ssim(a, b) == pytest.approx(ssim(b, a))
    assert ssim(a[..., ::-1], b[..., ::-1]) == pytest.approx(ssim(a, b))
    assert ssim(a, 255 - a) < 0


@pytest.mark.parametrize("noise", [2, 20, 90])
def test_ssim_agrees_with_an_independent_implementation(noise: int) -> None:
    rng = np.random.default_rng(noise)
    yy, xx = np.mgrid[:40, :52]
    smooth = np.stack([yy * 4, xx * 4, (yy + xx) * 2], axis=2).astype(np.uint8)
    spoiled = np.clip(smooth + rng.normal(0, noise, smooth.shape), 0, 255).astype(np.uint8)
    _, field = structural_similarity(
        smooth, spoiled, data_range=255, channel_axis=2, full=True,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    inside = field[5:-5, 5:-5]  # windows that lie inside the picture, as published
    assert ssim(smooth, spoiled) == pytest.approx(inside.mean(), abs=1e-9)


def test_pictures_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        psnr(picture(0), picture(0, height=23))
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(picture(0, height=10), picture(0, height=10))


@pytest.mark.parametrize("name", ["caption-accuracy", "psnr", "ssim"])
def test_shipped_metrics_say_what_they_need(name: str) -> None:
    metric = default().get("metrics").load(name)
    assert metric.goal == "max" and metric.summary
    assert metric.needs in ({"captions", "pictures"}, {"baseline", "pictures"})


def test_a_metric_refuses_captions_of_another_world_and_others_take_all() -> None:
    with pytest.raises(ValueError, match="dog"):
        default().get("metrics").load("caption-accuracy")().check_caption("a dog")
    assert default().get("metrics").load("psnr")().check_caption("a dog") is None


@pytest.mark.parametrize(
    ("judged", "kind"), [("pictures", "audio"), ("sounds", "image"), ("sounds", "video")]
)
def test_a_metric_says_that_it_cannot_judge_other_media(
    judged: str, kind: Any, tmp_path: Path
) -> None:
    class Picky(Metric):
        needs = frozenset({judged})

    registry = SimpleNamespace(load=lambda name: Picky)
    made = [Artifact("a", kind, Sample(0, 0), "")]
    with pytest.raises(GenHubError, match=f"'picky' judges {judged}, and this run makes {kind}"):
        figures_of(registry, "picky", SimpleNamespace(folder=tmp_path), made, [])
