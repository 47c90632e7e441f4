"""The shared keys C as a frequency row sees them: all of them, or those it does not have itself."""

from __future__ import annotations

import torch
from torch import Tensor

from genhub_litefocus.kernels.tokens import coordinates, rows_5d

__all__ = ["strangers", "with_shared"]


def with_shared(
    k: Tensor,
    v: Tensor,
    indices: Tensor | None,
    *,
    freq_bins: int,
    duplicates: str,
    layout: str,
    band: slice = slice(None),
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Give each row its keys and values of the frames in `band`, then the shared ones.

    From `[B, H, N, d]`: keys and values `[B, F*H, n, d]`, and a bias `[F*H, n]` that hides what
    pads the lists of a row, None where nothing does.
    """
    keys, values = (rows_5d(x, freq_bins, layout)[:, :, :, band] for x in (k, v))
    if indices is None or indices.shape[0] == 0:
        return keys.flatten(1, 2), values.flatten(1, 2), None
    own, bias = keys.shape[3], None
    if duplicates == "union":
        frames = k.shape[2] // freq_bins
        indices, hidden = strangers(
            indices, frames=frames, freq_bins=freq_bins, layout=layout, band=band
        )
        bias = None if hidden is None else _row_bias(hidden, own, k.shape[1], k.dtype)
    keys = torch.cat([keys, _gathered(k, indices, freq_bins)], dim=3)
    values = torch.cat([values, _gathered(v, indices, freq_bins)], dim=3)
    return keys.flatten(1, 2), values.flatten(1, 2), bias


def _gathered(x: Tensor, indices: Tensor, freq_bins: int) -> Tensor:
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
    band: slice = slice(None),
) -> tuple[Tensor, Tensor | None]:
    """Give each row the tokens of C that it does not hold: `(lists [F, K'], hidden [F, K'])`.

    A row holds its tokens of the frames in `band`.
    `hidden` is True where a list is padded, None where all lists are equally long. Where lengths
    must not be looked at (on an accelerator this waits for it, in a graph it is unknown) the lists
    are C itself with the row's own tokens hidden.
    """
    row, frame = coordinates(indices, frames, freq_bins, layout)
    held = row == torch.arange(freq_bins, device=indices.device)[:, None]  # [F, K]
    if band != slice(None):
        held = held & (frame >= band.start) & (frame < band.stop)
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


def _row_bias(hidden: Tensor, own: int, heads: int, dtype: torch.dtype) -> Tensor:
    """Turn `hidden [F, K]` into a bias `[F*H, own + K]` of scores; own keys come first."""
    bias = torch.zeros((hidden.shape[0], own + hidden.shape[1]), dtype=dtype, device=hidden.device)
    bias[:, own:].masked_fill_(hidden, float("-inf"))
    return bias.repeat_interleave(heads, dim=0)
