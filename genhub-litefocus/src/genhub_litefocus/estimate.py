"""What a length of sound costs before it is made: arithmetic, memory, and what would help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genhub.api import GenHubError
from genhub_litefocus.plugin import LiteFocusConfig

__all__ = ["Estimate", "Level", "Memory", "Option", "estimate"]


@dataclass(frozen=True)
class Level:
    """The self-attentions of one resolution of the denoiser; FLOP are two per multiply-add."""

    level: int
    frames: int
    freq_bins: int
    attentions: int  # self-attentions over time x frequency
    sparse: int  # of which LiteFocus takes so many
    full: float  # FLOP of one call for one sample, projections included
    focus: float

    @property
    def tokens(self) -> int:
        """Count the tokens of a sequence."""
        return self.frames * self.freq_bins


@dataclass(frozen=True)
class Option:
    """What a denoiser call for one sample costs with other fields of the config."""

    settings: str  # as written in YAML
    flops: float
    ratio: float  # full attention's FLOP over these


@dataclass(frozen=True)
class Memory:
    """Bytes for one sample in float32; guidance doubles those of the denoiser's activations."""

    weights: int  # of the denoiser
    latent: int
    activations: int  # of the denoiser's largest layer, and what waits for its second half
    scores: int  # that attention without a fused kernel holds, at its largest site
    fused: int  # queries, keys, values and result of that site
    focus: int  # the same with LiteFocus, which copies them row by row
    picture: int  # of the autoencoder's largest layer, for the whole length
    picture_scores: int  # that its attention holds without a fused kernel
    decoding: int  # what decoding keeps in memory, as configured
    files: int  # and in files

    @property
    def needed(self) -> int:
        """Give the most that is held at once: in a call with guidance, or while decoding."""
        call = 2 * (self.activations + self.focus)
        return self.weights + self.latent + max(call, self.decoding)


@dataclass(frozen=True)
class Estimate:
    """The estimate for one model and one length; `str()` gives it as tables and sentences."""

    model: str
    seconds: float
    rate: float  # latent frames per second
    levels: tuple[Level, ...]
    full: float  # FLOP of one denoiser call for one sample, as the model is
    focus: float  # with LiteFocus
    options: tuple[Option, ...]
    memory: Memory
    quadratic_from: float  # seconds from which attention's scores cost more than all the rest
    quadratic_from_focus: float
    advice: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """Give how many times fewer FLOP a call has with LiteFocus."""
        return self.full / self.focus

    def __str__(self) -> str:
        """Lay it out."""
        from genhub_litefocus.tables import estimate_text

        return estimate_text(self)


def estimate(
    source: Any, seconds: float, config: LiteFocusConfig | Mapping[str, Any] | None = None
) -> Estimate:
    """Estimate one denoiser call, and the decoding, of `seconds` of sound without making any.

    `source` is a pipeline, a denoiser, a model folder, `tiny:NAME` or a hub id; only its configs
    are used, weights are not needed. `config` is a LiteFocusConfig or the fields of
    its block (None: the published ones). Counted are matrix products and convolutions, two FLOP
    per multiply-add, for one sample; guidance doubles them.

        print(estimate("cvssp/audioldm2", 80.0))

    Raises GenHubError for a source that cannot be read, for a denoiser without a time x frequency
    latent and for a config that does not fit it; ValueError for seconds that are not above 0.
    """
    from genhub_litefocus.counting import counted

    if not seconds > 0:
        raise ValueError(f"seconds is {seconds}: it must be above 0.")
    return counted(source, float(seconds), _block(config))


def _block(config: LiteFocusConfig | Mapping[str, Any] | None) -> dict[str, Any]:
    """Give the fields of a block, without its type; the host checks them."""
    if config is None:
        return {}
    if isinstance(config, LiteFocusConfig):
        return config.model_dump(exclude_unset=True)
    if config.get("type", "litefocus") != "litefocus":
        raise GenHubError("GH305", f"the block is of type {config['type']!r}, not litefocus")
    return {key: value for key, value in config.items() if key != "type"}
