"""A band in time: row keys come from the query's block of frames and its two neighbours only.

Linear in the number of frames: blocks are taken one after the other, each as in `rows`, with no
padding, so that a last block may be shorter.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from genhub_litefocus.kernels.shared import row_mask, shared_keys, strangers
from genhub_litefocus.kernels.tokens import in_order, rows_5d

__all__ = ["focus_attention", "limits"]


def limits(time_window: int | None, frames: int) -> bool:
    """Say whether a window leaves anything out: two blocks are neighbours of each other."""
    return time_window is not None and frames > 2 * time_window


def focus_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    indices: Tensor | None,
    *,
    freq_bins: int,
    scale: float | None,
    duplicates: str,
    layout: str,
    time_window: int,
) -> Tensor:
    """Attend to a band of the own row and to the shared keys."""
    rows = [rows_5d(x, freq_bins, layout) for x in (q, k, v)]  # [B, F, H, T, d]
    frames = q.shape[2] // freq_bins
    blocks = []
    for start in range(0, frames, time_window):
        band = (max(0, start - time_window), min(frames, start + 2 * time_window))
        keys, values = (x[:, :, :, band[0] : band[1]] for x in rows[1:])
        mask = None
        if indices is not None and indices.shape[0]:
            chosen = indices
            if duplicates == "union":
                chosen, hidden = strangers(
                    indices, frames=frames, freq_bins=freq_bins, layout=layout, band=band
                )
                mask = None if hidden is None else row_mask(hidden, q, band[1] - band[0])
            keys = torch.cat([keys, shared_keys(k, chosen, freq_bins)], dim=3)
            values = torch.cat([values, shared_keys(v, chosen, freq_bins)], dim=3)
        own = rows[0][:, :, :, start : start + time_window]
        block = scaled_dot_product_attention(
            own.flatten(1, 2), keys.flatten(1, 2), values.flatten(1, 2), mask, scale=scale
        )
        blocks.append(block)
    return in_order(torch.cat(blocks, dim=2), freq_bins, layout)
