"""Two passes, own row and shared keys, joined by their log-sum-exps.

`softmax over S (+) C` is the mean of the two attentions weighted by their sums of exponentials, so
that shared keys are read where they are and never copied to every row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genhub_litefocus.kernels import banded, rows
from genhub_litefocus.kernels.tokens import by_row, in_order

__all__ = ["attend_with_sums", "focus_attention"]


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
    """Attend; arguments and result as in `litefocus_attention`, which checks them.

    Through `rows` goes what has one pass only or a band, "union" (its shared keys differ from row
    to row), and what needs gradients (log-sum-exps of fused attention have none).
    """
    frames = q.shape[2] // freq_bins
    joined = same_frequency and indices is not None and indices.shape[0] > 0
    joined = joined and duplicates == "count" and not banded.limits(time_window, frames)
    if not joined or (torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))):
        return rows.focus_attention(
            q, k, v, indices, freq_bins=freq_bins, scale=scale, same_frequency=same_frequency,
            duplicates=duplicates, layout=layout, time_window=time_window,
        )  # fmt: skip
    q_rows, k_rows, v_rows = (by_row(x, freq_bins, layout) for x in (q, k, v))
    own, own_sum = attend_with_sums(q_rows, k_rows, v_rows, scale)
    own, own_sum = (in_order(x, freq_bins, layout) for x in (own, own_sum))
    shared, shared_sum = attend_with_sums(
        q, k.index_select(2, indices), v.index_select(2, indices), scale
    )
    weight = torch.sigmoid(shared_sum - own_sum)  # of the shared keys, in their common softmax
    return own.to(weight.dtype).lerp(shared.to(weight.dtype), weight).to(q.dtype)


def attend_with_sums(q: Tensor, k: Tensor, v: Tensor, scale: float | None) -> tuple[Tensor, Tensor]:
    """Attend, and give the log of each query's sum of exponentials: `[B, H, N, 1]`."""
    aten = torch.ops.aten
    # Called below their checks, the fused kernels take it that a vector lies in one piece.
    q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))
    if q.device.type == "cpu":
        out, sums = aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, scale=scale)
    elif q.dtype == torch.float32:
        out, sums = aten._scaled_dot_product_efficient_attention(q, k, v, None, True, scale=scale)[
            :2
        ]
    else:
        out, sums = aten._scaled_dot_product_flash_attention(q, k, v, scale=scale)[:2]
    # The memory-efficient kernel pads its sums to multiples of 32 queries.
    return out, sums[:, :, : q.shape[2], None]
