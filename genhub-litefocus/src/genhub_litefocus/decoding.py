"""From latents to sound in memory that does not grow with the length of the sound.

The latents are decoded to a mel picture block by block (`vae_stream`), and the vocoder makes sound
of each block (`vocoder_stream`). Both give what the pipeline gives by itself, up to rounding; there
are no seams. What waits for the whole length lies in temporary files.
"""

from __future__ import annotations

import errno
import inspect
import logging
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import Tensor

from genhub.api import GenHubError
from genhub_litefocus import vae_stream, vocoder_stream
from genhub_litefocus.spill import Workspace

if TYPE_CHECKING:
    from genhub.api import Context, Request, Sink

__all__ = ["decode_to_sink", "stream_audio", "streamed_decoding"]

CHUNK_SECONDS = 5.0
PLAIN = "let the pipeline decode by itself: attention: [{type: litefocus, decode: pipeline}]"

log = logging.getLogger("genhub")


def stream_audio(
    pipe: Any,
    latents: Tensor,
    *,
    seconds: float | None = None,
    chunk_seconds: float = CHUNK_SECONDS,
    workspace: str | Path | None = None,
) -> Iterator[Tensor]:
    """Yield the sound of denoised latents in chunks [B, samples], float32 on the CPU.

    `latents` [B, C, T, F], time on axis 2, are what `pipe(..., output_type="latent").audios` gives.
    The sound ends after `seconds` (None: with what the vocoder makes of the last frame). No chunk
    is longer than `chunk_seconds`. Activations that do not fit into a fixed amount of memory go to
    files without a name in the folder `workspace` (None: that of TMPDIR), about 10 MB for each
    second at the size of AudioLDM2. Raises at once ValueError for latents that are none of this
    pipeline or for lengths that are not positive, NotADirectoryError where `workspace` is no
    folder; OSError on the way where the folder has too little room.

        latents = pipe("rain", audio_length_in_s=320.0, output_type="latent").audios
        for chunk in stream_audio(pipe, latents):
            file.write(chunk[0].numpy())
    """
    _check(latents, pipe)
    sample = 1 / pipe.vocoder.config.sampling_rate
    _check_length("seconds", seconds, "the sound", sample)
    _check_length("chunk_seconds", chunk_seconds, "a chunk", sample)
    _check_folder(workspace)
    about = pipe.vae.config
    shift = getattr(about, "shift_factor", None) or 0.0
    handed = latents / about.scaling_factor + shift
    return _sound_of(pipe, handed, seconds, chunk_seconds, workspace)


def decode_to_sink(latents: Tensor, request: Request, sink: Sink, ctx: Context) -> None:
    """Write the sound of latents to the sink of a request as it is made.

    `latents` [B, C, T, F] are those that the pipeline hands to its autoencoder. Raises GenHubError
    (GH305) for a pipeline whose sound is not made by a vocoder from latents with time on axis 2.
    """
    try:
        _check(latents, ctx.pipeline)
    except ValueError as error:
        raise GenHubError("GH305", str(error), hint=PLAIN) from error
    known = inspect.signature(type(ctx.pipeline).__call__).parameters
    default = known["audio_length_in_s"].default if "audio_length_in_s" in known else None
    seconds = request.call.get("audio_length_in_s", default)
    for chunk in _sound_of(ctx.pipeline, latents, seconds, CHUNK_SECONDS, None):
        for row, samples in enumerate(chunk):
            sink.write(samples, row)


@contextmanager
def streamed_decoding(pipe: Any) -> Iterator[None]:
    """Let a pipeline decode in bounded memory while the block lasts, with the same results.

    Its `vae.decode` and the forward of its vocoder are replaced; a part that cannot be streamed
    stays as it is, with a warning. A pipeline without these parts is left alone.
    """
    vae, vocoder = getattr(pipe, "vae", None), getattr(pipe, "vocoder", None)
    with ExitStack() as stack:
        if vae is not None and vocoder is not None:
            if _streams(vae):
                stack.enter_context(_replaced(vae, "decode", StreamedDecode(vae, vae.decode)))
            forward = StreamedForward(vocoder, vocoder.forward)
            stack.enter_context(_replaced(vocoder, "forward", forward))
        yield


class StreamedDecode:
    """Stands for `vae.decode`: the same picture, made block by block."""

    def __init__(self, vae: Any, decode: Any) -> None:
        self.vae, self.decode = vae, decode

    def __call__(
        self, z: Tensor, return_dict: bool = True, generator: Any = None
    ) -> DecoderOutput | tuple[Tensor]:
        """Decode latents [B, C, T, F]; where gradients are wanted, at once."""
        if torch.is_grad_enabled():
            return self.decode(z, return_dict=return_dict)
        with Workspace() as workspace:
            sample = torch.cat(list(vae_stream.decoded(self.vae, z, workspace)), 2)
        return DecoderOutput(sample=sample) if return_dict else (sample,)


class StreamedForward:
    """Stands for the forward of a vocoder: the same sound, made piece by piece."""

    def __init__(self, vocoder: Any, forward: Any) -> None:
        self.vocoder, self.forward = vocoder, forward

    def __call__(self, spectrogram: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Make the waveform [B, samples] of a mel picture [B, frames, bins]; or [frames, bins]."""
        most = _frames_in(CHUNK_SECONDS, self.vocoder)
        is_piece = bool(args or kwargs) or spectrogram.shape[-2] <= 2 * most
        if is_piece or torch.is_grad_enabled():
            return self.forward(spectrogram, *args, **kwargs)
        mel = spectrogram if spectrogram.ndim == 3 else spectrogram[None]
        pieces = vocoder_stream.sounded(self.vocoder, [mel], most, self.forward)
        sound = torch.cat(list(pieces), 1)
        return sound if spectrogram.ndim == 3 else sound[0]


@torch.no_grad()
def _sound_of(
    pipe: Any,
    latents: Tensor,
    seconds: float | None,
    chunk_seconds: float,
    folder: str | Path | None,
) -> Iterator[Tensor]:
    """Yield the sound of latents as the autoencoder takes them."""
    vae, vocoder = pipe.vae, pipe.vocoder
    most = _frames_in(chunk_seconds, vocoder)
    left = None if seconds is None else int(seconds * vocoder.config.sampling_rate)
    with Workspace(folder) as workspace:
        mels = _mels(vae, latents.to(vae.dtype), workspace, most)
        for piece in vocoder_stream.sounded(vocoder, mels, most):
            piece = piece[:, :left].cpu().float()
            left = None if left is None else left - piece.shape[1]
            yield piece
            if left == 0:
                return


def _mels(vae: Any, latents: Tensor, workspace: Workspace, most: int) -> Iterator[Tensor]:
    """Yield mel frames [B, t, bins]; at once where the autoencoder cannot be streamed."""
    if _streams(vae):
        pictures = vae_stream.decoded(vae, latents, workspace, most)
    else:
        pictures = iter([vae.decode(latents).sample])
    for picture in pictures:
        yield picture.squeeze(1)


def _streams(vae: Any) -> bool:
    reason = vae_stream.why_not(vae)
    if reason is not None:
        log.warning("the latents are decoded at once, in memory that grows with length: %s", reason)
    return reason is None


def _frames_in(seconds: float, vocoder: Any) -> int:
    """Give the mel frames of `seconds`, at least one."""
    return max(1, int(seconds * vocoder.config.sampling_rate / vocoder_stream.hop_of(vocoder)))


def _check(latents: Tensor, pipe: Any) -> None:
    """Raise ValueError unless these are latents whose axis 2 is the time of this pipeline."""
    if getattr(pipe, "vocoder", None) is None:
        raise ValueError(f"{type(pipe).__name__} has no vocoder, which would make the sound")
    channels, bins = pipe.vae.config.latent_channels, pipe.vocoder.config.model_in_dim
    width = bins // vae_stream.upscaling(pipe.vae) if vae_stream.why_not(pipe.vae) is None else None
    shape = tuple(latents.shape)
    fits = len(shape) == 4 and shape[1] == channels and shape[2] > 0
    if not fits or (width is not None and shape[3] != width):
        raise ValueError(
            f"latents of shape {list(shape)} are none of this {type(pipe).__name__}: they are "
            f"[batch, {channels}, time, {width or 'frequency'}]"
        )


def _check_length(name: str, seconds: float | None, what: str, sample: float) -> None:
    if seconds is not None and not sample <= seconds < math.inf:
        raise ValueError(f"{name} is {seconds}: {what} lasts at least one sample, {sample:.3g} s")


def _check_folder(workspace: str | Path | None) -> None:
    if workspace is not None and not Path(workspace).is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR, "workspace is no folder: create it, or leave workspace out", workspace
        )


@contextmanager
def _replaced(thing: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute of one object, and leave the object as it was."""
    missing = object()
    before = vars(thing).get(name, missing)
    setattr(thing, name, value)
    try:
        yield
    finally:
        if before is missing:
            delattr(thing, name)
        else:
            setattr(thing, name, before)
