"""Samplers of shared tokens: what they draw, and what their draws depend on."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genhub_litefocus import focus_indices

STATELESS = ("random", "stratified", "strided")
grids = st.tuples(st.integers(1, 40), st.integers(1, 9), st.floats(0, 1))


@pytest.mark.parametrize("sampler", [*STATELESS, "reference"])
@settings(max_examples=60, deadline=None)
@given(grid=grids, layout=st.sampled_from(["tf", "ft"]), seed=st.integers(0, 2**63))
def test_draws_are_different_tokens_of_the_grid(sampler, grid, layout, seed):
    frames, bins, share = grid
    count = int(frames * bins * share)
    drawn = focus_indices(frames, bins, count, sampler=sampler, seed=seed, layout=layout)
    assert drawn.dtype == torch.int64 and drawn.device.type == "cpu"
    assert drawn.shape == (count,) == drawn.unique().shape
    assert bool(((drawn >= 0) & (drawn < frames * bins)).all())
    if sampler != "reference":
        assert torch.equal(drawn, drawn.sort().values)


def test_the_published_draw_is_one_permutation_of_the_global_generator():
    torch.manual_seed(7)
    expected = torch.randperm(64)[:6]
    following = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(focus_indices(8, 8, 6, sampler="reference"), expected)
    assert torch.equal(torch.rand(1), following)


@pytest.mark.parametrize("sampler", STATELESS)
def test_own_draws_leave_the_global_generator_alone(sampler):
    before = torch.get_rng_state()
    focus_indices(8, 8, 6, sampler=sampler)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("sampler", ["random", "stratified"])
def test_draws_depend_on_seed_and_key_and_on_nothing_before(sampler):
    def draw(seed, *key):
        torch.manual_seed(seed + 1)
        return focus_indices(64, 8, 51, sampler=sampler, seed=seed, key=key)

    first = draw(3, 5, "down.attn1")
    assert not torch.equal(draw(4, 5, "down.attn1"), first)
    assert not torch.equal(draw(3, 6, "down.attn1"), first)
    assert not torch.equal(draw(3, 5, "up.attn1"), first)
    assert torch.equal(draw(3, 5, "down.attn1"), first)


def test_draws_are_the_same_in_every_version():
    drawn = focus_indices(16, 4, 6, seed=1, key=(2, "down.attn1"))
    assert drawn.tolist() == [2, 4, 18, 44, 61, 63]
    drawn = focus_indices(16, 4, 6, sampler="stratified", seed=1, key=(2, "down.attn1"))
    assert drawn.tolist() == [1, 2, 15, 20, 36, 53]


def test_random_draws_are_uniform():
    counts = torch.zeros(32)
    for step in range(2000):
        counts[focus_indices(8, 4, 8, key=(step,))] += 1
    # 500 draws of each token expected, with a standard deviation of about 19.
    assert counts.min() > 420 and counts.max() < 580


@settings(max_examples=60, deadline=None)
@given(grid=grids, layout=st.sampled_from(["tf", "ft"]), seed=st.integers(0, 99))
def test_stratified_draws_give_rows_and_times_their_share(grid, layout, seed):
    frames, bins, share = grid
    count = int(frames * bins * share)
    drawn = focus_indices(frames, bins, count, sampler="stratified", seed=seed, layout=layout)
    row, frame = (
        (drawn % bins, drawn // bins) if layout == "tf" else (drawn // frames, drawn % frames)
    )
    in_row = row.bincount(minlength=bins)
    assert in_row.min() >= count // bins and in_row.max() <= -(-count // bins)
    for one in range(bins):
        times = frame[row == one]
        segments = torch.arange(len(times) + 1) * frames // max(1, len(times))
        assert bool(((times >= segments[:-1]) & (times < segments[1:])).all())


def test_stratified_draws_reach_every_frame_of_a_segment():
    seen = torch.cat(
        [focus_indices(12, 2, 8, sampler="stratified", key=(step,)) for step in range(200)]
    )
    assert seen.unique().numel() == 24


@pytest.mark.parametrize(("layout", "expected"), [("tf", [0, 3, 4, 7]), ("ft", [0, 2, 5, 7])])
def test_strided_draws_take_turns_over_rows(layout, expected):
    assert focus_indices(4, 2, 4, sampler="strided", layout=layout).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(grid=grids)
def test_strided_draws_are_even_in_rows_and_in_time(grid):
    frames, bins, share = grid
    count = int(frames * bins * share)
    drawn = focus_indices(frames, bins, count, sampler="strided")
    in_row = (drawn % bins).bincount(minlength=bins)
    assert in_row.max() - in_row.min() <= 1
    in_frame = (drawn // bins).bincount(minlength=frames)
    assert in_frame.max() - in_frame.min() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampler": "given"}, "sampler is 'given': choose one of random"),
        ({"layout": "ff"}, "layout is 'ff': choose one of tf, ft"),
        ({"count": 33}, "count is 33: choose 0 to 32"),
        ({"count": -1}, "count is -1: choose 0 to 32"),
        ({"frames": 0, "count": 0}, "0 frames x 4 bins has no tokens"),
    ],
    ids=str,
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        focus_indices(**{"frames": 8, "freq_bins": 4, "count": 3, **arguments})
