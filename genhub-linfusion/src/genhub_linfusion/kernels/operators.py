"""The blocked kernel as PyTorch operators: differentiable, and opaque to `torch.compile`.

Forward and backward are two operators each, because the method falls apart in two: keys and values
are reduced to a state of fixed size, which is then applied to every query. Saved for backward are
the raw inputs and the state alone.
"""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor

from genhub_linfusion.conventions import accumulation_dtype, heads_first
from genhub_linfusion.kernels import blocked

__all__ = ["apply_state", "state"]


def _full_precision(x: Tensor) -> torch.autocast:
    """Keep autocast out of the kernels: it would narrow the float32 accumulation."""
    return torch.autocast(x.device.type, enabled=False)


@torch.library.custom_op("genhub_linfusion::state", mutates_args=())
def state(k: Tensor, v: Tensor, mask: Tensor | None, layout: str) -> tuple[Tensor, Tensor]:
    """Reduce keys and values to `(S, kbar)`; see `blocked.state`."""
    with _full_precision(k):
        return blocked.state(k, v, mask, layout)


@torch.library.custom_op("genhub_linfusion::state_backward", mutates_args=())
def _state_backward(
    grad_s: Tensor, grad_k_mean: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, layout: str
) -> tuple[Tensor, Tensor]:
    with _full_precision(k):
        return blocked.state_backward(grad_s, grad_k_mean, k, v, mask, layout)


@torch.library.custom_op("genhub_linfusion::apply_state", mutates_args=())
def apply_state(q: Tensor, s: Tensor, k_mean: Tensor, eps: float, layout: str) -> Tensor:
    """Apply a state to queries; see `blocked.apply_state`."""
    with _full_precision(q):
        return blocked.apply_state(q, s, k_mean, eps, layout)


@torch.library.custom_op("genhub_linfusion::apply_state_backward", mutates_args=())
def _apply_state_backward(
    grad: Tensor, q: Tensor, s: Tensor, k_mean: Tensor, eps: float, layout: str
) -> tuple[Tensor, Tensor, Tensor]:
    with _full_precision(q):
        return blocked.apply_state_backward(grad, q, s, k_mean, eps, layout)


@state.register_fake
def _(k: Tensor, v: Tensor, mask: Tensor | None, layout: str) -> tuple[Tensor, Tensor]:
    batch, heads, _, dim = heads_first(k, layout).shape
    dtype = accumulation_dtype(k)
    return (
        k.new_empty((batch, heads, dim, dim), dtype=dtype),
        k.new_empty((batch, heads, dim), dtype=dtype),
    )


@_state_backward.register_fake
def _(
    grad_s: Tensor, grad_k_mean: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, layout: str
) -> tuple[Tensor, Tensor]:
    return k.new_empty(k.shape), v.new_empty(v.shape)


@apply_state.register_fake
def _(q: Tensor, s: Tensor, k_mean: Tensor, eps: float, layout: str) -> Tensor:
    return q.new_empty(q.shape)


@_apply_state_backward.register_fake
def _(
    grad: Tensor, q: Tensor, s: Tensor, k_mean: Tensor, eps: float, layout: str
) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), torch.empty_like(s), torch.empty_like(k_mean)


def _save_for_state(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    k, v, mask, ctx.layout = inputs
    ctx.save_for_backward(k, v, mask)


def _differentiate_state(ctx: Any, grad_s: Tensor, grad_k_mean: Tensor) -> tuple[Any, ...]:
    k, v, mask = ctx.saved_tensors
    dk, dv = _state_backward(grad_s, grad_k_mean, k, v, mask, ctx.layout)
    return dk, dv, None, None


def _save_for_apply(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    q, s, k_mean, ctx.eps, ctx.layout = inputs
    ctx.save_for_backward(q, s, k_mean)


def _differentiate_apply(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    q, s, k_mean = ctx.saved_tensors
    return *_apply_state_backward(grad, q, s, k_mean, ctx.eps, ctx.layout), None, None


def _refuse_second_derivative(ctx: Any, *grads: Tensor) -> NoReturn:
    raise RuntimeError(
        "linear_attention's kernel has no second derivative: use backend='reference' where you "
        "differentiate twice."
    )


state.register_autograd(_differentiate_state, setup_context=_save_for_state)
apply_state.register_autograd(_differentiate_apply, setup_context=_save_for_apply)
_state_backward.register_autograd(_refuse_second_derivative)
_apply_state_backward.register_autograd(_refuse_second_derivative)
