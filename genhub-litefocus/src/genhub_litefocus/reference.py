"""LiteFocus attention as the equation is written, in plain torch.

Slow on purpose: all N x N scores exist, so that the code can be read beside the paper (LiteFocus,
arXiv 2407.10468, section 3) and so that kernels have something to be compared with.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genhub_litefocus.kernels.tokens import accumulation_dtype, coordinates

__all__ = ["key_counts", "litefocus_attention"]


def key_counts(
    tokens: int,
    indices: Tensor | None,
    *,
    freq_bins: int,
    same_frequency: bool = True,
    duplicates: str = "count",
    layout: str = "tf",
    time_window: int | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Count how often key m takes part for query n: int64 `[N, N]`."""
    n = torch.arange(tokens, device=device)
    row, frame = coordinates(n, tokens // freq_bins, freq_bins, layout)
    counts = torch.zeros(tokens, tokens, dtype=torch.long, device=device)
    if same_frequency:
        focus = row[:, None] == row[None, :]  # S_n: the query's own frequency row ...
        if time_window is not None:
            block = frame // time_window
            focus &= (block[:, None] - block[None, :]).abs() <= 1  # ... near the query in time
        counts += focus
    if indices is not None:
        counts[:, indices] += 1  # C: the same for every query
    return counts.clamp(max=1) if duplicates == "union" else counts


def litefocus_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor | None,
    *,
    freq_bins: int,
    scale: float | None = None,
    same_frequency: bool = True,
    duplicates: str = "count",
    layout: str = "tf",
    time_window: int | None = None,
) -> Tensor:
    """Compute `softmax(s q . k)` over the multiset S_n (+) C (`duplicates="union"`: the set)."""
    dtype = accumulation_dtype(q)
    q_, k_, v_ = (x.to(dtype) for x in (q, k, v))  # [B, H, N, d]
    counts = key_counts(
        q.shape[2],
        indices,
        freq_bins=freq_bins,
        same_frequency=same_frequency,
        duplicates=duplicates,
        layout=layout,
        time_window=time_window,
        device=q.device,
    )
    scores = q_ @ k_.transpose(-2, -1) * (q.shape[-1] ** -0.5 if scale is None else scale)
    # A key that counts c times has weight c exp(score) = exp(score + log c); log 0 leaves it out.
    weights = torch.softmax(scores + counts.to(dtype).log(), dim=-1)  # [B, H, N, N]
    return (weights @ v_).to(q.dtype)
