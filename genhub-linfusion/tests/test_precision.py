"""Half precision: as close to the exact result as rounding its inputs and output allows."""

from __future__ import annotations

import pytest
import torch

from genhub_linfusion import linear_attention, linear_state

# Relative error that rounding the exact output alone causes, measured in float64.
FLOOR = {torch.float16: 2.1e-4, torch.bfloat16: 1.7e-3}


def exact(*tensors, **options):
    return linear_attention(*(x.double() for x in tensors), backend="reference", **options)


def relative_error(ours, theirs):
    return ((ours.double() - theirs).norm() / theirs.norm()).item()


@pytest.mark.parametrize("mean", [0, -4, -6, 2])
@pytest.mark.parametrize("dtype", FLOOR)
def test_error_is_that_of_rounding_wherever_the_inputs_lie(dtype, mean):
    q, k = (torch.randn(2, 1, 4096, 2, 40) + mean).to(dtype)
    v = torch.randn(1, 4096, 2, 40).to(dtype)
    ours = linear_attention(q, k, v)
    assert ours.dtype == dtype
    assert relative_error(ours, exact(q, k, v)) <= 1.3 * FLOOR[dtype]


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("dtype", FLOOR)
@pytest.mark.parametrize("size", [40, 200])
def test_large_inputs_stay_finite_and_exact(dtype, size, backend):
    q, k = ((torch.rand(2, 1, 4096, 2, 64) * 2 - 1) * size).to(dtype)
    v = torch.randn(1, 4096, 2, 64).to(dtype)
    ours = linear_attention(q, k, v, backend=backend)
    assert ours.isfinite().all()
    assert relative_error(ours, exact(q, k, v)) <= 3e-3


@pytest.mark.parametrize("dtype", FLOOR)
def test_gradients_of_half_precision_are_as_close(dtype):
    tensors = [torch.randn(1, 500, 2, 40).to(dtype).requires_grad_() for _ in range(3)]
    weight = torch.randn(1, 500, 2, 40).to(dtype)
    ours = torch.autograd.grad((linear_attention(*tensors) * weight).sum(), tensors)
    theirs = torch.autograd.grad((exact(*tensors) * weight.double()).sum(), tensors)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == dtype
        assert relative_error(a, b.double()) <= 1.5 * FLOOR[dtype]


def test_small_tail_of_the_features_survives_in_float32():
    q = torch.full((1, 1, 1, 8), -15.0)  # elu(x) + 1 would keep 2 of its 7 digits
    k, v = torch.randn(2, 1, 64, 1, 8)
    assert relative_error(linear_attention(q, k, v), exact(q, k, v)) < 1e-6


def test_states_of_half_precision_are_float32():
    k, v = torch.randn(2, 1, 30, 2, 8).half()
    assert {x.dtype for x in linear_state(k, v)} == {torch.float32}


def test_autocast_does_not_narrow_the_accumulation():
    q, k, v = torch.randn(3, 1, 4096, 2, 40)
    expected = linear_attention(q, k, v)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(linear_attention(q, k, v), expected)
