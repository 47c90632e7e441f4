"""The Triton kernel against the equation in float64; interpreted where there is no GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")

from genhub_litefocus.kernels import tiles, triton_rows

GOLDEN = Path(__file__).with_name("golden")
CASES = json.loads((GOLDEN / "op.json").read_text(encoding="utf-8"))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCES = {torch.float32: 5e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}


def counts_of(
    frames: int,
    freq_bins: int,
    indices: Tensor | None,
    *,
    same_frequency: bool,
    duplicates: str,
    layout: str,
    time_window: int | None,
) -> Tensor:
    """Give how often every query `[N]` sees every key `[N]`."""
    tokens = torch.arange(frames * freq_bins)
    rows, times = tokens % freq_bins, tokens // freq_bins
    if layout == "ft":
        rows, times = tokens // frames, tokens % frames
    own = (rows[:, None] == rows[None, :]) & same_frequency
    if time_window is not None:
        blocks = times // time_window
        own &= (blocks[:, None] - blocks[None, :]).abs() <= 1
    shared = torch.zeros(frames * freq_bins)
    if indices is not None:
        shared[indices] = 1
    counts = own.double() + shared
    return counts if duplicates == "count" else counts.clamp(max=1)


def by_the_equation(
    q: Tensor, k: Tensor, v: Tensor, indices: Tensor | None, *, freq_bins, scale=None, **settings
) -> Tensor:
    """Compute in float64, with all scores at once."""
    counts = counts_of(q.shape[2] // freq_bins, freq_bins, indices, **settings)
    q, k, v = (x.detach().cpu().double() for x in (q, k, v))
    scores = q @ k.transpose(2, 3) * (q.shape[3] ** -0.5 if scale is None else scale)
    return torch.softmax(scores + counts.log(), dim=-1) @ v


def draw(
    frames=13, freq_bins=4, dim=16, shared=9, *, batch=1, heads=2, dtype=torch.float32
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw q, k, v as a projection gives them, heads inside tokens, and shared tokens."""
    tokens = frames * freq_bins
    q, k, v = (
        torch.randn(batch, tokens, heads, dim).to(DEVICE, dtype).transpose(1, 2) for _ in range(3)
    )
    return q, k, v, torch.randperm(tokens)[:shared].to(DEVICE)


def settings_of(**changes):
    plain = {
        "same_frequency": True,
        "duplicates": "count",
        "layout": "tf",
        "time_window": None,
    }
    return {**plain, **changes}


def assert_agrees(q, k, v, indices, *, freq_bins=4, scale=None, tolerance=None, **changes):
    settings = settings_of(**changes)
    seen = triton_rows.focus_attention(
        q, k, v, indices, freq_bins=freq_bins, scale=scale, **settings
    )
    assert seen.shape == q.shape
    assert seen.dtype == q.dtype
    wanted = by_the_equation(
        *(q, k, v, None if indices is None else indices.cpu()),
        freq_bins=freq_bins,
        scale=scale,
        **settings,
    )
    error = (seen.cpu().double() - wanted).abs().max().item()
    assert error <= (tolerance or TOLERANCES[q.dtype])


@pytest.fixture
def small_tiles(monkeypatch):
    """Cut the work small, so that a few frames make several whole tiles and a rest."""
    chosen = triton_rows.tiling
    monkeypatch.setattr(
        triton_rows,
        "tiling",
        lambda *what: replace(chosen(*what), queries=16, keys=16),
    )


@pytest.mark.parametrize("duplicates", ["count", "union"])
@pytest.mark.parametrize("case", CASES, ids=[str(case["case"]) for case in CASES])
def test_golden_results_are_reproduced(case, duplicates):
    prefix = f"c{case['case']:02d}_"
    with np.load(GOLDEN / "op.npz", allow_pickle=False) as arrays:
        read = {
            name: torch.from_numpy(arrays[prefix + name]).to(DEVICE)
            for name in ("q", "k", "v", "idx", "out_ref", "out_union64")
        }
    seen = triton_rows.focus_attention(
        *(read["q"], read["k"], read["v"]),
        read["idx"].long() if case["cross_frequency"] else None,
        freq_bins=case["F"],
        scale=case["scale"],
        same_frequency=case["same_frequency"],
        duplicates=duplicates,
    )
    wanted = read["out_ref" if duplicates == "count" else "out_union64"]
    assert (seen - wanted).abs().max() <= 5e-6


@pytest.mark.parametrize("layout", ["tf", "ft"])
@pytest.mark.parametrize("duplicates", ["count", "union"])
@pytest.mark.parametrize("time_window", [None, 1, 5, 16])
def test_whole_tiles_and_rests_add_up_in_every_mode(small_tiles, layout, duplicates, time_window):
    q, k, v, indices = draw(frames=37, freq_bins=2, shared=21, heads=1)
    changes = {"layout": layout, "duplicates": duplicates, "time_window": time_window}
    assert_agrees(q, k, v, indices, freq_bins=2, **changes)


@pytest.mark.parametrize("duplicates", ["count", "union"])
@pytest.mark.parametrize("freq_bins", [1, 2, 3, 6, 8])
@pytest.mark.parametrize("layout", ["tf", "ft"])
def test_any_number_of_rows_tells_its_own_keys_from_others(
    small_tiles, layout, freq_bins, duplicates
):
    q, k, v, indices = draw(frames=9, freq_bins=freq_bins, shared=min(9 * freq_bins, 20), heads=1)
    changes = {"layout": layout, "duplicates": duplicates, "freq_bins": freq_bins}
    assert_agrees(q, k, v, indices, **changes)
    assert_agrees(q, k, v, indices, **changes, time_window=2)


@pytest.mark.parametrize("time_window", [13, 14, 4096])
def test_a_window_of_the_whole_length_changes_nothing(time_window):
    q, k, v, indices = draw()
    plain = settings_of(freq_bins=4)
    whole = triton_rows.focus_attention(q, k, v, indices, **plain)
    seen = triton_rows.focus_attention(q, k, v, indices, **{**plain, "time_window": time_window})
    assert torch.equal(seen, whole)


@pytest.mark.parametrize("layout", ["tf", "ft"])
@pytest.mark.parametrize("shared", [0, 1, 52])
def test_no_key_one_key_and_all_keys_may_be_shared(layout, shared):
    q, k, v, indices = draw(shared=shared)
    for duplicates in ("count", "union"):
        assert_agrees(q, k, v, indices, layout=layout, duplicates=duplicates)


@pytest.mark.parametrize("duplicates", ["count", "union"])
def test_either_kind_of_key_suffices(duplicates):
    q, k, v, indices = draw()
    assert_agrees(q, k, v, None, duplicates=duplicates)
    assert_agrees(q, k, v, indices, same_frequency=False, duplicates=duplicates)
    assert_agrees(q, k, v, indices, same_frequency=False, duplicates=duplicates, time_window=3)


@pytest.mark.parametrize("dim", [4, 16, 32, 40, 48, 64, 80, 96, 128])
def test_head_sizes_are_served(dim):
    assert_agrees(*draw(dim=dim, heads=1))


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("duplicates", ["count", "union"])
def test_half_precision_rounds_only_what_it_reads_and_writes(dtype, duplicates):
    q, k, v, indices = draw(frames=37, dim=32, batch=2, dtype=dtype)
    assert_agrees(q, k, v, indices, duplicates=duplicates)


def test_rows_of_one_frame_and_sequences_of_one_row_are_served():
    assert_agrees(*draw(frames=1, freq_bins=5, shared=2), freq_bins=5)
    assert_agrees(*draw(frames=11, freq_bins=1, shared=3), freq_bins=1)


@pytest.mark.parametrize("scale", [0.0, -0.3, 2.5])
def test_any_scale_is_obeyed(scale):
    q, k, v, indices = draw()
    for duplicates in ("count", "union"):
        assert_agrees(q, k, v, indices, scale=scale, duplicates=duplicates, tolerance=1e-5)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_large_scores_stay_finite(dtype):
    q, k, v, indices = draw(dtype=dtype)
    seen = triton_rows.focus_attention(q * 100, k * 100, v, indices, freq_bins=4)
    assert torch.isfinite(seen).all()
    assert seen.abs().max() <= v.abs().max() * 1.01


def test_scores_that_are_all_far_below_zero_still_weigh_against_each_other():
    q, k, v, indices = draw()
    assert_agrees(torch.full_like(q, 20), k - 20, v, indices, tolerance=1e-3)


@pytest.mark.parametrize("layout", ["tf", "ft"])
def test_memory_order_of_the_inputs_is_free(layout):
    q, k, v, indices = draw(batch=2)
    spread = torch.randn(2, 2, 16, 52, device=DEVICE).transpose(2, 3)  # a head strides over tokens
    shared = k[:1, :1].expand(2, 2, -1, -1)
    every_other = torch.randn(2, 2, 104, 16, device=DEVICE)[:, :, ::2]
    assert_agrees(spread, shared, every_other, indices, layout=layout)
    assert_agrees(q.contiguous(), k, v, indices, layout=layout)


def test_any_view_may_list_the_shared_tokens():
    q, k, v, indices = draw(shared=18)
    assert_agrees(q, k, v, indices[::2])


def test_the_result_lies_in_memory_as_the_queries_do():
    q, k, v, indices = draw()
    assert triton_rows.focus_attention(q, k, v, indices, freq_bins=4).stride() == q.stride()


def test_a_row_does_not_feel_other_rows_without_shared_keys():
    q, k, v, _ = draw()
    before = triton_rows.focus_attention(q, k, v, None, freq_bins=4)
    k[:, :, 1::4] = 9
    v[:, :, 1::4] = 9
    after = triton_rows.focus_attention(q, k, v, None, freq_bins=4)
    changed = (before != after).any(dim=3)
    assert changed[:, :, 1::4].all()
    for row in (0, 2, 3):
        assert not changed[:, :, row::4].any()


def test_compiled_code_runs_it_without_a_break_and_at_changing_lengths():
    # Interpreted kernels cannot be lowered, so that the graph is run as it was traced there.
    backend = "inductor" if DEVICE == "cuda" else "aot_eager"

    def layer(x: Tensor, indices: Tensor) -> Tensor:
        q = x.unflatten(2, (2, 16)).transpose(1, 2)
        out = triton_rows.focus_attention(q, q + 1, q * 2, indices, freq_bins=4)
        return out.transpose(1, 2).flatten(2) * 3

    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend=backend)
    for frames in (8, 13):
        x = torch.randn(1, frames * 4, 32, device=DEVICE)
        indices = torch.randperm(frames * 4)[: frames // 2].to(DEVICE)
        assert torch.allclose(compiled(x, indices), layer(x, indices), atol=1e-5)


def test_it_compiles_for_devices_to_tensor_cores_within_their_memory_and_registers():
    script = Path(__file__).with_name("compile_for_devices.py")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True
    )
    for kernel in json.loads(done.stdout):
        assert kernel["code"] > 0
        assert kernel["asynchronous copies"], kernel
        assert kernel["tensor cores"], kernel
        assert kernel["shared memory"] <= kernel["allowed memory"], kernel
        assert kernel["spilled"] == 0, kernel
        assert kernel["slow divisions"] == 0, kernel


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("dim", [4, 32, 40, 64, 80, 128])
def test_tiles_shrink_where_a_device_shares_less_memory(dtype, dim):
    large = tiles.tiling(dtype, dim, 4096, 227 * 1024)
    small = tiles.tiling(dtype, dim, 4096, 99 * 1024)
    assert small == tiles.tiling(dtype, dim, 4096)
    held = (small.queries + 2 * small.stages * small.keys) * dim * dtype.itemsize
    assert held <= 99 * 1024
    assert small.queries * small.keys <= large.queries * large.keys
    assert tiles.tiling(dtype, dim, 20).queries <= 32


def test_the_operator_passes_the_checks_of_custom_operators():
    q, k, v, indices = draw()
    arguments = (q, k, v, indices, 4, 0.25, True, "count", "tf", None)
    torch.library.opcheck(triton_rows.operator, arguments)


def test_what_the_kernel_cannot_do_is_refused_in_one_sentence():
    q, k, v, indices = draw(frames=2)
    with pytest.raises(ValueError, match=r"q is torch\.float64: the triton kernel takes float32"):
        triton_rows.focus_attention(q.double(), k.double(), v.double(), indices, freq_bins=4)
    wide = torch.randn(1, 1, 8, 160, device=DEVICE)
    with pytest.raises(ValueError, match="head dimension is 160: the triton kernel takes up to"):
        triton_rows.focus_attention(wide, wide, wide, None, freq_bins=4)
    q.requires_grad_()
    with pytest.raises(RuntimeError, match="no gradient: choose backend='rows'"):
        triton_rows.focus_attention(q, k, v, indices, freq_bins=4)
    with torch.no_grad():
        assert triton_rows.focus_attention(q, k, v, indices, freq_bins=4).isfinite().all()
