"""A model without its weights: what an estimate needs of a pipeline, a folder, a hub repository."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import torch
from torch import nn

from genhub.api import GenHubError, Registries

__all__ = ["MEL_RATE", "Skeleton", "skeleton_of"]

MEL_RATE = 100.0  # mel frames per second of AudioLDM, AudioLDM2, MusicLDM, Tango and Auffusion
MEL_BINS = 64
MEL_FACTOR = 4  # of their autoencoders
DENOISERS = ("unet", "transformer")


@dataclass(frozen=True)
class Skeleton:
    """Denoiser and autoencoder on the meta device, and what the vocoder says of time."""

    name: str
    component: str
    denoiser: nn.Module
    vae: nn.Module | None
    bins: int  # mel bins
    rate: float  # mel frames per second
    factor: int  # mel cells per latent cell, along both axes
    vocoder: bool  # whether there is one, which says bins and rate
    note: str  # what was assumed

    def size(self, seconds: float, freq_bins: int | None) -> tuple[int, int]:
        """Give frames and frequency bins of the latents of so many seconds."""
        frames = ceil(int(seconds * self.rate) / self.factor)
        return max(1, frames), freq_bins or self.bins // self.factor

    def pipeline(self, layout: str) -> Any:
        """Give what attaching takes for a pipeline, with a vocoder where it says how long it is."""
        made = type(self.name, (), {"__call__": lambda self: None})()
        vars(made).update({self.component: self.denoiser, "vae_scale_factor": self.factor})
        if self.timed(layout):
            config = SimpleNamespace(
                model_in_dim=self.bins, sampling_rate=self.rate, upsample_rates=(1,)
            )
            made.vocoder = SimpleNamespace(config=config)
        return made

    def timed(self, layout: str) -> bool:
        """Say whether a length in seconds is one of this pipeline: it has a vocoder, time first."""
        return self.vocoder and layout != "ft"


def skeleton_of(source: Any) -> Skeleton:
    """Take the skeleton of a pipeline, a denoiser, a folder, `tiny:NAME` or a hub repository.

    Of folders and repositories only the configs are read. Raises GenHubError for a source that is
    none of them (GH501), that is no pipeline (GH502), cannot be reached (GH503) or read (GH506).
    """
    if isinstance(source, nn.Module):
        return _of_denoiser(source)
    if isinstance(source, str) and source.startswith("tiny:"):
        model = Registries().get("models").load(source.removeprefix("tiny:"))()
        return _of_pipeline(model.load(torch.float32, torch.device("cpu")))
    if isinstance(source, str | Path):
        return _of_files(str(source))
    return _of_pipeline(source)


def _of_denoiser(denoiser: nn.Module) -> Skeleton:
    word = "transformer" if "Transformer" in type(denoiser).__name__ else "unet"
    return _made(type(denoiser).__name__, word, _twin(denoiser), None, None)


def _of_pipeline(pipe: Any) -> Skeleton:
    name = next((n for n in DENOISERS if isinstance(getattr(pipe, n, None), nn.Module)), None)
    if name is None:
        raise GenHubError(
            "GH407",
            f"{type(pipe).__name__} has no denoiser: neither of {', '.join(DENOISERS)}",
            hint="give a diffusers pipeline, its denoiser, or the folder of a model",
        )
    vae, vocoder = getattr(pipe, "vae", None), getattr(pipe, "vocoder", None)
    return _made(
        type(pipe).__name__, name, _twin(getattr(pipe, name)), None if vae is None else _twin(vae),
        getattr(vocoder, "config", None),
    )  # fmt: skip


def _of_files(source: str) -> Skeleton:
    index = _json(source, "model_index.json")
    name = next((n for n in DENOISERS if _named(index, n)), None)
    if name is None:
        raise GenHubError(
            "GH502", f"{source} has no denoiser: its model_index.json names neither of "
            f"{', '.join(DENOISERS)}",
        )  # fmt: skip
    denoiser = _from_config(source, name, index[name][1])
    vae = _from_config(source, "vae", index["vae"][1]) if _named(index, "vae") else None
    vocoder = None
    if _named(index, "vocoder"):
        vocoder = SimpleNamespace(**_json(source, "vocoder/config.json"))
    return _made(str(index["_class_name"]), name, denoiser, vae, vocoder)


def _named(index: dict[str, Any], name: str) -> bool:
    entry = index.get(name)
    return isinstance(entry, list) and len(entry) == 2 and entry[1] is not None


def _made(
    title: str, component: str, denoiser: nn.Module, vae: nn.Module | None, vocoder: Any
) -> Skeleton:
    factor, notes = MEL_FACTOR, []
    widths = getattr(getattr(vae, "config", None), "block_out_channels", None)
    if widths is None:
        widths = getattr(getattr(vae, "config", None), "encoder_block_out_channels", None)
    if widths is not None:
        factor = 2 ** (len(widths) - 1)
    elif vae is None:
        notes.append(f"an autoencoder of factor {factor}")
    bins, rate = MEL_BINS, MEL_RATE
    timed = vocoder is not None and hasattr(vocoder, "upsample_rates")
    if timed:
        bins, rate = int(vocoder.model_in_dim), vocoder.sampling_rate / prod(vocoder.upsample_rates)
    else:
        notes.append(f"{MEL_BINS} mel bins and {MEL_RATE:g} mel frames a second")
    note = f"assumed, as nothing says otherwise: {' and '.join(notes)}" if notes else ""
    return Skeleton(title, component, denoiser, vae, bins, float(rate), factor, timed, note)


def _twin(module: nn.Module) -> nn.Module:
    """Build the same architecture without memory; the module and random state stay as they are."""
    module = getattr(module, "_orig_mod", module)
    return _without_memory(type(module), dict(module.config))


def _without_memory(cls: Any, config: dict[str, Any]) -> nn.Module:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        made: nn.Module = cls.from_config(config)
    return made.to("meta").eval()


def _from_config(source: str, name: str, class_name: str) -> nn.Module:
    cls = getattr(diffusers, class_name, None)
    if cls is None:
        raise GenHubError(
            "GH506",
            f"{source} cannot be read: its {name} is a {class_name}, which diffusers "
            f"{diffusers.__version__} does not have",
        )
    try:
        return _without_memory(cls, _json(source, f"{name}/config.json"))
    except (TypeError, ValueError, KeyError) as error:
        raise GenHubError(
            "GH506", f"the {name} of {source} cannot be built from its config: {error}"
        ) from error


def _json(source: str, name: str) -> dict[str, Any]:
    folder = Path(source).expanduser()
    path = folder / name if folder.is_dir() else None
    if path is None:
        path = _from_hub(source, name)
    elif not path.is_file():
        raise GenHubError(
            "GH502", f"{folder.resolve()} is no diffusers pipeline: it has no {name}",
            hint="give the folder that save_pretrained() wrote",
        )  # fmt: skip
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise GenHubError("GH506", f"{path} cannot be read: {error}") from error
    return read


def _from_hub(source: str, name: str) -> Path:
    """Bring one config of a hub repository into the cache."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if source.count("/") != 1 or Path(source).expanduser().parent.is_dir():
        raise GenHubError(
            "GH501",
            f"there is no model {source!r}",
            hint="give tiny:NAME, an existing folder, or a hub id 'owner/name'",
        )
    try:
        return Path(hf_hub_download(source, name))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, HFValidationError) as error:
        if isinstance(error, HfHubHTTPError):
            message = f"{source} on the hub cannot be read: it has no {name}, or is private"
            raise GenHubError("GH506", message) from error
        raise GenHubError(
            "GH503", f"{name} of {source} is not in the local cache, and the hub cannot be reached",
            hint="a mistyped folder is taken for a hub id; tiny:tones needs no network",
        )  from error  # fmt: skip
