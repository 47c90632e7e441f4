"""Row by row: each frequency row attends to its own keys with the shared keys appended.

One fused softmax attention over `[T queries] x [T + K keys]` per row and head. Multiset semantics
come for free, without a mask; cost and traffic are those of any fused attention of that size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from genhub_litefocus.kernels import banded
from genhub_litefocus.kernels.shared import row_mask, shared_keys, strangers
from genhub_litefocus.kernels.tokens import by_row, in_order, rows_5d

__all__ = ["focus_attention"]


def focus_attention(
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
    """Attend; arguments and result as in `litefocus_attention`, which checks them."""
    if not same_frequency:
        return only_shared(q, k, v, indices, scale)
    frames = q.shape[2] // freq_bins
    if banded.limits(time_window, frames):
        return banded.focus_attention(
            q, k, v, indices, freq_bins=freq_bins, scale=scale, duplicates=duplicates,
            layout=layout, time_window=time_window,
        )  # fmt: skip
    keys, values, hidden = rows_5d(k, freq_bins, layout), rows_5d(v, freq_bins, layout), None
    if indices is not None and indices.shape[0]:
        chosen = indices
        if duplicates == "union":
            chosen, hidden = strangers(indices, frames=frames, freq_bins=freq_bins, layout=layout)
        keys = torch.cat([keys, shared_keys(k, chosen, freq_bins)], dim=3)
        values = torch.cat([values, shared_keys(v, chosen, freq_bins)], dim=3)
    out = scaled_dot_product_attention(
        by_row(q, freq_bins, layout),
        keys.flatten(1, 2),
        values.flatten(1, 2),
        attn_mask=None if hidden is None else row_mask(hidden, q, frames),
        scale=scale,
    )
    return in_order(out, freq_bins, layout)


def only_shared(q: Tensor, k: Tensor, v: Tensor, indices: Tensor, scale: float | None) -> Tensor:
    """Let all queries attend to the shared keys and to nothing else."""
    chosen, values = k.index_select(2, indices), v.index_select(2, indices)
    return scaled_dot_product_attention(q, chosen, values, scale=scale)
