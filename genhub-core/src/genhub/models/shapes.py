"""tiny:shapes, the text-to-picture model of coloured shapes that ships with GenHub."""

from __future__ import annotations

import logging
from importlib.resources import files
from pathlib import Path
from typing import Any

from genhub.api import GenHubError, ModelSource

__all__ = ["Shapes"]

log = logging.getLogger("genhub")


class Shapes(ModelSource):
    """A genuine StableDiffusionPipeline of 64 x 64 pixels, trained by `genhub.shapes.train`."""

    modality = "image"
    license = "CC0-1.0"
    summary = "coloured shapes from captions, 64 x 64 pixels"

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(str(files("genhub") / "shapes" / "model"))

    def load(self, dtype: Any, device: Any) -> Any:
        """Load it from the package; raises GH502 where its weights are not there."""
        if not (self.folder / "model_index.json").is_file():
            raise GenHubError(
                "GH502",
                f"this installation lacks the weights of tiny:shapes: {self.folder} holds none",
                hint="reinstall genhub-core, or train the model: python -m genhub.shapes.train",
            )
        from diffusers import StableDiffusionPipeline

        return StableDiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
            str(self.folder), dtype=dtype, use_safetensors=True, local_files_only=True
        )

    def request(self, input: Any, sampling: Any) -> dict[str, Any]:
        """Need nothing special; tell which prompts are outside the little that it has learned."""
        from genhub.execution.requests import read_prompts
        from genhub.shapes import scenes

        for given in read_prompts(input.prompts):
            prompt = given if isinstance(given, str) else given.text
            try:
                scenes.parse(prompt)
            except ValueError as error:
                log.warning("tiny:shapes has learned nothing else than its captions: %s", error)
                break
        return {}
