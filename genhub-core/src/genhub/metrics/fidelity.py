"""How near a variant's pictures are to the baseline's, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

from genhub.api import Artifact, Metric, Run

__all__ = ["Psnr", "Ssim"]

# What PSNR of equal pictures counts as in a mean: no 8-bit pair of up to 8 megapixels reaches it.
EQUAL_DB = 120.0


class Psnr(Metric):
    """Mean peak signal-to-noise ratio against the baseline, in dB."""

    needs: ClassVar[frozenset[str]] = frozenset({"baseline", "pictures"})
    summary = "peak signal-to-noise ratio against the baseline, dB; 120 where pictures are equal"

    def __call__(
        self, run: Run, artifacts: Sequence[Artifact], baseline: Iterable[Artifact] = ()
    ) -> dict[str, float]:
        """Give the mean over pairs; nothing for the baseline itself."""
        from genhub.metrics.pictures import psnr

        return _mean("psnr", [min(v, EQUAL_DB) for v in _pairs(run, artifacts, baseline, psnr)])


class Ssim(Metric):
    """Mean structural similarity to the baseline."""

    needs: ClassVar[frozenset[str]] = frozenset({"baseline", "pictures"})
    summary = "structural similarity to the baseline, 1 where pictures are equal"

    def __call__(
        self, run: Run, artifacts: Sequence[Artifact], baseline: Iterable[Artifact] = ()
    ) -> dict[str, float]:
        """Give the mean over pairs; nothing for the baseline itself."""
        from genhub.metrics.pictures import ssim

        return _mean("ssim", list(_pairs(run, artifacts, baseline, ssim)))


def _pairs(
    run: Run,
    artifacts: Sequence[Artifact],
    baseline: Iterable[Artifact],
    compare: Callable[[Any, Any], float],
) -> Iterator[float]:
    """Compare each picture with the baseline's of the same sample."""
    from genhub.metrics.pictures import open_picture

    partner = {a.sample.index: a for a in baseline}
    for artifact in artifacts:
        other = partner.get(artifact.sample.index)
        if other is not None:
            pictures = [open_picture(run.folder / a.path) for a in (other, artifact)]
            yield compare(*pictures)


def _mean(name: str, values: Sequence[float]) -> dict[str, float]:
    return {name: math.fsum(values) / len(values)} if values else {}
