"""The drivers around tiny:tones, without its libraries: the metric of its captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from genhub.api import Artifact, Metric, Run

__all__ = ["ToneAccuracy"]


class ToneAccuracy(Metric):
    """Share of two-second windows that are right: all attributes together, and each alone."""

    needs: ClassVar[frozenset[str]] = frozenset({"captions", "sounds"})
    summary = "share of two-second windows that sound as their caption says (tones world)"

    def check_caption(self, caption: str) -> None:
        """Raise ValueError for what is no caption of the world of tones."""
        from genhub_litefocus.tones import world

        world.parse(caption)

    def __call__(
        self, run: Run, artifacts: Sequence[Artifact], baseline: Iterable[Artifact] = ()
    ) -> dict[str, float]:
        """Judge every sound; `joint` comes first. Raises GenHubError where one cannot be judged."""
        from genhub.api import GenHubError
        from genhub_litefocus.tones.judge import judge, shares
        from genhub_litefocus.tones.recording import read_sound

        verdicts = []
        for artifact in artifacts:
            try:
                waveform, rate = read_sound(run.folder / artifact.path)
                verdicts += judge(waveform, artifact.sample.prompt or "", rate)
            except ValueError as error:
                raise GenHubError(
                    "GH305",
                    f"tone-accuracy cannot judge {artifact.path}: {error}",
                    hint="take it out of `metrics:`; what was made is kept",
                ) from error
        return {f"tone-accuracy/{name}": share for name, share in shares(verdicts).items()}
