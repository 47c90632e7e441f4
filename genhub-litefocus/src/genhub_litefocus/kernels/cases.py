"""The grid on which kernels of LiteFocus attention are held against the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from genhub.api import KernelCase

__all__ = ["cases"]

# Largest difference as a share of the largest entry: the rounding of the result's dtype, and in
# half precision that of the weights, which fused kernels narrow before they meet the values.
TOLERANCES = {
    torch.float64: 1e-12,
    torch.float32: 1e-5,
    torch.float16: 4e-3,
    torch.bfloat16: 2e-2,
}
# Scores in the thousands are themselves known to 1e-4 in float32.
LOOSE = {"large-scores": 1e-3}


@dataclass(frozen=True)
class _Inputs:
    """Draw q, k, v as projections leave them (heads beside each other) and shared tokens."""

    batch: int = 1
    heads: int = 1
    frames: int = 13
    freq_bins: int = 3
    head_dim: int = 16
    count: int | None = 9  # None: no shared tokens at all
    magnitude: float = 1.0
    dtype: torch.dtype = torch.float32
    layout: str = "tf"
    duplicates: str = "count"
    same_frequency: bool = True
    time_window: int | None = None
    scale: float | None = None

    def __call__(self, generator: Generator) -> tuple[tuple[Any, ...], dict[str, Any]]:
        tokens = self.frames * self.freq_bins
        shape = (3, self.batch, tokens, self.heads, self.head_dim)
        q, k, v = torch.randn(shape, generator=generator).to(self.dtype).transpose(2, 3)
        indices: Tensor | None = None
        if self.count is not None:
            indices = torch.randperm(tokens, generator=generator)[: self.count]
        attrs = {
            "freq_bins": self.freq_bins,
            "scale": self.scale,
            "same_frequency": self.same_frequency,
            "duplicates": self.duplicates,
            "layout": self.layout,
            "time_window": self.time_window,
        }
        return (q * self.magnitude, k * self.magnitude, v, indices), attrs


_PLAIN = _Inputs()
_SHAPES = {
    "plain": _PLAIN,
    "ft": replace(_PLAIN, layout="ft"),
    "union": replace(_PLAIN, duplicates="union"),
    "union-ft": replace(_PLAIN, duplicates="union", layout="ft"),
    "one-row": replace(_PLAIN, freq_bins=1, frames=17, count=5),
    "one-frame": replace(_PLAIN, frames=1, freq_bins=8, count=3),
    "batch": replace(_PLAIN, batch=2, heads=2, head_dim=32, scale=0.5),
    "only-same": replace(_PLAIN, count=None),
    "no-shared": replace(_PLAIN, count=0),
    "only-cross": replace(_PLAIN, same_frequency=False),
    "all-shared": replace(_PLAIN, count=39, duplicates="union"),
    "large-scores": replace(_PLAIN, magnitude=30.0),
    "window": replace(_PLAIN, time_window=2),
    "window-ft": replace(_PLAIN, time_window=3, layout="ft"),
    "window-union": replace(_PLAIN, time_window=3, duplicates="union"),
    "window-only-same": replace(_PLAIN, time_window=4, count=None),
    "wide-window": replace(_PLAIN, time_window=20),
    # Scores enough for blocks of queries on a CPU (`fused.LEAST_SCORES`).
    "long": replace(_PLAIN, frames=256, freq_bins=2, head_dim=32, count=256),
}


def cases() -> Iterator[KernelCase]:
    """Give every shape in float32, and the main ones in the other dtypes."""
    for name, inputs in _SHAPES.items():
        for dtype, tolerance in TOLERANCES.items():
            if dtype is torch.float32 or name in ("plain", "union-ft", "window-union"):
                yield KernelCase(
                    f"{name}-{str(dtype).removeprefix('torch.')}",
                    replace(inputs, dtype=dtype),
                    LOOSE.get(name, tolerance),
                    {"head_dim": inputs.head_dim, "time_window": inputs.time_window},
                )
