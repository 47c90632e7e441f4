"""Layouts, key masks and dtypes that the reference and the kernels agree on."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["LAYOUTS", "Layout", "accumulation_dtype", "heads_first", "key_mask"]

Layout = Literal["bnhd", "bhnd"]
LAYOUTS = ("bnhd", "bhnd")

# What diffusers adds to the scores of a masked key.
MASKED = -1e4


def heads_first(x: Tensor, layout: str) -> Tensor:
    """View `[B, N, H, d]` as `[B, H, N, d]`, and back: the swap is its own inverse."""
    return x.transpose(1, 2) if layout == "bnhd" else x


def accumulation_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype to accumulate in: float64 for float64, float32 for all else."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def key_mask(mask: Tensor, batch: int, keys: int) -> Tensor:
    """Bring a key-padding mask to its boolean form `[B, N_k]`, True where a key takes part.

    Takes a boolean `[B, N_k]` (True = takes part) or what diffusers hands to its attention layers:
    an additive `[B, 1, N_k]` of 0 (takes part) and -10000 or less (does not). Raises ValueError
    for every other mask: linear attention never forms the scores that it would be added to.
    """
    if mask.dtype == torch.bool and mask.shape == (batch, keys):
        return mask
    if mask.is_floating_point() and mask.shape == (batch, 1, keys):
        masked = mask[:, 0] <= torch.full((), MASKED, dtype=mask.dtype, device=mask.device)
        # Reading values would break a compiled graph, so a graph trusts what eager mode checked.
        if not torch.compiler.is_compiling() and bool((~masked & (mask[:, 0] != 0)).any()):
            raise ValueError(
                "linear attention cannot use this attention mask: an additive mask may hold only 0 "
                "and values of -10000 or less; pass a key-padding mask."
            )
        return ~masked
    raise ValueError(
        f"linear attention cannot use an attention mask of shape {tuple(mask.shape)} and dtype "
        f"{mask.dtype}: pass a key-padding mask, boolean [{batch}, {keys}] or additive "
        f"[{batch}, 1, {keys}]."
    )
