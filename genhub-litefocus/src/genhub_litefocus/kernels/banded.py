"""A band in time: row keys come from the query's block of frames and its two neighbours only.

Linear in the number of frames: blocks are taken one after the other, each as in `rows`, with no
padding, so that a last block may be shorter.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genhub_litefocus.kernels.fused import attend
from genhub_litefocus.kernels.shared import with_shared
from genhub_litefocus.kernels.tokens import by_row, in_order

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
    queries = by_row(q, freq_bins, layout)  # [B, F*H, T, d]
    frames, blocks = queries.shape[2], []
    for start in range(0, frames, time_window):
        keys, values, bias = with_shared(
            k, v, indices, freq_bins=freq_bins, duplicates=duplicates, layout=layout,
            band=slice(max(0, start - time_window), min(frames, start + 2 * time_window)),
        )  # fmt: skip
        own = queries[:, :, start : start + time_window]
        blocks.append(attend(own, keys, values, bias=bias, scale=scale))
    return in_order(torch.cat(blocks, dim=2), freq_bins, layout)
