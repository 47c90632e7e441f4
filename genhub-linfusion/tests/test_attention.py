"""The attention core: golden data, the properties of the equation, masks, layouts, bad input."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from genhub_linfusion import apply_state, linear_attention, linear_state, merge, reference
from genhub_linfusion.kernels import blocked

CASES = ("d40", "d64", "d80", "d160", "n1", "neg", "big")
BACKENDS = ("torch", "reference")


def qkv(n=50, keys=None, dim=8, heads=2, batch=2, dtype=torch.float64):
    q = torch.randn(batch, n, heads, dim, dtype=dtype)
    return q, *torch.randn(2, batch, keys or n, heads, dim, dtype=dtype)


def normaliser(q, k, eps=1e-4):
    """The denominator without eps, divided by the one with it: what constant values become."""
    den = torch.einsum("bnhd,bhd->bnh", reference.phi(q), reference.phi(k).mean(1))
    return (den / (den + eps)).unsqueeze(-1)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few tokens, so that short sequences cross many borders."""
    monkeypatch.setattr(blocked, "CPU_BLOCK", 7 * 16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_golden_outputs_and_gradients(golden, case, backend, dtype):
    data = golden("core")
    q, k, v = (data[f"{case}.{name}"].to(dtype).requires_grad_() for name in "qkv")
    out = linear_attention(q, k, v, layout="bhnd", backend=backend)
    out.backward(data[f"{case}.do"].to(dtype))
    for name, ours in (("out", out), ("dq", q.grad), ("dk", k.grad), ("dv", v.grad)):
        theirs = data[f"{case}.{name}"]
        # float32 rounding of the largest number; the absolute part is for n1, whose gradients for
        # q and k are all but zero.
        atol = (2e-6 if dtype == torch.float32 else 2e-7) * theirs.abs().max().item() + 2e-7
        assert_close(ours.float(), theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dim", [4, 5, 40])
def test_gradients_agree_with_finite_differences(dim, masked):
    q, k, v = (x.requires_grad_() for x in qkv(n=3, keys=4, dim=dim, heads=1, batch=1))
    mask = torch.tensor([[True, False, True, True]]) if masked else None
    assert torch.autograd.gradcheck(lambda *x: linear_attention(*x, mask=mask), (q, k, v))


@pytest.mark.parametrize("dim", [40, 64, 80, 160])
def test_gradients_agree_with_autograd_of_the_reference_across_blocks(dim, monkeypatch):
    monkeypatch.setattr(blocked, "CPU_BLOCK", 2 * dim * 32)
    q, k, v = qkv(n=100, keys=75, dim=dim, dtype=torch.float32)
    weight = torch.randn_like(q)
    gradients = []
    for backend in BACKENDS:
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        (linear_attention(*leaves, backend=backend) * weight).sum().backward()
        gradients.append([x.grad for x in leaves])
    for ours, theirs in zip(*gradients, strict=True):
        assert_close(ours, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


def test_second_derivative_is_refused_with_the_way_out():
    x = torch.randn(1, 5, 1, 4, requires_grad=True)
    (first,) = torch.autograd.grad(linear_attention(x, x, x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative: use backend='reference'"):
        first.sum().backward()


@pytest.mark.parametrize("backend", BACKENDS)
def test_permuted_tokens_give_permuted_output(backend):
    q, k, v = qkv()
    order, key_order = torch.randperm(50), torch.randperm(50)
    out = linear_attention(q, k, v, backend=backend)
    moved = linear_attention(q[:, order], k[:, key_order], v[:, key_order], backend=backend)
    assert_close(moved, out[:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_duplicated_keys_change_nothing(backend):
    q, k, v = qkv(keys=13)
    out = linear_attention(q, k, v, backend=backend)
    doubled = linear_attention(
        q, torch.cat([k, k], 1), v.repeat_interleave(2, 1)[:, _interleaved(13)], backend=backend
    )
    assert_close(doubled, out, rtol=0, atol=1e-12)


def _interleaved(n):
    """Undo repeat_interleave(2) into two copies one after the other."""
    return torch.arange(2 * n).view(n, 2).t().flatten()


def test_constant_values_come_back_but_for_eps():
    q, k, v = qkv()
    v = v[:, :1].expand_as(v)
    assert_close(linear_attention(q, k, v), v[:, :1] * normaliser(q, k), rtol=0, atol=1e-12)


def test_output_is_linear_in_the_values():
    q, k, v = qkv()
    w = torch.randn_like(v)
    together = linear_attention(q, k, 2 * v - 3 * w)
    apart = 2 * linear_attention(q, k, v) - 3 * linear_attention(q, k, w)
    assert_close(together, apart, rtol=0, atol=1e-12)


def test_output_is_a_convex_combination_of_the_values():
    q, k, v = qkv()
    out = linear_attention(q, k, v) / normaliser(q, k)
    assert (out <= v.amax(1, keepdim=True) + 1e-12).all()
    assert (out >= v.amin(1, keepdim=True) - 1e-12).all()


@pytest.mark.parametrize("tokens", [1, 3, 49, 50, 10_000])
def test_block_size_does_not_matter(monkeypatch, tokens):
    q, k, v = qkv()
    expected = linear_attention(q, k, v, backend="reference")
    monkeypatch.setattr(blocked, "CPU_BLOCK", tokens * 16)
    assert blocked.block_tokens(q, "bnhd") == tokens * torch.get_num_threads()
    assert_close(linear_attention(q, k, v), expected, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=8), seed=st.integers(0, 2**31))
def test_merged_states_equal_the_unsplit_one_in_any_order_and_grouping(sizes, seed):
    torch.manual_seed(seed)
    _, k, v = qkv(n=sum(sizes))
    whole = linear_state(k, v)
    parts = [linear_state(*x) for x in zip(k.split(sizes, 1), v.split(sizes, 1), strict=True)]
    cut = seed % len(parts) + 1
    grouped = merge([merge(parts[:cut]), *parts[cut:]])
    shuffled = merge([parts[i] for i in torch.randperm(len(parts))])
    counted = merge(parts, sizes)
    for merged in (grouped, shuffled, counted):
        for ours, theirs in zip(merged, whole, strict=True):
            assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_merge_weighs_masked_keys_per_batch_item():
    q, k, v = qkv(n=20)
    mask = torch.rand(2, 20) > 0.4
    mask[1, :12] = False  # one part of the second item has no key at all
    parts = [
        linear_state(k[:, at], v[:, at], mask=mask[:, at]) for at in (slice(12), slice(12, 20))
    ]
    merged = apply_state(q, merge(parts))
    assert_close(merged, linear_attention(q, k, v, mask=mask), rtol=0, atol=1e-12)


def test_gradients_flow_through_merged_states():
    q, k, v = (x.requires_grad_() for x in qkv(n=12))
    parts = [linear_state(k[:, at], v[:, at]) for at in (slice(5), slice(5, 12))]
    gradients = torch.autograd.grad(apply_state(q, merge(parts)).square().sum(), (q, k, v))
    expected = torch.autograd.grad(linear_attention(q, k, v).square().sum(), (q, k, v))
    for ours, theirs in zip(gradients, expected, strict=True):
        assert_close(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_layouts_and_strides_agree(backend, small_blocks):
    q, k, v = qkv()
    expected = linear_attention(q, k, v, backend="reference")
    heads_first = linear_attention(
        *(x.transpose(1, 2).contiguous() for x in (q, k, v)), layout="bhnd", backend=backend
    )
    assert_close(heads_first.transpose(1, 2), expected)
    fused = torch.stack([q, k, v], dim=3).flatten(2)  # q, k, v interleaved in memory
    views = fused.unflatten(2, (2, 3, 8)).unbind(3)
    assert not any(x.is_contiguous() for x in views)
    assert_close(linear_attention(*views, backend=backend), expected)
    strided = (torch.stack([x, x], dim=-1)[..., 0] for x in (q, k, v))  # no unit stride at all
    assert_close(linear_attention(*strided, backend=backend), expected)


def test_backward_takes_expanded_gradients_and_strided_inputs(small_blocks):
    def gradients(backend):
        fused = torch.stack([q, k, v], dim=3).requires_grad_()
        linear_attention(*fused.unbind(3), backend=backend).sum().backward()
        return fused.grad

    q, k, v = qkv()
    assert_close(gradients("torch"), gradients("reference"))


@pytest.mark.parametrize("form", ["boolean", "additive"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_masked_keys_are_as_if_absent(backend, form, small_blocks):
    q, k, v = qkv(n=20, keys=17)
    keep = torch.rand(2, 17) > 0.3
    mask = keep if form == "boolean" else torch.where(keep, 0.0, -10000.0).unsqueeze(1)
    leaves = [x.requires_grad_() for x in (q, k, v)]
    out = linear_attention(q, k, v, mask=mask, backend=backend)
    brute = torch.cat(
        [
            linear_attention(
                q[b : b + 1], k[b : b + 1, keep[b]], v[b : b + 1, keep[b]], backend="reference"
            )
            for b in range(2)
        ]
    )
    assert_close(out, brute)
    ours = torch.autograd.grad(out.square().sum(), leaves)
    theirs = torch.autograd.grad(brute.square().sum(), leaves)
    assert_close(ours, theirs)


def test_bfloat16_rounds_the_usual_mask_value_up_and_it_still_masks():
    q, k, v = qkv(n=4, dtype=torch.bfloat16)
    mask = torch.zeros(2, 1, 4, dtype=torch.bfloat16)
    mask[:, :, 2] = -10000.0
    assert mask.float().min() > -10000
    keep = torch.tensor([True, True, False, True]).expand(2, 4)
    assert torch.equal(linear_attention(q, k, v, mask=mask), linear_attention(q, k, v, mask=keep))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n", "keys"), [(0, 5), (5, 0), (0, 0)])
def test_empty_sequences_give_empty_or_zero_output(backend, n, keys):
    q, k, v = torch.randn(2, n, 2, 4), torch.randn(2, keys, 2, 4), torch.randn(2, keys, 2, 4)
    assert torch.equal(linear_attention(q, k, v, backend=backend), torch.zeros_like(q))


@pytest.mark.parametrize("backend", BACKENDS)
def test_item_without_any_key_gets_zeros(backend):
    q, k, v = qkv(n=6)
    mask = torch.tensor([[True] * 6, [False] * 6])
    out = linear_attention(q, k, v, mask=mask, backend=backend)
    assert (out[1] == 0).all()
    assert (out[0] != 0).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"q": torch.randn(2, 5, 8)}, r"q has shape \(2, 5, 8\): expected four axes"),
        ({"k": torch.randn(2, 6, 2, 8)}, "k and v must agree"),
        ({"v": torch.randn(2, 5, 2, 8).half()}, "k and v must agree"),
        ({"q": torch.randn(2, 5, 4, 8)}, "q and k must agree in batch, heads"),
        ({"q": torch.randn(2, 5, 2, 8).double()}, "q and k must agree in dtype"),
        ({"q": torch.ones(2, 5, 2, 8, dtype=torch.int64)}, "floating-point"),
        ({"layout": "nbhd"}, "layout is 'nbhd': choose one of bnhd, bhnd"),
        ({"backend": "triton"}, "backend is 'triton': choose one of"),
        ({"eps": 0.0}, "eps is 0.0: it must be above 0"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"mask": torch.ones(5, 5, dtype=torch.bool)}, "pass a key-padding mask"),
        ({"mask": torch.zeros(2, 5, 5)}, "pass a key-padding mask"),
        ({"mask": torch.full((2, 1, 5), -0.5)}, "may hold only 0 and values of -10000"),
        ({"mask": torch.ones(2, 5)}, "pass a key-padding mask"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(changes, message):
    arguments = {name: torch.randn(2, 5, 2, 8) for name in "qkv"} | changes
    with pytest.raises(ValueError, match=message):
        linear_attention(**arguments)


def test_states_that_do_not_fit_are_refused():
    q, k, v = qkv(n=5)
    state = linear_state(k, v)
    with pytest.raises(ValueError, match="the state was made for another shape"):
        apply_state(q[:1], state)
    with pytest.raises(ValueError, match="make it from keys of the queries' dtype"):
        apply_state(q.float(), state)
    with pytest.raises(ValueError, match="no state"):
        merge([])
    with pytest.raises(ValueError, match="2 states and 1 counts"):
        merge([state, state], [5])
