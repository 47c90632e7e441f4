"""Inside the kernels: rows as views, lists of strangers, blocks of queries, joined passes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention
from torch.testing import assert_close

from genhub_litefocus import focus_indices, litefocus_attention
from genhub_litefocus.kernels import banded, fused, merge, shared
from genhub_litefocus.kernels.drivers import MergeKernel, TritonKernel
from genhub_litefocus.kernels.tokens import by_row, coordinates, in_order

needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this PyTorch was built without oneDNN"
)


def problem(queries=37, keys=53, problems=3, dim=8, batch=2):
    q = torch.randn(batch, queries, problems, dim).transpose(1, 2)
    return q, *torch.randn(2, batch, problems, keys, dim)


@pytest.mark.parametrize("layout", ["tf", "ft"])
def test_rows_hold_the_tokens_of_one_frequency_and_go_back_in_order(layout):
    frames, bins, heads = 5, 3, 2
    numbers = torch.arange(frames * bins).view(1, 1, -1, 1).expand(1, heads, -1, 1)
    rows = by_row(numbers, bins, layout)
    for f in range(bins):
        row, frame = coordinates(rows[0, f * heads, :, 0], frames, bins, layout)
        assert row.tolist() == [f] * frames
        assert frame.tolist() == list(range(frames))
    assert torch.equal(in_order(rows, bins, layout), numbers)


def test_rows_of_projections_are_views():
    x = torch.randn(2, 12, 4, 8).transpose(1, 2)  # as attention layers split heads
    assert by_row(x, 3, "tf").data_ptr() == x.data_ptr()


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(1, 12),
    bins=st.integers(1, 5),
    share=st.floats(0.01, 1),
    layout=st.sampled_from(["tf", "ft"]),
    start=st.integers(0, 12),
    seed=st.integers(0, 99),
)
def test_strangers_are_the_shared_tokens_that_a_row_does_not_hold(
    frames, bins, share, layout, start, seed
):
    tokens = frames * bins
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(tokens, generator=generator)[: max(1, int(tokens * share))]
    for band in (slice(None), slice(start, start + 4)):
        lists, hidden = shared.strangers(
            chosen, frames=frames, freq_bins=bins, layout=layout, band=band
        )
        row, frame = coordinates(chosen, frames, bins, layout)
        for f in range(bins):
            own = row == f
            if band != slice(None):
                own &= (frame >= band.start) & (frame < band.stop)
            seen = lists[f] if hidden is None else lists[f][~hidden[f]]
            assert seen.tolist() == chosen[~own].tolist()


def test_equal_shares_of_rows_need_no_mask():
    chosen = focus_indices(40, 4, 16, sampler="stratified")
    lists, hidden = shared.strangers(chosen, frames=40, freq_bins=4, layout="tf")
    assert lists.shape == (4, 12)
    assert hidden is None


@needs_onednn
@pytest.mark.parametrize("biased", [False, True])
def test_blocks_of_queries_give_what_fused_attention_gives(monkeypatch, biased):
    monkeypatch.setattr(fused, "LEAST_QUERIES", 5)
    monkeypatch.setattr(fused, "BLOCK_SCORES", 1)
    q, k, v = problem()
    bias = torch.zeros(3, 53).masked_fill(torch.rand(3, 53) < 0.4, float("-inf"))
    bias = bias if biased else None
    mask = None if bias is None else bias[None, :, None]
    expected = scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.3)
    found = fused.attend_in_blocks(q, k, v, bias, 0.3)
    assert_close(found, expected, rtol=0, atol=2e-6)
    assert found.stride() == expected.stride()


@needs_onednn
def test_blocks_of_queries_are_a_well_formed_operator():
    q, k, v = problem()
    tests = ("test_schema", "test_faketensor")
    torch.library.opcheck(fused.attend_in_blocks, (q, k, v, None, 0.3), test_utils=tests)


@needs_onednn
def test_large_problems_go_through_blocks_and_small_ones_do_not(monkeypatch):
    calls = []
    original = fused.attend_in_blocks
    monkeypatch.setattr(fused, "_has_fast_product", lambda: True)
    monkeypatch.setattr(
        fused, "attend_in_blocks", lambda *args: calls.append(args[0].shape) or original(*args)
    )
    fused.attend(*problem(queries=64, keys=64))
    fused.attend(*(x.double() for x in problem(queries=512, keys=256, problems=1)))
    fused.attend(*(x.requires_grad_() for x in problem(queries=512, keys=256, problems=1)))
    assert calls == []
    q, k, v = problem(queries=512, keys=256, problems=1)
    assert_close(fused.attend(q, k, v), scaled_dot_product_attention(q, k, v), rtol=0, atol=2e-6)
    assert calls == [q.shape]


@needs_onednn
@pytest.mark.parametrize("duplicates", ["count", "union"])
def test_large_problems_compile_as_one_graph(monkeypatch, duplicates):
    monkeypatch.setattr(fused, "_has_fast_product", lambda: True)
    torch._dynamo.reset()
    compiled = torch.compile(litefocus_attention, fullgraph=True, backend="aot_eager")
    q, k, v = torch.randn(3, 1, 1, 2 * 256, 8)
    kwargs = {"freq_bins": 2, "indices": focus_indices(256, 2, 256), "duplicates": duplicates}
    expected = litefocus_attention(q, k, v, backend="dense", **kwargs)
    assert_close(compiled(q, k, v, **kwargs), expected, rtol=0, atol=5e-6)


def test_threads_change_results_by_rounding_at_most():
    q, k, v = torch.randn(3, 1, 2, 4 * 256, 8)
    kwargs = {"freq_bins": 4, "indices": focus_indices(256, 4, 256)}
    alone = litefocus_attention(q, k, v, **kwargs)
    torch.set_num_threads(2)
    try:
        together = litefocus_attention(q, k, v, **kwargs)
    finally:
        torch.set_num_threads(1)
    assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_are_those_of_the_exponentials(dtype):
    q, k, v = (x.to(dtype) for x in problem())
    out, sums = merge.attend_with_sums(q, k, v, 0.3)
    scores = 0.3 * q @ k.transpose(2, 3)
    assert_close(sums, scores.logsumexp(dim=-1, keepdim=True).to(sums.dtype))
    assert_close(out, scores.softmax(dim=-1) @ v)


@pytest.mark.parametrize("duplicates", ["count", "union"])
def test_scores_of_a_band_grow_with_the_number_of_frames_alone(monkeypatch, duplicates):
    window, bins, count = 4, 2, 8
    scores = []
    original = banded.attend

    def count_scores(q, k, v, **options):
        scores.append(q.shape[1] * q.shape[2] * k.shape[2])
        return original(q, k, v, **options)

    monkeypatch.setattr(banded, "attend", count_scores)
    for frames in (32, 64, 128):
        scores.clear()
        q, k, v = torch.randn(3, 1, 1, frames * bins, 8)
        chosen = focus_indices(frames, bins, count)
        litefocus_attention(
            q, k, v, freq_bins=bins, indices=chosen, time_window=window, duplicates=duplicates
        )
        assert 0 < sum(scores) <= frames * bins * (3 * window + count)


def test_drivers_import_no_torch():
    code = "import sys, genhub_litefocus.kernels.drivers; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_triton_kernel_says_what_it_lacks(monkeypatch):
    class OnDevice(TritonKernel):
        interpreted = False

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no CUDA device" in OnDevice().available().reason
    assert OnDevice().supports(device="cpu") == "it runs on cuda, not on 'cpu'"
    assert OnDevice().supports(device="cuda", dtype=torch.bfloat16, head_dim=128) is None
    assert "up to 128, not 160" in OnDevice().supports(device="cuda", head_dim=160)
    assert "float64" in OnDevice().supports(device="cuda", dtype="torch.float64")


def test_the_merging_kernel_says_what_it_lacks():
    assert MergeKernel().supports(device="cpu", dtype=torch.float64, head_dim=5) is None
    assert "'mps'" in MergeKernel().supports(device="mps")
    assert "not 12" in MergeKernel().supports(device="cuda", head_dim=12)
    assert "float64" in MergeKernel().supports(device="cuda", dtype=torch.float64)
