"""What an estimate leads to: sentences on length, cost, fields that help, and memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from genhub_litefocus.focus import TRAINED_SECONDS
from genhub_litefocus.sizes import bytes_in_words

if TYPE_CHECKING:
    from genhub_litefocus.estimate import Estimate
    from genhub_litefocus.plugin import LiteFocusConfig

__all__ = ["advice"]

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
    memory, (device, room) = made.memory, _device()
    if config.decode == "pipeline" and memory.picture:
        yield (
            f"decode: pipeline holds {bytes_in_words(memory.picture)} of one layer of the "
            f"autoencoder, and {bytes_in_words(memory.picture_scores)} of scores where its "
            "attention has no fused kernel; decode: stream does not grow with the length"
        )
    if room is not None and memory.needed > room:
        growing = memory.needed - memory.weights
        until = made.seconds * max(0.0, (room - memory.weights) / growing)
        yield (
            f"about {bytes_in_words(memory.needed)} are needed at once with guidance in float32, "
            f"and {device} has {bytes_in_words(room)}, enough for {until:.0f} s: dtype: bf16 "
            "halves it, guidance: 1.0 nearly so, and decode: stream keeps decoding small"
        )


def _device() -> tuple[str, int | None]:
    """Name the device that a run would choose, and give its bytes of memory."""
    if torch.cuda.is_available():
        return "the GPU", int(torch.cuda.get_device_properties(0).total_memory)
    try:
        return "this machine", os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return "this machine", None
