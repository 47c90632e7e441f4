"""How the Triton kernel cuts its work, by number format, head size and device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import triton

__all__ = ["Tiling", "memory_of", "tiling"]


@dataclass(frozen=True)
class Tiling:
    """How the work is cut: queries and keys per tile, warps per program, tiles in flight."""

    queries: int
    keys: int
    warps: int
    stages: int
    precision: str = "ieee"  # of products of float32; half precision has but one


# By head size: tilings, the fastest first, then those for devices whose blocks share less. Times:
# benchmarks/results/focus_tiles_cuda.json; of tilings a few percent apart it is the one that keeps
# in registers what it holds. Float32 beyond 32 dimensions never does, and was not timed.
_HALF = {
    32: (Tiling(64, 64, 4, 3),),
    64: (Tiling(128, 64, 8, 3), Tiling(64, 64, 4, 2)),
    128: (Tiling(128, 64, 8, 3), Tiling(128, 32, 8, 2)),
}
_FULL = {
    32: (Tiling(128, 32, 8, 2, "tf32x3"), Tiling(64, 32, 4, 2, "tf32x3")),
    64: (Tiling(64, 32, 4, 2, "tf32x3"), Tiling(32, 32, 4, 2, "tf32x3")),
    128: (Tiling(64, 32, 4, 2, "tf32x3"), Tiling(32, 16, 4, 2, "tf32x3")),
}


def tiling(dtype: torch.dtype, head_dim: int, frames: int, memory: int = 101376) -> Tiling:
    """Return the tiles for a head size: a table, so that a new length compiles nothing new.

    `memory` is what a block of the device may share, in bytes; by default the least of any
    device since Ampere.
    """
    table = _FULL if dtype == torch.float32 else _HALF
    choices = table[next(size for size in table if head_dim <= size)]
    fitting = (tiles for tiles in choices if _shared_bytes(tiles, dtype, head_dim) <= memory)
    chosen = next(fitting, choices[-1])
    shortest = max(16, triton.next_power_of_2(frames))
    return replace(chosen, queries=min(chosen.queries, shortest))


def _shared_bytes(tiles: Tiling, dtype: torch.dtype, head_dim: int) -> int:
    """Return no less than the compiler takes: queries, and keys and values of tiles in flight."""
    vectors = tiles.queries + 2 * tiles.stages * tiles.keys
    held = vectors * max(16, triton.next_power_of_2(head_dim)) * dtype.itemsize
    # Products in three parts hold parts of the queries and keys besides.
    return held * 3 // 2 + 1024 if tiles.precision == "tf32x3" else held + 1024


@lru_cache
def memory_of(device: torch.device) -> int:
    """Return the bytes that a block may share on a device; the interpreter shares any number."""
    if device.type != "cuda":
        return 1 << 30
    properties = triton.runtime.driver.active.utils.get_device_properties(device.index)
    return int(properties["max_shared_mem"])
