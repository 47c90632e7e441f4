"""Is in the picture what its caption says? Known without a network for the world of shapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from genhub.api import Artifact, Metric, Run

__all__ = ["CaptionAccuracy"]


class CaptionAccuracy(Metric):
    """Share of pictures that are right: all attributes together, and each alone."""

    needs: ClassVar[frozenset[str]] = frozenset({"captions", "pictures"})
    summary = "share of pictures that show what their caption says (shapes world)"

    def check_caption(self, caption: str) -> None:
        """Raise ValueError for what is no caption of the shapes world."""
        from genhub.shapes import scenes

        scenes.parse(caption)

    def __call__(
        self, run: Run, artifacts: Sequence[Artifact], baseline: Iterable[Artifact] = ()
    ) -> dict[str, float]:
        """Judge every picture; `joint` comes first."""
        from genhub.metrics.pictures import open_picture
        from genhub.shapes.judge import caption_accuracy

        pictures = [open_picture(run.folder / a.path) for a in artifacts]
        shares = caption_accuracy(pictures, [a.sample.prompt or "" for a in artifacts])
        first = sorted(shares, key=lambda name: not name.endswith("joint"))
        return {f"caption-accuracy/{name}": shares[name] for name in first}
