"""The drivers around tiny:tones, without its libraries: the model and the metric of captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from genhub.api import Artifact, GenHubError, Metric, ModelSource, Run

__all__ = ["ToneAccuracy", "Tones"]


class Tones(ModelSource):
    """A Stable Diffusion pipeline whose pictures are mel spectrograms of tones, beeps and noise."""

    modality = "audio"
    license = "CC0-1.0"
    summary = "tones, beeps, sweeps and noise from captions, 16 kHz"

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(str(files("genhub_litefocus") / "tones" / "weights"))

    def load(self, dtype: Any, device: Any) -> Any:
        """Load it from the package; raises GH502 where its weights are not there."""
        if not (self.folder / "model_index.json").is_file():
            raise GenHubError(
                "GH502",
                f"this installation lacks the weights of tiny:tones: {self.folder} holds none",
                hint="reinstall genhub-litefocus, or train the model: "
                "python -m genhub_litefocus.train_tones",
            )
        from genhub_litefocus.tones import model

        return model.load(self.folder, dtype)


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
