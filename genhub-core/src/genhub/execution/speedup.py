"""How much faster one variant is than another, with the interval that the measurements allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["UNTOLD", "Speedup", "in_words", "speedup", "timing_rows"]

RESAMPLES = 10_000
SEED = 0
COVERED = 0.95
UNTOLD = "no difference can be told"


@dataclass(frozen=True)
class Speedup:
    """The ratio of median times, reference to variant, and its 95 % interval."""

    ratio: float
    low: float
    high: float


def speedup(reference: Sequence[float], variant: Sequence[float]) -> Speedup:
    """Compare times that were taken in the same rounds, one of each per round.

    The interval is the percentile bootstrap (Efron 1979) of the ratio of medians. Rounds are drawn
    whole, so that what slowed both in a round down does not widen it. Equal rounds in another order
    give an equal result.
    """
    import numpy as np

    rounds = np.array(sorted(zip(reference, variant, strict=True)))  # [rounds, 2]
    drawn = np.random.default_rng(SEED).integers(len(rounds), size=(RESAMPLES, len(rounds)))
    medians = np.median(rounds[drawn], axis=1)  # [RESAMPLES, 2]
    tail = (1 - COVERED) / 2
    low, high = np.quantile(medians[:, 0] / medians[:, 1], [tail, 1 - tail])
    ratio = np.median(rounds[:, 0]) / np.median(rounds[:, 1])
    return Speedup(float(ratio), float(low), float(high))


def in_words(found: Speedup) -> str:
    """Write `1.24 (1.20 to 1.29)`; where the interval holds 1, that no difference can be told."""
    interval = f"({found.low:.3g} to {found.high:.3g})"
    if found.low <= 1 <= found.high:
        return f"{UNTOLD} {interval}"
    return f"{found.ratio:.3g} {interval}"


def timing_rows(timing: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Write the figures of a manifest's `timing`, by row and variant."""
    rows: dict[str, dict[str, str]] = {"ms per step": {}, "ms per sample": {}}
    versus = rows.setdefault(f"times as fast as {timing['reference']}", {})
    for name, found in timing["variants"].items():
        if found["ms_per_step"] is not None:
            rows["ms per step"][name] = f"{found['ms_per_step']:.4g}"
        rows["ms per sample"][name] = f"{found['ms_per_sample']:.4g}"
        if "speedup" in found:
            versus[name] = in_words(Speedup(**found["speedup"]))
    return rows
