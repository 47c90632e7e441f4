"""Generalized linear attention as the equation is written, in plain torch.

Slow on purpose: every intermediate exists, in the order of the maths, so that it can be read beside
the paper (LinFusion, arXiv 2409.02097) and so that kernels have something to be compared with.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genhub_linfusion.conventions import accumulation_dtype, heads_first

__all__ = ["linear_attention", "phi"]


def phi(x: Tensor) -> Tensor:
    """Map raw queries or keys to positive features: `elu(x) + 1`.

    Written as `exp(x)` below zero, because `elu(x) + 1` cancels the small tail.
    """
    # The clamp keeps exp finite on the branch that `where` throws away: its gradient would be NaN.
    return torch.where(x > 0, x + 1, torch.exp(x.clamp(max=0)))


def linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    eps: float = 1e-4,
    mask: Tensor | None = None,
    layout: str = "bnhd",
) -> Tensor:
    """Compute linear attention of raw q, k, v; shape, layout and dtype of the result are q's.

    `mask` is a boolean `[B, N_k]`, True where a key takes part. N, the number of keys averaged
    over, is the number of those that take part, never the number of queries.
    """
    dtype = accumulation_dtype(q)
    q_, k_, v_ = (heads_first(x, layout).to(dtype) for x in (q, k, v))  # [B, H, N, d]

    phi_q, phi_k = phi(q_), phi(k_)
    n = torch.full((k_.shape[0], 1, 1, 1), k_.shape[2], dtype=dtype, device=k.device)
    if mask is not None:
        phi_k = phi_k * mask[:, None, :, None]
        n = mask.sum(dim=1).to(dtype)[:, None, None, None]
    n = n.clamp(min=1)  # without a key every sum below is zero, and so is the output

    s = phi_k.transpose(-2, -1) @ v_ / n  # S = 1/N sum_n phi(K_n)^T V_n         [B, H, d, d]
    k_mean = phi_k.sum(dim=-2, keepdim=True) / n  # kbar = 1/N sum_n phi(K_n)    [B, H, 1, d]
    numerator = phi_q @ s  # [B, H, N, d]
    denominator = phi_q @ k_mean.transpose(-2, -1) + eps  # [B, H, N, 1]
    return heads_first(numerator / denominator, layout).to(q.dtype)
