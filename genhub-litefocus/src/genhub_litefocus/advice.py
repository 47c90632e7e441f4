"""What an estimate leads to: sentences on length, cost, fields that help, and memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from genhub_litefocus.focus import TRAINED_SECONDS
from genhub_litefocus.grid import rate_of
from genhub_litefocus.sizes import bytes_in_words

if TYPE_CHECKING:
    from genhub.api import Context
    from genhub_litefocus.estimate import Estimate
    from genhub_litefocus.plugin import LiteFocusConfig

__all__ = ["advice", "shortage"]

LONG = 4 * TRAINED_SECONDS  # seconds of sound from which a run is looked at before it begins
FLOAT = 4  # bytes in which an estimate counts
WORTH = 1.02  # a field is proposed where a call has so many times fewer FLOP


def advice(made: Estimate, config: LiteFocusConfig, note: str) -> tuple[str, ...]:
    """Give everything worth saying about an estimate, in order."""
    said = [*_on_length(made, config), *_on_fields(made), *_on_memory(made, config)]
    return (*said, note) if note else tuple(said)


def _on_length(made: Estimate, config: LiteFocusConfig) -> Iterator[str]:
    if made.seconds < config.min_seconds:
        yield f"below min_seconds ({config.min_seconds:g}) litefocus steps aside"
    elif made.seconds < TRAINED_SECONDS:
        yield (
            f"below {TRAINED_SECONDS} s full attention is as good and as fast: "
            f"min_seconds: {TRAINED_SECONDS} leaves it in place"
        )
    share = "less" if made.seconds < made.quadratic_from else "more"
    yield (
        f"the part of full attention that grows with the square of the length costs {share} than "
        f"all the rest: both are equal at {made.quadratic_from:.0f} s"
        f"{_later(made.quadratic_from, made.quadratic_from_focus)}"
    )


def _later(full: float, focus: float) -> str:
    if focus == float("inf"):
        return "; with litefocus nothing grows so"
    return f", with litefocus at {focus:.0f} s" if focus > full else ""


def _on_fields(made: Estimate) -> Iterator[str]:
    for option in made.options:
        better = made.focus / option.flops
        if better >= WORTH:
            yield f"{option.settings}: {better:.2f} times fewer FLOP than as configured"


def _on_memory(made: Estimate, config: LiteFocusConfig) -> Iterator[str]:
    memory = made.memory
    if config.decode == "pipeline" and memory.picture:
        yield (
            f"decode: pipeline holds {bytes_in_words(memory.picture)} of one layer of the "
            f"autoencoder, and {bytes_in_words(memory.picture_scores)} of scores where its "
            "attention has no fused kernel; decode: stream does not grow with the length"
        )
    short = _short(made, FLOAT, "cuda" if torch.cuda.is_available() else "cpu")
    if short is not None:
        yield short


def shortage(ctx: Context, config: LiteFocusConfig) -> str | None:
    """Say, for a long sound that is about to be made, that memory will not suffice; else None."""
    from genhub_litefocus.estimate import estimate

    parameter = next(next(iter(ctx.denoisers.values())).parameters())
    rate, shape = rate_of(ctx.pipeline, ctx.facts.latent.factor), ctx.facts.latent.shape
    if parameter.is_meta or rate is None or config.layout == "ft" or shape[-2] < LONG * rate:
        return None
    made = estimate(ctx.pipeline, shape[-2] / rate, config)
    return _short(made, parameter.element_size(), parameter.device.type)


def _short(made: Estimate, size: int, device: str) -> str | None:
    """Compare what is needed, in numbers of `size` bytes, with what a device has."""
    (name, room), weights = _memory_of(device), made.memory.weights * size // FLOAT
    needed = made.memory.needed * size // FLOAT
    if room is None or needed <= room:
        return None
    until = made.seconds * max(0.0, (room - weights) / (needed - weights))
    half = "dtype: bf16 and guidance: 1.0" if size == FLOAT else "guidance: 1.0"
    return (
        f"about {bytes_in_words(needed)} are needed at once for one sample with guidance in "
        f"{8 * size} bits, and {name} has {bytes_in_words(room)}, enough for {until:.0f} s: "
        f"{half} take nearly half of it away, and decode: stream keeps decoding small"
    )


def _memory_of(device: str) -> tuple[str, int | None]:
    """Name a device, and give its bytes of memory."""
    if device == "cuda":
        return "the GPU", int(torch.cuda.get_device_properties(0).total_memory)
    try:
        return "this machine", os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return "this machine", None
