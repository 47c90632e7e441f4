"""Softmax attention of many independent problems: the one step that all kernels spend time in.

PyTorch's fused attention multiplies by MKL, which on processors of other vendors than Intel leaves
half of AVX-512 unused; oneDNN, which PyTorch ships as well, does not. So large float32 problems on
such a CPU are multiplied by oneDNN in blocks of queries whose scores stay in cache.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["attend", "attend_in_blocks"]

# Scores of one block: 1 MB of float32, about the level-2 cache of a core, but never so few queries
# that multiplying becomes inefficient.
BLOCK_SCORES = 256 * 1024
LEAST_QUERIES = 64
# Below this many scores per problem the calls of a block cost more than they save.
LEAST_SCORES = 128 * 1024


def attend(
    q: Tensor, k: Tensor, v: Tensor, *, bias: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Attend: q `[B, G, M, d]` to k, v `[B, G, n, d]`; `bias [G, n]` is added to scores of keys."""
    differentiated = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
    if not differentiated and _multiplies_faster(q, k):
        return attend_in_blocks(q, k, v, bias, q.shape[-1] ** -0.5 if scale is None else scale)
    mask = None if bias is None else bias[None, :, None]
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def _multiplies_faster(q: Tensor, k: Tensor) -> bool:
    large = q.shape[2] * k.shape[2] >= LEAST_SCORES
    return large and q.dtype == torch.float32 and q.device.type == "cpu" and _has_fast_product()


@torch.compiler.assume_constant_result
def _has_fast_product() -> bool:
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


@torch.library.custom_op("genhub_litefocus::attend_in_blocks", mutates_args=())
def attend_in_blocks(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """Attend as `attend` does, float32 on a CPU with oneDNN, a block of queries after the other."""
    out = _empty_result(q)
    wanted = max(LEAST_QUERIES, BLOCK_SCORES // k.shape[2]) * torch.get_num_threads()
    for b in range(q.shape[0]):
        for g in range(q.shape[1]):
            keys, values = k[b, g].contiguous(), v[b, g].t().contiguous()
            key_bias = None if bias is None else bias[g]
            for block, target in zip(q[b, g].split(wanted), out[b, g].split(wanted), strict=True):
                scores = _product(block * scale, keys, key_bias)
                torch.softmax(scores, dim=-1, out=scores)
                target.copy_(_product(scores, values, None))
    return out


@attend_in_blocks.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    return _empty_result(q)


def _empty_result(q: Tensor) -> Tensor:
    """Lay the result out as fused attention does, heads beside each other: callers rejoin them."""
    batch, problems, queries, dim = q.shape
    return q.new_empty((batch, queries, problems, dim)).transpose(1, 2)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute x weight^T + bias by oneDNN."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
