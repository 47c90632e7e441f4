"""Geometry of mel latents: the grid of a level, the tokens that are drawn, what a query sees."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

__all__ = [
    "Settings",
    "count_drawn",
    "keys_on_average",
    "keys_per_query",
    "level_grid",
    "mel_bins_of",
    "rate_of",
]


@dataclass(frozen=True)
class Settings:
    """What the mixer does, with everything resolved that the config leaves open."""

    same_frequency: bool
    cross_frequency: bool
    sparse_ratio: float
    max_compensation: int | None
    sampler: str
    indices: tuple[int, ...] | None
    resample: str
    seed: int
    reseed: int | None  # of the global generator, for sampler `reference`
    duplicates: str
    time_window: int | None
    freq_bins: int | None
    layout: str  # "tf" | "ft"
    min_seconds: float
    step_range: tuple[float, float]
    rate: float | None  # latent frames per second, None where the pipeline does not tell

    def oriented(self, rows: int, cols: int) -> tuple[int, int]:
        """Give (frames, frequency bins) of a picture of `rows` x `cols`."""
        return (rows, cols) if self.layout == "tf" else (cols, rows)

    def too_short(self, frames: int) -> bool:
        """Say whether so many frames of the latent are below `min_seconds`."""
        return self.rate is not None and frames / self.rate < self.min_seconds - 1e-9

    def share(self, frames: int) -> float:
        """Give the share of the steps in which it takes part, for so many frames of the latent."""
        first, last = self.step_range
        return 0.0 if self.too_short(frames) else last - first


def level_grid(frames: int, freq_bins: int, level: int) -> tuple[int, int]:
    """Halve a latent's grid `level` times, as strided convolutions of kernel 3, padding 1 do.

    >>> level_grid(53, 16, 1), level_grid(53, 16, 3)
    ((27, 8), (7, 2))
    """
    half = 1 << level
    return -(-frames // half), -(-freq_bins // half)


def count_drawn(settings: Settings, tokens: int) -> int:
    """Count the shared tokens of a grid: floor(N r), bounded; 0 without cross-frequency."""
    if not settings.cross_frequency:
        return 0
    if settings.indices is not None:
        return len(settings.indices)
    drawn = int(tokens * settings.sparse_ratio)
    return drawn if settings.max_compensation is None else min(drawn, settings.max_compensation)


def keys_per_query(settings: Settings, frames: int, freq_bins: int) -> float:
    """Give how many keys a query sees, on average: of its own row, and drawn.

    With `union` a drawn token of the own row counts once; how many those are is an expectation.
    """
    drawn = float(count_drawn(settings, frames * freq_bins))
    own = _own_row(frames, settings.time_window) if settings.same_frequency else 0.0
    if settings.duplicates == "union" and settings.same_frequency:
        drawn -= drawn * own / (frames * freq_bins)
    return own + drawn


def keys_on_average(settings: Settings, frames: int, freq_bins: int, share: float) -> float:
    """Give the keys per query over all steps, of which only a share is sparse."""
    tokens = frames * freq_bins
    return share * keys_per_query(settings, frames, freq_bins) + (1 - share) * tokens


def _own_row(frames: int, window: int | None) -> float:
    if window is None or window >= frames:
        return float(frames)
    starts = range(0, frames, window)
    seen = sum(
        (min(frames, start + window) - start)
        * (min(frames, start + 2 * window) - max(0, start - window))
        for start in starts
    )
    return seen / frames


def mel_bins_of(pipeline: Any) -> int | None:
    """Give how many mel bins a pipeline's vocoder reads, None where none tells."""
    config: Any = getattr(getattr(pipeline, "vocoder", None), "config", None)
    bins = getattr(config, "model_in_dim", None)
    return None if bins is None else int(bins)


def rate_of(pipeline: Any, factor: int) -> float | None:
    """Give a pipeline's latent frames per second, from its vocoder and its autoencoder's factor."""
    config: Any = getattr(getattr(pipeline, "vocoder", None), "config", None)
    if not hasattr(config, "upsample_rates") or not hasattr(config, "sampling_rate"):
        return None
    return float(config.sampling_rate / prod(config.upsample_rates) / factor)
