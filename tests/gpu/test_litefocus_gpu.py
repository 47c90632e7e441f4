"""Focus attention's Triton kernel compiled for the device, against the equation in float64."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from genhub_litefocus.kernels.triton_rows import focus_attention

# Every format, head size and mode is another kernel to compile: about a second each.
MODES = [
    *itertools.product([torch.bfloat16], ["tf", "ft"], ["count", "union"], [None, 50, 128]),
    (torch.float32, "tf", "union", 50),
    (torch.float32, "ft", "count", None),
    (torch.float16, "tf", "union", 128),
]
SIZES = [
    *((torch.bfloat16, dim) for dim in (8, 40, 64, 128)),
    *((torch.float32, dim) for dim in (8, 48, 128)),
    (torch.float16, 80),
]

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA device is needed")

TOLERANCES = {torch.float32: 5e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
BINS = 8


def draw(tokens: int, dim: int = 32, dtype: torch.dtype = torch.bfloat16) -> tuple[Tensor, ...]:
    """Draw q, k, v of two guidance halves and eight heads, and a tenth of the tokens to share."""
    generator = torch.Generator("cuda").manual_seed(0)
    q, k, v = (
        torch.randn(2, tokens, 8, dim, device="cuda", generator=generator).to(dtype).transpose(1, 2)
        for _ in range(3)
    )
    shared = torch.randperm(tokens, generator=torch.Generator().manual_seed(0))[: tokens // 10]
    return q, k, v, shared.cuda()


def row_in_float64(q: Tensor, k: Tensor, v: Tensor, shared: Tensor, row: int, **how: Any) -> Tensor:
    """Compute one row of the first batch item and head, `[T, d]`."""
    frames = q.shape[2] // BINS
    fast = how.get("layout", "tf") == "tf"
    own = slice(row, None, BINS) if fast else slice(row * frames, (row + 1) * frames)
    q, k, v = (x[0, 0].double() for x in (q, k, v))
    scores = q[own] @ torch.cat([k[own], k[shared]]).T * q.shape[1] ** -0.5
    times = torch.arange(frames, device="cuda")
    hidden = torch.zeros_like(scores, dtype=torch.bool)
    if (window := how.get("time_window")) is not None:
        apart = (times[:, None] // window - times[None, :] // window).abs()
        hidden[:, :frames] = apart > 1
    if how.get("duplicates") == "union":
        rows, at = (shared % BINS, shared // BINS) if fast else (shared // frames, shared % frames)
        met = ~hidden[:, :frames]
        hidden[:, frames:] = met[:, at] & (rows == row)
    weights = torch.softmax(scores.masked_fill(hidden, float("-inf")), dim=1)
    return weights @ torch.cat([v[own], v[shared]])


def error_of(seen: Tensor, q: Tensor, k: Tensor, v: Tensor, shared: Tensor, **how: Any) -> float:
    """Give the largest error of the first and the last row."""
    frames, worst = seen.shape[2] // BINS, 0.0
    for row in (0, BINS - 1):
        wanted = row_in_float64(q, k, v, shared, row, **how)
        rows = seen[0, 0].unflatten(0, (frames, BINS) if how.get("layout") != "ft" else (BINS, -1))
        found = rows[:, row] if how.get("layout") != "ft" else rows[row]
        worst = max(worst, (found.double() - wanted).abs().max().item())
    return worst


@pytest.mark.parametrize(("dtype", "layout", "duplicates", "time_window"), MODES, ids=str)
def test_every_mode_agrees_with_float64(
    dtype: torch.dtype, layout: str, duplicates: str, time_window: int | None
) -> None:
    inputs = draw(401 * BINS, dtype=dtype)
    how = {"layout": layout, "duplicates": duplicates, "time_window": time_window}
    seen = focus_attention(*inputs, freq_bins=BINS, **how)
    assert error_of(seen, *inputs, **how) <= TOLERANCES[dtype]


@pytest.mark.parametrize(("dtype", "dim"), SIZES, ids=str)
def test_head_sizes_agree_with_float64(dtype: torch.dtype, dim: int) -> None:
    inputs = draw(131 * BINS, dim, dtype)
    assert error_of(focus_attention(*inputs, freq_bins=BINS), *inputs) <= TOLERANCES[dtype]


def test_minutes_of_audio_agree_with_float64_and_need_no_memory_but_the_result() -> None:
    inputs = draw(32768)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    seen = focus_attention(*inputs, freq_bins=BINS)
    torch.cuda.synchronize()
    assert torch.cuda.max_memory_allocated() - before <= 1.01 * seen.nbytes + 4096
    assert error_of(seen, *inputs) <= TOLERANCES[torch.bfloat16]


def test_offsets_beyond_32_bits_are_reached() -> None:
    # Eight heads inside each of 2**20 tokens, 512 numbers apart from one another.
    x = torch.zeros(1, 2**20, 8, 512, device="cuda", dtype=torch.float16)
    x[:, -BINS:, -1, :16] = 3.0
    q = x[..., :16].transpose(1, 2)
    last = torch.tensor([2**20 - 1], device="cuda")
    seen = focus_attention(q, q, q, last, freq_bins=BINS, time_window=64, scale=10.0)
    assert (seen[0, -1, -BINS:] == 3).all()
    assert (seen[0, 0] == 0).all()


def test_compiled_code_contains_it_without_a_break() -> None:
    q, k, v, shared = draw(8192)

    def layer(q: Tensor, k: Tensor, v: Tensor, shared: Tensor) -> Tensor:
        return focus_attention(q * 0.5, k, v, shared, freq_bins=BINS).transpose(1, 2).flatten(2) + 1

    compiled = torch.compile(layer, fullgraph=True)
    assert torch.equal(compiled(q, k, v, shared), layer(q, k, v, shared))


def test_a_captured_graph_follows_new_queries_and_new_shared_keys() -> None:
    q, k, v, shared = draw(8192)
    focus_attention(q, k, v, shared, freq_bins=BINS)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        static = focus_attention(q, k, v, shared, freq_bins=BINS)
    q.copy_(q.flip(2))
    shared.copy_(torch.randperm(8192)[: len(shared)])
    graph.replay()
    assert torch.equal(static, focus_attention(q, k, v, shared, freq_bins=BINS))
