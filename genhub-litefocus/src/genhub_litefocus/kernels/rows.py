"""Row by row: each frequency row attends to its own keys with the shared keys appended.

One fused softmax attention over `[T queries] x [T + K keys]` per row and head. Multiset semantics
come for free, without a mask; cost and traffic are those of any fused attention of that size.
"""

from __future__ import annotations

from torch import Tensor

from genhub_litefocus.kernels import banded
from genhub_litefocus.kernels.fused import attend
from genhub_litefocus.kernels.shared import with_shared
from genhub_litefocus.kernels.tokens import by_row, in_order

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
        assert indices is not None
        chosen, values = k.index_select(2, indices), v.index_select(2, indices)
        return attend(q, chosen, values, scale=scale)
    frames = q.shape[2] // freq_bins
    if banded.limits(time_window, frames):
        return banded.focus_attention(
            q, k, v, indices, freq_bins=freq_bins, scale=scale, duplicates=duplicates,
            layout=layout, time_window=time_window,
        )  # fmt: skip
    keys, values, bias = with_shared(
        k, v, indices, freq_bins=freq_bins, duplicates=duplicates, layout=layout
    )
    out = attend(by_row(q, freq_bins, layout), keys, values, bias=bias, scale=scale)
    return in_order(out, freq_bins, layout)
