"""Draw the tokens that every query sees beside its own row (cross-frequency compensation)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Generator, Tensor

from genhub.api import stateless_generator
from genhub_litefocus.kernels.tokens import LAYOUTS

__all__ = ["SAMPLERS", "focus_indices"]


def focus_indices(
    frames: int,
    freq_bins: int,
    count: int,
    *,
    sampler: str = "random",
    seed: int = 0,
    key: Iterable[int | str] = (),
    layout: str = "tf",
) -> Tensor:
    """Choose `count` different tokens of a grid of `frames` x `freq_bins`: int64 `[count]`, on CPU.

    `random` draws uniformly; `stratified` gives every row its share, spread over equal segments of
    time (rows differ by one token unless `freq_bins` divides `count`, and a token of a segment that
    is shorter by one frame is drawn the more often); `strided` spaces tokens
    evenly over time while rows take turns, without chance. These are sorted and are functions of
    their arguments alone: `seed`, and `key`, whatever else draws should differ by (step, module).
    `reference` is one `torch.randperm` on the global generator, as published, and not sorted.
    Raises ValueError for an unknown sampler or layout and a count outside 0 .. frames * freq_bins.
    Source: LiteFocus, arXiv 2407.10468, section 3.3.

    >>> focus_indices(4, 2, 4, sampler="strided")
    tensor([0, 3, 4, 7])
    """
    if frames < 1 or freq_bins < 1:
        raise ValueError(f"a grid of {frames} frames x {freq_bins} bins has no tokens.")
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler is {sampler!r}: choose one of {', '.join(SAMPLERS)}.")
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}: choose one of {', '.join(LAYOUTS)}.")
    tokens = frames * freq_bins
    if not 0 <= count <= tokens:
        raise ValueError(f"count is {count}: choose 0 to {tokens}, the tokens of the grid.")
    if sampler == "reference":
        return torch.randperm(tokens)[:count]
    generator = stateless_generator(seed, sampler, tokens, *key)
    frame, row = _DRAWS[sampler](frames, freq_bins, count, generator)
    drawn = frame * freq_bins + row if layout == "tf" else row * frames + frame
    return drawn.sort().values


def _random(frames: int, bins: int, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    drawn = torch.randperm(frames * bins, generator=generator)[:count]
    return drawn // bins, drawn % bins


def _stratified(frames: int, bins: int, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    share, extra = divmod(count, bins)
    longer = set(torch.randperm(bins, generator=generator)[:extra].tolist())
    drawn, rows = [], []
    for row in range(bins):
        segments = share + (row in longer)
        borders = torch.arange(segments + 1) * frames // max(1, segments)
        width = borders.diff()
        within = (torch.rand(segments, generator=generator, dtype=torch.float64) * width).long()
        drawn.append(borders[:-1] + within)
        rows.append(torch.full((segments,), row))
    return torch.cat(drawn), torch.cat(rows)


def _strided(frames: int, bins: int, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    # Two draws of one row lie bins * frames / count >= 1 frames apart, so none is drawn twice.
    order = torch.arange(count)
    return order * frames // max(1, count), order % bins


_DRAWS = {"random": _random, "stratified": _stratified, "strided": _strided}
SAMPLERS = (*_DRAWS, "reference")
