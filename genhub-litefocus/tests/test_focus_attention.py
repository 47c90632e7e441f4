"""The operator: golden data, the properties of its equation, gradients, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention
from torch.testing import assert_close

from genhub_litefocus import focus_indices, litefocus_attention
from genhub_litefocus.attention import _KERNELS, BACKENDS

GOLDEN = Path(__file__).with_name("golden")
CASES = json.loads((GOLDEN / "op.json").read_text(encoding="utf-8"))
HERE = [name for name, kernel in _KERNELS.items() if kernel.supports(device="cpu") is None]
HERE = [name for name in HERE if _KERNELS[name].available().ok]
EXACT = [name for name in HERE if name != "triton"]  # those that serve float64

grids = st.fixed_dictionaries(
    {
        "frames": st.integers(1, 9),
        "freq_bins": st.integers(1, 5),
        "share": st.floats(0, 1),
        "layout": st.sampled_from(["tf", "ft"]),
        "duplicates": st.sampled_from(["count", "union"]),
        "time_window": st.none() | st.integers(1, 10),
        "seed": st.integers(0, 2**16),
    }
)


def qkv(tokens, *, batch=1, heads=2, dim=8, dtype=torch.float64, generator=None):
    return torch.randn(3, batch, heads, tokens, dim, dtype=dtype, generator=generator)


def drawn(grid):
    """Give q, k, v and the keyword arguments of one drawn grid."""
    grid = dict(grid)
    generator = torch.Generator().manual_seed(grid.pop("seed"))
    frames, share = grid.pop("frames"), grid.pop("share")
    tokens = frames * grid["freq_bins"]
    chosen = torch.randperm(tokens, generator=generator)[: int(tokens * share)]
    return qkv(tokens, generator=generator), {"indices": chosen, **grid}


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "op.npz", allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.mark.parametrize("duplicates", ["count", "union"])
@pytest.mark.parametrize("backend", ["auto", *HERE])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_golden_outputs(golden, case, backend, duplicates):
    name = f"c{case['case']:02d}"
    q, k, v = (golden[f"{name}_{letter}"] for letter in "qkv")
    found = litefocus_attention(
        q, k, v, freq_bins=case["F"], indices=golden[f"{name}_idx"].long(), scale=case["scale"],
        same_frequency=case["same_frequency"], cross_frequency=case["cross_frequency"],
        duplicates=duplicates, backend=backend,
    )  # fmt: skip
    expected = golden[f"{name}_{'out_ref' if duplicates == 'count' else 'out_union64'}"]
    assert_close(found, expected, rtol=0, atol=5e-6)


def test_every_backend_is_tried_here_or_says_why_not():
    for name in set(BACKENDS) - {"auto", *HERE}:
        q, k, v = qkv(8, dtype=torch.float32)
        with pytest.raises(ValueError, match=f"backend '{name}' cannot be used: .*"):
            litefocus_attention(q, k, v, freq_bins=4, backend=name)


@settings(max_examples=60, deadline=None)
@given(grid=grids)
def test_backends_agree_with_the_equation_on_any_grid(grid):
    (q, k, v), arguments = drawn(grid)
    expected = litefocus_attention(q, k, v, backend="dense", **arguments)
    for backend in EXACT:
        found = litefocus_attention(q, k, v, backend=backend, **arguments)
        assert_close(found, expected, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(grid=grids)
def test_gradients_agree_with_the_equation_on_any_grid(grid):
    (q, k, v), arguments = drawn(grid)
    weights = torch.randn_like(q)

    def gradients(backend):
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        out = litefocus_attention(*inputs, backend=backend, **arguments)
        return torch.autograd.grad((out * weights).sum(), inputs)

    expected = gradients("dense")
    for backend in ("rows", "merge"):
        for found, wanted in zip(gradients(backend), expected, strict=True):
            assert_close(found, wanted, rtol=0, atol=1e-11)


@settings(max_examples=30, deadline=None)
@given(grid=grids, extra=st.integers(0, 7))
def test_a_window_of_all_frames_changes_nothing(grid, extra):
    (q, k, v), arguments = drawn(grid)
    frames = q.shape[2] // arguments["freq_bins"]
    plain, windowed = arguments | {"time_window": None}, arguments | {"time_window": frames + extra}
    for backend in EXACT:
        expected = litefocus_attention(q, k, v, backend=backend, **plain)
        found = litefocus_attention(q, k, v, backend=backend, **windowed)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("backend", EXACT)
def test_a_window_hides_what_happens_two_blocks_away(backend):
    frames, bins, window = 13, 4, 3
    q, k, v = qkv(frames * bins)
    kwargs = {"freq_bins": bins, "time_window": window, "backend": backend}
    before = litefocus_attention(q, k, v, **kwargs)
    v[:, :, 6 * bins :] += 1  # frames from block 2 on
    after = litefocus_attention(q, k, v, **kwargs)
    assert torch.equal(after[:, :, : 3 * bins], before[:, :, : 3 * bins])
    assert (after[:, :, 3 * bins :] != before[:, :, 3 * bins :]).any(dim=-1).all()


@pytest.mark.parametrize("backend", EXACT)
def test_sharing_every_token_once_is_full_attention(backend):
    q, k, v = qkv(24)
    every = torch.randperm(24)
    found = litefocus_attention(
        q, k, v, freq_bins=4, indices=every, duplicates="union", backend=backend
    )
    assert_close(found, scaled_dot_product_attention(q, k, v))


@pytest.mark.parametrize("backend", EXACT)
@pytest.mark.parametrize("indices", [None, torch.empty(0, dtype=torch.long)])
def test_one_row_without_shared_tokens_is_full_attention(backend, indices):
    q, k, v = qkv(11)
    found = litefocus_attention(q, k, v, freq_bins=1, indices=indices, backend=backend)
    assert_close(found, scaled_dot_product_attention(q, k, v))


@pytest.mark.parametrize("backend", HERE)
def test_rows_do_not_see_each_other_without_shared_tokens(backend):
    frames, bins = 6, 4
    q, k, v = qkv(frames * bins, dtype=torch.float32)
    kwargs = {"freq_bins": bins, "cross_frequency": False, "backend": backend}
    before = litefocus_attention(q, k, v, **kwargs)
    changed = torch.arange(frames * bins) % bins == 2
    for x in (q, k, v):
        x[:, :, changed] += 1
    after = litefocus_attention(q, k, v, **kwargs)
    assert torch.equal(after[:, :, ~changed], before[:, :, ~changed])
    assert not torch.equal(after[:, :, changed], before[:, :, changed])


@pytest.mark.parametrize("backend", EXACT)
def test_permuting_frames_permutes_the_result(backend):
    frames, bins = 7, 3
    q, k, v = qkv(frames * bins)
    order = (torch.randperm(frames)[:, None] * bins + torch.arange(bins)).flatten()
    kwargs = {"freq_bins": bins, "cross_frequency": False, "backend": backend}
    moved = litefocus_attention(*(x[:, :, order] for x in (q, k, v)), **kwargs)
    assert_close(moved, litefocus_attention(q, k, v, **kwargs)[:, :, order])


@pytest.mark.parametrize("backend", HERE)
def test_the_order_of_shared_tokens_does_not_matter(backend):
    q, k, v = qkv(40, dtype=torch.float32)
    chosen = torch.randperm(40)[:13]
    kwargs = {"freq_bins": 4, "backend": backend}
    found = litefocus_attention(q, k, v, indices=chosen.flip(0), **kwargs)
    assert_close(found, litefocus_attention(q, k, v, indices=chosen, **kwargs), rtol=0, atol=2e-6)


@pytest.mark.parametrize("duplicates", ["count", "union"])
@pytest.mark.parametrize("backend", HERE)
def test_constant_values_come_out_as_they_are(backend, duplicates):
    q, k, _ = qkv(40, dtype=torch.float32)
    v = torch.full_like(q, 0.7)
    found = litefocus_attention(
        q, k, v, freq_bins=4, indices=torch.arange(9), duplicates=duplicates, backend=backend
    )
    assert_close(found, v, rtol=0, atol=1e-6)


@pytest.mark.parametrize("backend", HERE)
def test_batch_items_and_heads_are_independent(backend):
    q, k, v = qkv(20, batch=2, heads=3, dtype=torch.float32)
    kwargs = {"freq_bins": 4, "indices": torch.tensor([1, 7, 18]), "backend": backend}
    together = litefocus_attention(q, k, v, **kwargs)
    for b in range(2):
        for h in range(3):
            alone = litefocus_attention(*(x[b : b + 1, h : h + 1] for x in (q, k, v)), **kwargs)
            assert_close(alone[0, 0], together[b, h], rtol=0, atol=1e-6)


@pytest.mark.parametrize("duplicates", ["count", "union"])
@pytest.mark.parametrize("backend", HERE)
def test_scores_in_the_ten_thousands_stay_finite(backend, duplicates):
    q, k, v = qkv(40, dtype=torch.float32)
    found = litefocus_attention(
        200 * q, 200 * k, v, freq_bins=4, indices=torch.arange(9), duplicates=duplicates,
        backend=backend,
    )  # fmt: skip
    assert torch.isfinite(found).all()
    assert found.abs().max() <= v.abs().max() * (1 + 1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("backend", HERE)
def test_half_precision_stays_near_float32(backend, dtype):
    q, k, v = qkv(64, dim=16, dtype=torch.float32).to(dtype)
    kwargs = {"freq_bins": 4, "indices": torch.arange(0, 64, 7)}
    exact = litefocus_attention(q.float(), k.float(), v.float(), backend="dense", **kwargs)
    found = litefocus_attention(q, k, v, backend=backend, **kwargs)
    assert found.dtype == dtype
    assert_close(found.float(), exact, rtol=0, atol=2e-2)


@pytest.mark.parametrize("backend", ["rows", "merge"])
def test_gradients_agree_with_finite_differences(backend):
    inputs = [x.requires_grad_() for x in qkv(12, heads=1, dim=3)]
    chosen = torch.tensor([0, 5, 7])
    assert torch.autograd.gradcheck(
        lambda q, k, v: litefocus_attention(
            q, k, v, freq_bins=3, indices=chosen, duplicates="union", backend=backend
        ),
        inputs,
    )


@pytest.mark.parametrize("duplicates", ["count", "union"])
@pytest.mark.parametrize("backend", ["auto", "rows", "merge", "dense"])
def test_compiles_as_one_graph_for_any_length(backend, duplicates):
    graphs = []

    def keep(graph, inputs):
        graphs.append(graph)
        return graph

    torch._dynamo.reset()
    compiled = torch.compile(litefocus_attention, fullgraph=True, dynamic=True, backend=keep)
    for frames in (13, 17, 29):
        q, k, v = qkv(frames * 4)
        kwargs = {"freq_bins": 4, "indices": focus_indices(frames, 4, frames), "backend": backend}
        kwargs["duplicates"] = duplicates
        assert_close(compiled(q, k, v, **kwargs), litefocus_attention(q, k, v, **kwargs))
    assert len(graphs) == 1


def test_compiled_code_differentiates():
    torch._dynamo.reset()
    compiled = torch.compile(litefocus_attention, fullgraph=True, backend="aot_eager")
    kwargs = {"freq_bins": 4, "indices": torch.arange(9)}
    q, k, v = (x.requires_grad_() for x in qkv(40))
    found = torch.autograd.grad(compiled(q, k, v, **kwargs).square().sum(), (q, k, v))
    expected = torch.autograd.grad(litefocus_attention(q, k, v, **kwargs).square().sum(), (q, k, v))
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freq_bins": 5}, "24 tokens do not make whole frames of 5 frequency bins"),
        ({"freq_bins": 0}, "freq_bins is 0"),
        ({"time_window": 0}, "time_window is 0: give at least one frame"),
        ({"layout": "ff"}, "layout is 'ff': choose one of tf, ft"),
        ({"duplicates": "twice"}, "duplicates is 'twice': choose one of count, union"),
        ({"backend": "quick"}, "backend is 'quick': choose one of auto, dense, rows"),
        ({"same_frequency": False, "cross_frequency": False}, "would see no key at all"),
        ({"same_frequency": False, "indices": None}, "would see no key at all"),
        (
            {"same_frequency": False, "indices": torch.empty(0, dtype=torch.long)},
            "would see no key at all",
        ),
        ({"indices": torch.tensor([0, 24])}, "indices hold 24: there are tokens 0 to 23"),
        ({"indices": torch.tensor([-1, 3])}, "indices hold -1: there are tokens 0 to 23"),
        ({"indices": torch.tensor([5, 3, 5])}, "indices hold a token twice"),
        ({"indices": torch.tensor([5, 3], dtype=torch.int32)}, "torch.int32 of shape"),
        ({"indices": torch.tensor([[5, 3]])}, r"expected int64 \[K\]"),
        ({"q": torch.zeros(2, 24, 8)}, r"q has shape \(2, 24, 8\): expected four axes"),
        ({"q": torch.zeros(1, 2, 0, 8), "k": torch.zeros(1, 2, 0, 8)}, "0 tokens|must agree"),
        ({"q": torch.zeros(1, 2, 24, 8, dtype=torch.long)}, "q is torch.int64"),
        ({"k": torch.zeros(1, 2, 20, 8)}, "q, k and v must agree"),
        ({"v": torch.zeros(1, 2, 24, 8, dtype=torch.float64)}, "v is .* torch.float64"),
    ],
    ids=str,
)
def test_bad_input_is_named(changes, message):
    tensors = dict(zip("qkv", qkv(24, dtype=torch.float32), strict=True))
    arguments = {"freq_bins": 4, "indices": torch.tensor([1, 2]), **tensors, **changes}
    with pytest.raises(ValueError, match=message):
        litefocus_attention(arguments.pop("q"), arguments.pop("k"), arguments.pop("v"), **arguments)
