"""Turn the size of a run (pixels, frames, seconds) into the size of one denoiser call."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from genhub.plan.probe import Family, Size

__all__ = ["Asked", "Fit", "default_of", "fit"]

# Mel bins of a bare audio denoiser: 64 bins, an autoencoder that divides by 4.
_MEL_CELLS = 16


@dataclass(frozen=True)
class Asked:
    """The size that a run asks for; None = the pipeline's default."""

    height: int | None = None  # pixels
    width: int | None = None
    frames: int | None = None
    seconds: float | None = None  # of audio


@dataclass(frozen=True)
class Fit:
    """A denoiser call's size, pixels per latent cell, and what could not be honoured."""

    size: Size
    factor: int
    note: str = ""


def fit(pipeline: Any, denoiser: Any, family: Family, asked: Asked) -> Fit:
    """Work out rows and columns as the pipelines of this family do."""
    factor = _factor(pipeline)
    vocoder = getattr(pipeline, "vocoder", None)
    note = ""
    if vocoder is not None and hasattr(vocoder.config, "upsample_rates"):
        rows, cols = _mel_cells(denoiser, vocoder, factor, asked.seconds)
    else:
        rows, cols = _cells(pipeline, denoiser, family, factor, asked)
        if asked.seconds is not None and asked.height is None:
            note = "seconds have no meaning for this pipeline: sites are those of its default size"
    frames = asked.frames or default_of(pipeline, "num_frames")
    frames = frames or denoiser.config.get("num_frames") or family.frames
    times = int(getattr(pipeline, "vae_scale_factor_temporal", family.temporal))
    size = Size(rows, cols, _latent_frames(int(frames), times), _text_tokens(pipeline, family))
    return Fit(size, factor, note)


def default_of(pipeline: Any, argument: str) -> Any:
    """Give the default of an argument of the pipeline's call, None where there is none."""
    parameter = inspect.signature(type(pipeline).__call__).parameters.get(argument)
    return None if parameter is None or parameter.default is parameter.empty else parameter.default


def _factor(pipeline: Any) -> int:
    for name in ("vae_scale_factor", "vae_scale_factor_spatial"):
        if hasattr(pipeline, name):
            return int(getattr(pipeline, name))
    return 8


def _latent_frames(frames: int, times: int) -> int:
    """Count frames of the latent: the first one alone, then one per `times` frames.

    Pipelines round what is asked to `times` k + 1 frames, upwards where the rest is 2 or more.
    """
    return frames if times == 1 else frames // times + 1


def _cells(
    pipeline: Any, denoiser: Any, family: Family, factor: int, asked: Asked
) -> tuple[int, int]:
    native = denoiser.config.get("sample_size") or family.sample_size
    if family.patch:  # transformers take what the pipeline says: Flux has no sample_size
        native = getattr(pipeline, "default_sample_size", native)
    pair = tuple(native) if isinstance(native, tuple | list) else (native, native)
    if family.modality == "audio" and not isinstance(native, tuple | list):
        pair = (native, _MEL_CELLS)
    step = max(1, family.patch)
    cells = []
    for pixels, name, default in zip(
        (asked.height, asked.width), ("height", "width"), pair, strict=True
    ):
        known = pixels or default_of(pipeline, name) or default * factor
        cells.append(step * (int(known) // (factor * step)))
    return cells[0], cells[1]


def _mel_cells(denoiser: Any, vocoder: Any, factor: int, seconds: float | None) -> tuple[int, int]:
    config = vocoder.config
    cols = int(config.model_in_dim) // factor
    if seconds is None:
        return int(denoiser.config["sample_size"]), cols
    frames = int(seconds * config.sampling_rate / prod(config.upsample_rates))
    return max(1, ceil(frames / factor)), cols


def _text_tokens(pipeline: Any, family: Family) -> int:
    """Give the prompt's padded length; some tokenizers declare an absurd one, meaning none."""
    if family.patch:
        return family.text
    length = getattr(getattr(pipeline, "tokenizer", None), "model_max_length", family.text)
    return int(length) if 0 < length <= 1024 and family.text > 1 else family.text
