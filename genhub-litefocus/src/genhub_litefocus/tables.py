"""An estimate as text: levels, whole calls, memory, advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genhub_litefocus.sizes import bytes_in_words, flop_in_words, table

if TYPE_CHECKING:
    from genhub_litefocus.estimate import Estimate

__all__ = ["estimate_text"]


def estimate_text(made: Estimate) -> str:
    """Lay an estimate out for a terminal."""
    parts = [
        f"{made.model}, {made.seconds:g} s of sound at {made.rate:g} latent frames a second; one "
        "denoiser call for one sample",
        "\n".join(_levels(made)),
        "\n".join(_calls(made)),
        "\n".join(_memory(made)),
        "\n".join(f"- {sentence}" for sentence in made.advice),
    ]
    return "\n\n".join(parts)


def _levels(made: Estimate) -> list[str]:
    head = ("level", "frames", "bins", "tokens", "attentions", "sparse", "full", "litefocus")
    rows = [
        (
            str(one.level), str(one.frames), str(one.freq_bins), str(one.tokens),
            str(one.attentions), str(one.sparse), flop_in_words(one.full), flop_in_words(one.focus),
        )
        for one in made.levels
    ]  # fmt: skip
    return table([head, *rows])


def _calls(made: Estimate) -> list[str]:
    rows = [
        ("whole denoiser", "", "times fewer"),
        ("full attention", flop_in_words(made.full), ""),
        ("litefocus", flop_in_words(made.focus), f"{made.ratio:.2f}"),
        *((f"  with {one.settings}", flop_in_words(one.flops), f"{one.ratio:.2f}")
          for one in made.options),
    ]  # fmt: skip
    return table(rows)


def _memory(made: Estimate) -> list[str]:
    held = made.memory
    rows = [
        ("memory, one sample in float32", ""),
        ("denoiser's weights", bytes_in_words(held.weights)),
        ("latent", bytes_in_words(held.latent)),
        ("denoiser's activations, attention aside", bytes_in_words(held.activations)),
        ("largest attention: scores, where not fused", bytes_in_words(held.scores)),
        ("largest attention: fused", bytes_in_words(held.fused)),
        ("largest attention: litefocus", bytes_in_words(held.focus)),
    ]
    if held.picture:
        rows += [("decoding at once: largest layer", bytes_in_words(held.picture))]
    if held.picture_scores:
        rows += [("decoding at once: scores, where not fused", bytes_in_words(held.picture_scores))]
    if held.files:
        rows += [("decoding piece by piece: in files", bytes_in_words(held.files))]
    return table(rows)
