"""Geometry of levels, and how many keys a query sees, against counting them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genhub_litefocus.grid import Settings, count_drawn, keys_per_query, level_grid, rate_of


def these(**changes) -> Settings:
    plain = {
        "same_frequency": True, "cross_frequency": True, "sparse_ratio": 0.1,
        "max_compensation": None, "sampler": "random", "indices": None, "resample": "call",
        "seed": 0, "reseed": None, "duplicates": "count", "time_window": None, "freq_bins": None,
        "layout": "tf", "min_seconds": 0.0, "step_range": (0.0, 1.0), "rate": None,
    }  # fmt: skip
    return Settings(**plain | changes)


@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_levels_are_as_large_as_strided_convolutions_leave_them(frames, bins, level):
    x = torch.zeros(1, 1, frames, bins)
    conv = torch.nn.Conv2d(1, 1, 3, stride=2, padding=1)
    with torch.no_grad():
        for _ in range(level):
            x = conv(x)
    assert level_grid(frames, bins, level) == tuple(x.shape[2:])


@given(st.integers(1, 30), st.integers(1, 6), st.none() | st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_keys_of_the_own_row_are_those_of_three_blocks(frames, bins, window):
    width = window or frames
    seen = sum(abs(a // width - b // width) <= 1 for a in range(frames) for b in range(frames))
    alone = these(cross_frequency=False, time_window=window)
    assert keys_per_query(alone, frames, bins) == pytest.approx(seen / frames)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, 20 + 16),
        ({"duplicates": "union"}, 20 + 16 * 7 / 8),
        ({"cross_frequency": False}, 20),
        ({"same_frequency": False, "duplicates": "union"}, 16),
        ({"max_compensation": 5}, 25),
        ({"sampler": "given", "indices": (3, 4)}, 22),
        ({"sparse_ratio": 0.0}, 20),
    ],
)
def test_keys_per_query_add_up(changes, wanted):
    assert keys_per_query(these(**changes), 20, 8) == pytest.approx(wanted)


def test_the_share_is_rounded_down_as_published():
    assert [count_drawn(these(), tokens) for tokens in (9, 10, 1048, 8192)] == [0, 1, 104, 819]
    assert count_drawn(these(sparse_ratio=1.0), 7) == 7


def test_a_pipeline_tells_its_latent_frames_per_second():
    config = SimpleNamespace(sampling_rate=16000, upsample_rates=[5, 4, 2, 2, 2])
    assert rate_of(SimpleNamespace(vocoder=SimpleNamespace(config=config)), 4) == 25.0
    for unknown in (SimpleNamespace(), SimpleNamespace(vocoder=None), torch.nn.Identity()):
        assert rate_of(unknown, 4) is None
