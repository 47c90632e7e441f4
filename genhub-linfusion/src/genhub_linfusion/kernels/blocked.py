"""Linear attention in blocks of tokens that stay in cache.

Nothing of the size of the sequence exists besides inputs and outputs: a block is mapped by phi into
scratch memory, multiplied, and forgotten. All functions take `[B, N, H, d]` ("bnhd") or
`[B, H, N, d]` ("bhnd") with any strides; heads are walked by strides, never permuted in memory.
Half precision is widened to float32 block by block. No autograd here: `operators` adds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from genhub_linfusion.conventions import accumulation_dtype, heads_first

__all__ = ["apply_state", "apply_state_backward", "block_tokens", "state", "state_backward"]

# Numbers per block: two blocks of float32 about fill the level-2 cache of one core.
CPU_BLOCK = 160 * 1024
# An accelerator wants few launches more than it wants cache: 32 MB of float32.
DEVICE_BLOCK = 8 * 1024 * 1024


def block_tokens(x: Tensor, layout: str) -> int:
    """Return how many tokens of x make one block."""
    heads, dim = heads_first(x, layout).shape[1], x.shape[3]
    numbers = CPU_BLOCK * torch.get_num_threads() if x.device.type == "cpu" else DEVICE_BLOCK
    return max(1, numbers // max(1, heads * dim))


@dataclass
class _Scratch:
    """Two blocks of working memory, laid out in memory as the tokens they mirror."""

    features: Tensor  # [n, H, d] or [H, n, d]
    spare: Tensor
    layout: str

    @classmethod
    def like(cls, x: Tensor, layout: str) -> _Scratch:
        _, heads, tokens, dim = heads_first(x, layout).shape
        n = min(tokens, block_tokens(x, layout))
        shape = (n, heads, dim) if layout == "bnhd" else (heads, n, dim)
        features = x.new_empty(shape, dtype=accumulation_dtype(x))
        return cls(features, torch.empty_like(features), layout)

    def views(self, n: int) -> tuple[Tensor, Tensor]:
        """Return both blocks as `[H, n, d]`."""
        if self.layout == "bnhd":
            return self.features[:n].transpose(0, 1), self.spare[:n].transpose(0, 1)
        return self.features[:, :n], self.spare[:, :n]


def _blocks(tokens: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, tokens)) for start in range(0, tokens, size))


def _phi(x: Tensor, out: Tensor, spare: Tensor) -> Tensor:
    """Write phi(x) = exp(min(x, 0)) + max(x, 0) to `out`, exact at both ends; spoils `spare`."""
    if x.dtype == out.dtype:
        torch.clamp(x, max=0, out=out).exp_()
        torch.clamp(x, min=0, out=spare)
    else:
        out.copy_(x)
        torch.clamp(out, min=0, out=spare)
        out.clamp_(max=0).exp_()
    return out.add_(spare)


def _widen(x: Tensor, spare: Tensor) -> Tensor:
    """Return x in the dtype of `spare`, using that memory only when a conversion is needed."""
    return x if x.dtype == spare.dtype else spare.copy_(x)


def _counts(k: Tensor, mask: Tensor | None, layout: str, dtype: torch.dtype) -> Tensor:
    """Return the number of keys to average over, per batch item, at least 1: `[B, 1, 1]`."""
    batch, _, keys, _ = heads_first(k, layout).shape
    if mask is None:
        return torch.full((batch, 1, 1), max(1, keys), dtype=dtype, device=k.device)
    return mask.sum(dim=1).clamp_(min=1).to(dtype).view(batch, 1, 1)


def state(k: Tensor, v: Tensor, mask: Tensor | None, layout: str) -> tuple[Tensor, Tensor]:
    """Reduce keys and values to S `[B, H, d, d]` and kbar `[B, H, d]`, both means over the keys."""
    dtype = accumulation_dtype(k)
    keys, values = heads_first(k, layout), heads_first(v, layout)
    batch, heads, tokens, dim = keys.shape
    s = k.new_zeros((batch, heads, dim, dim), dtype=dtype)
    k_mean = k.new_zeros((batch, heads, dim), dtype=dtype)
    scratch = _Scratch.like(k, layout)
    for b in range(batch):
        for at in _blocks(tokens, block_tokens(k, layout)):
            features, spare = scratch.views(at.stop - at.start)
            _phi(keys[b, :, at], features, spare)
            if mask is not None:
                features.masked_fill_(~mask[b, at].unsqueeze(-1), 0)
            s[b].baddbmm_(features.transpose(1, 2), _widen(values[b, :, at], spare))
            k_mean[b].add_(features.sum(dim=1))
    n = _counts(k, mask, layout, dtype)
    return s.div_(n.unsqueeze(-1)), k_mean.div_(n)


def apply_state(q: Tensor, s: Tensor, k_mean: Tensor, eps: float, layout: str) -> Tensor:
    """Compute phi(Q) S / (phi(Q) . kbar + eps), contiguous, in the shape and dtype of q."""
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    queries, outputs = heads_first(q, layout), heads_first(out, layout)
    scratch = _Scratch.like(q, layout)
    for b in range(queries.shape[0]):
        for at in _blocks(queries.shape[2], block_tokens(q, layout)):
            features, spare = scratch.views(at.stop - at.start)
            _phi(queries[b, :, at], features, spare)
            denominator = torch.bmm(features, k_mean[b].unsqueeze(-1)).add_(eps)
            target = outputs[b, :, at]
            result = target if target.dtype == features.dtype else spare
            torch.bmm(features, s[b], out=result)
            result.div_(denominator)
            if result is spare:
                target.copy_(spare)
    return out


def apply_state_backward(
    grad: Tensor, q: Tensor, s: Tensor, k_mean: Tensor, eps: float, layout: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `apply_state` for q, S and kbar.

    With t = dO S^T and den recomputed, the numerator is not needed: dO . (phi(Q) S) = phi(Q) . t.
    """
    dq = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    ds, dk_mean = torch.zeros_like(s), torch.zeros_like(k_mean)
    queries, grads, dqs = (heads_first(x, layout) for x in (q, grad, dq))
    scratch, more = _Scratch.like(q, layout), _Scratch.like(q, layout)
    for b in range(queries.shape[0]):
        for at in _blocks(queries.shape[2], block_tokens(q, layout)):
            features, t = scratch.views(at.stop - at.start)
            wide, spare = more.views(at.stop - at.start)
            _phi(queries[b, :, at], features, t)
            denominator = torch.bmm(features, k_mean[b].unsqueeze(-1)).add_(eps)
            d_out = _widen(grads[b, :, at], wide)
            torch.bmm(d_out, s[b].transpose(1, 2), out=t)
            # delta = -(dO . O) / den, times den, because phi(Q) is divided by den below.
            torch.mul(features, t, out=spare)
            delta = spare.sum(dim=-1, keepdim=True).div_(denominator).neg_()
            torch.mul(delta, k_mean[b].unsqueeze(1), out=spare)
            t.add_(spare).div_(denominator)
            # phi'(x) = min(phi(x), 1): phi exceeds 1 exactly where x > 0.
            torch.clamp(features, max=1, out=spare)
            dqs[b, :, at] = t.mul_(spare)
            features.div_(denominator)
            ds[b].baddbmm_(features.transpose(1, 2), d_out)
            dk_mean[b].add_(torch.bmm(delta.transpose(1, 2), features).squeeze(1))
    return dq, ds, dk_mean


def state_backward(
    grad_s: Tensor, grad_k_mean: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, layout: str
) -> tuple[Tensor, Tensor]:
    """Return the gradients of `state` for k and v."""
    dk = torch.empty(k.shape, dtype=k.dtype, device=k.device)
    dv = torch.empty(v.shape, dtype=v.dtype, device=v.device)
    n = _counts(k, mask, layout, grad_s.dtype)
    ds, dk_mean = grad_s / n.unsqueeze(-1), (grad_k_mean / n).unsqueeze(2)
    keys, values, dks, dvs = (heads_first(x, layout) for x in (k, v, dk, dv))
    scratch, more = _Scratch.like(k, layout), _Scratch.like(k, layout)
    for b in range(keys.shape[0]):
        for at in _blocks(keys.shape[2], block_tokens(k, layout)):
            features, spare = scratch.views(at.stop - at.start)
            wide, product = more.views(at.stop - at.start)
            _phi(keys[b, :, at], features, spare)
            if mask is not None:
                features.masked_fill_(~mask[b, at].unsqueeze(-1), 0)
            torch.bmm(features, ds[b], out=product)
            dvs[b, :, at] = product
            torch.bmm(_widen(values[b, :, at], wide), ds[b].transpose(1, 2), out=product)
            # A masked key has phi = 0 here and so gets no gradient.
            product.add_(dk_mean[b]).mul_(features.clamp_(max=1))
            dks[b, :, at] = product
    return dk, dv
