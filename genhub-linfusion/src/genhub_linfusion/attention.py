"""The public functions: linear attention, and the state it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from genhub_linfusion import reference
from genhub_linfusion.conventions import (
    LAYOUTS,
    Layout,
    accumulation_dtype,
    heads_first,
    key_mask,
)
from genhub_linfusion.kernels import operators

__all__ = ["BACKENDS", "LinearState", "apply_state", "linear_attention", "linear_state", "merge"]

BACKENDS = ("auto", "torch", "reference")


class LinearState(NamedTuple):
    """All that attention needs to know of its keys and values; its size is independent of theirs.

    Means, not sums: that keeps eps, which is added to the denominator, independent of N.
    """

    s: Tensor  # mean of phi(K)^T V      [B, H, d, d], float32 (float64 for float64 keys)
    k_mean: Tensor  # mean of phi(K)     [B, H, d], the same dtype
    n: Tensor  # keys averaged over      [B], the same dtype


def linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    eps: float = 1e-4,
    mask: Tensor | None = None,
    layout: Layout = "bnhd",
    backend: str = "auto",
) -> Tensor:
    """Attend with the kernel phi(q) . phi(k), phi(x) = elu(x) + 1, at a cost linear in tokens.

    q `[B, N, H, d]` and k, v `[B, N_k, H, d]` are raw projections (phi is applied inside), or
    `[B, H, N, d]` with `layout="bhnd"`; strides are free. There is no 1/sqrt(d) and no causal
    order. `mask` is a boolean `[B, N_k]`, True where a key takes part, or diffusers' additive
    `[B, 1, N_k]`. The result has the shape and dtype of q; accumulation is in float32 (float64 for
    float64). `backend` is "torch" (blocked kernel, differentiable once), "reference" (the plain
    equation) or "auto" (the best that is available). Raises ValueError for shapes, dtypes or masks
    that do not fit. Method: LinFusion, arXiv 2409.02097.

    >>> import torch
    >>> q, k, v = torch.randn(3, 1, 64, 2, 8)
    >>> linear_attention(q, k, v).shape
    torch.Size([1, 64, 2, 8])
    """
    _check_keys_and_values(k, v, layout)
    _check_queries(q, k, layout, eps)
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}: choose one of {', '.join(BACKENDS)}.")
    mask = _boolean(mask, k, layout)
    if backend == "reference":
        return reference.linear_attention(q, k, v, eps=eps, mask=mask, layout=layout)
    s, k_mean = operators.state(k, v, mask, layout)
    return operators.apply_state(q, s, k_mean, eps, layout)


def linear_state(
    k: Tensor, v: Tensor, *, mask: Tensor | None = None, layout: Layout = "bnhd"
) -> LinearState:
    """Reduce keys and values, as `linear_attention` takes them, to their state."""
    _check_keys_and_values(k, v, layout)
    mask = _boolean(mask, k, layout)
    s, k_mean = operators.state(k, v, mask, layout)
    if mask is None:
        batch, _, keys, _ = heads_first(k, layout).shape
        count = torch.full((batch,), keys, dtype=s.dtype, device=s.device)
    else:
        count = mask.sum(dim=1).to(s.dtype)
    return LinearState(s, k_mean, count)


def apply_state(
    q: Tensor, state: LinearState, *, eps: float = 1e-4, layout: Layout = "bnhd"
) -> Tensor:
    """Let queries attend to a state: `apply_state(q, linear_state(k, v))` is linear attention."""
    _check_layout(layout)
    _check_tensor("q", q)
    _check_eps(eps)
    batch, heads, _, dim = heads_first(q, layout).shape
    if state.s.shape != (batch, heads, dim, dim) or state.k_mean.shape != (batch, heads, dim):
        raise ValueError(
            f"the state was made for another shape: q is {tuple(q.shape)} in layout {layout!r}, "
            f"S is {tuple(state.s.shape)}, expected {(batch, heads, dim, dim)}."
        )
    if state.s.dtype != accumulation_dtype(q):
        raise ValueError(
            f"the state is {state.s.dtype} but queries of {q.dtype} need "
            f"{accumulation_dtype(q)}: make it from keys of the queries' dtype."
        )
    return operators.apply_state(q, state.s, state.k_mean, eps, layout)


def merge(
    states: Sequence[LinearState], counts: Sequence[int | Tensor] | None = None
) -> LinearState:
    """Combine the states of disjoint sets of keys into the state of their union.

    Associative and commutative up to rounding, for sets of any sizes. `counts` (one number, or one
    tensor `[B]`, per state) replaces the states' own counts as weights. Raises ValueError without
    a state.
    """
    if not states:
        raise ValueError("merge() was given no state: pass at least one.")
    if counts is None:
        counts = [state.n for state in states]
    elif len(counts) != len(states):
        raise ValueError(
            f"merge() was given {len(states)} states and {len(counts)} counts: pass one a state."
        )
    first = states[0]
    s, k_mean, total = (torch.zeros_like(x) for x in first)
    parts = [torch.as_tensor(n, dtype=total.dtype, device=total.device) for n in counts]
    for part in parts:
        total = total + part
    for state, part in zip(states, parts, strict=True):
        share = (part / total.clamp(min=1)).expand_as(total)
        s = s + state.s * share[:, None, None, None]
        k_mean = k_mean + state.k_mean * share[:, None, None]
    return LinearState(s, k_mean, total)


def _boolean(mask: Tensor | None, k: Tensor, layout: str) -> Tensor | None:
    if mask is None:
        return None
    batch, _, keys, _ = heads_first(k, layout).shape
    return key_mask(mask, batch, keys)


def _check_layout(layout: str) -> None:
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}: choose one of {', '.join(LAYOUTS)}.")


def _check_eps(eps: float) -> None:
    if not eps > 0:
        raise ValueError(f"eps is {eps}: it must be above 0; published weights use 1e-4.")


def _check_tensor(name: str, x: Tensor) -> None:
    if x.ndim != 4:
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}: expected four axes, batch, tokens, heads and head "
            f"dimension (layout 'bnhd'), or batch, heads, tokens, head dimension ('bhnd')."
        )
    if not x.is_floating_point():
        raise ValueError(f"{name} is {x.dtype}: expected a floating-point tensor.")


def _check_keys_and_values(k: Tensor, v: Tensor, layout: str) -> None:
    _check_layout(layout)
    _check_tensor("k", k)
    _check_tensor("v", v)
    if k.shape != v.shape or k.dtype != v.dtype or k.device != v.device:
        raise ValueError(
            f"k and v must agree in shape, dtype and device: k is {tuple(k.shape)} {k.dtype} on "
            f"{k.device}, v is {tuple(v.shape)} {v.dtype} on {v.device}."
        )


def _check_queries(q: Tensor, k: Tensor, layout: str, eps: float) -> None:
    _check_tensor("q", q)
    _check_eps(eps)
    (q_batch, q_heads, _, q_dim), (batch, heads, _, dim) = (
        heads_first(x, layout).shape for x in (q, k)
    )
    if (q_batch, q_heads, q_dim) != (batch, heads, dim):
        raise ValueError(
            f"q and k must agree in batch, heads and head dimension: in layout {layout!r} q is "
            f"{tuple(q.shape)} and k is {tuple(k.shape)}."
        )
    if q.dtype != k.dtype or q.device != k.device:
        raise ValueError(
            f"q and k must agree in dtype and device: q is {q.dtype} on {q.device}, k is "
            f"{k.dtype} on {k.device}."
        )
