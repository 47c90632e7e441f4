"""The shared keys C as a frequency row sees them: all of them, or those it does not have itself."""

from __future__ import annotations

import torch
from torch import Tensor

from genhub_litefocus.kernels.tokens import coordinates

__all__ = ["row_mask", "shared_keys", "strangers"]


def shared_keys(x: Tensor, indices: Tensor, freq_bins: int) -> Tensor:
    """Gather C, `[K]` or a list per row `[F, K]`, from `[B, H, N, d]`: `[B, F, H, K, d]`."""
    if indices.ndim == 1:
        chosen = x.index_select(2, indices).unsqueeze(1)
        return chosen.expand(-1, freq_bins, -1, -1, -1)
    chosen = x.index_select(2, indices.flatten())
    return chosen.unflatten(2, tuple(indices.shape)).transpose(1, 2)


def strangers(
    indices: Tensor,
    *,
    frames: int,
    freq_bins: int,
    layout: str,
    band: tuple[int, int] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Give each row the tokens of C that it does not hold: `(lists [F, K'], hidden [F, K'])`.

    A row holds its tokens of the frames of `band` (start, stop), of all frames without one.
    `hidden` is True where a list is padded, None where all lists are equally long. Where lengths
    must not be looked at (on an accelerator this waits for it, in a graph it is unknown) the lists
    are C itself with the row's own tokens hidden.
    """
    row, frame = coordinates(indices, frames, freq_bins, layout)
    held = row == torch.arange(freq_bins, device=indices.device)[:, None]  # [F, K]
    if band is not None:
        held = held & (frame >= band[0]) & (frame < band[1])
    if torch.compiler.is_compiling() or indices.device.type != "cpu":
        return indices, held
    lengths = (~held).sum(dim=1)
    longest = int(lengths.max())
    # A stable sort brings the strangers to the front of each list, in their order.
    order = held.to(torch.uint8).argsort(dim=1, stable=True)[:, :longest]
    lists = indices[order]
    if bool((lengths == longest).all()):
        return lists, None
    return lists, held.gather(1, order)


def row_mask(hidden: Tensor, q: Tensor, own: int) -> Tensor:
    """Turn `hidden [F, K]` into an additive mask `[1, F*H, 1, own + K]`: own keys come first."""
    mask = torch.zeros(hidden.shape[0], own + hidden.shape[1], dtype=q.dtype, device=q.device)
    mask[:, own:].masked_fill_(hidden, float("-inf"))
    return mask.repeat_interleave(q.shape[1], dim=0)[None, :, None]
