"""What the entry point names: the mixer `litefocus` and its config; imports no torch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from genhub.api import (
    AttentionMixer,
    Built,
    Context,
    Needs,
    PluginConfig,
    Request,
    Sink,
    Site,
    Where,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genhub_litefocus.focus import Focus
    from genhub_litefocus.processor import FocusProcessor

__all__ = ["LiteFocus", "LiteFocusConfig"]

log = logging.getLogger("genhub")

PAPER = "LiteFocus: Accelerated Diffusion Inference for Long Audio Synthesis (arXiv 2407.10468)"

Share = Annotated[float, Field(ge=0, le=1)]


class LiteFocusConfig(PluginConfig):
    """Block `attention: - type: litefocus`.

    Which levels are served is `where: {level: first}` (the default: the finest that has
    self-attention, as published), `where: {level: all}` or a number or range; which kernel
    computes it is `kernels: {focus_attention: ...}`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"sparse_ratio": 0.25},
                {"sampler": "stratified", "duplicates": "union", "decode": "pipeline"},
                {"time_window": 2, "max_compensation": 3, "resample": "run", "decode": "pipeline"},
            ]
        }
    )

    same_frequency: bool = Field(
        True, description="each token sees its own frequency row, at all times"
    )
    cross_frequency: bool = Field(
        True, description="each token sees a few drawn tokens, the same for all"
    )
    sparse_ratio: float = Field(
        0.1, ge=0, le=1, description="share of all tokens that are drawn; published: 0.1"
    )
    max_compensation: int | None = Field(
        None, ge=0, description="most tokens that are drawn, however long the sound; null: no limit"
    )
    sampler: Literal["random", "reference", "stratified", "strided", "given"] = Field(
        "random",
        description="random: uniform; stratified: an equal share of every row and time; strided: "
        "evenly spaced, without chance; given: the tokens of `indices`; reference: from torch's "
        "global generator in the order of calls, as published",
    )
    indices: list[Annotated[int, Field(ge=0)]] | None = Field(
        None, description="with sampler: given, the numbers of the tokens, none twice"
    )
    resample: Literal["call", "step", "run"] = Field(
        "call", description="draw anew for every attention call, every step, or once"
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=2**63 - 1,
        description="of the draws; null: from the run's seed. With sampler: reference, torch's "
        "global generator is set to it when a generation begins; null: it is taken as it is",
    )
    duplicates: Literal["count", "union"] = Field(
        "count",
        description="a drawn token of the query's own row: count takes it twice, as the published "
        "code does, union once, as the paper does",
    )
    time_window: int | None = Field(
        None,
        ge=1,
        description="frames of the level per block: a token sees its own block of its row and both "
        "neighbours, at a cost linear in time; null: the whole row",
    )
    freq_bins: int | None = Field(
        None, ge=1, description="frequency bins of the latent; null: as its shape says"
    )
    layout: Literal["auto", "tf", "ft"] = Field(
        "auto",
        description="order of the latent's axes: tf [B, C, time, frequency], ft [B, C, frequency, "
        "time]; auto: tf for models of audio",
    )
    min_seconds: float = Field(
        0.0,
        ge=0,
        description="for shorter sound the model's own attention is left as it is; 10.24, the "
        "length that AudioLDM models are trained on, is a good choice",
    )
    step_range: tuple[Share, Share] = Field(
        (0.0, 1.0), description="from which share of the denoising steps to which it takes part"
    )
    repair_heads: bool = Field(
        False,
        description="run AudioLDM2 with heads of 32 channels, as its authors did; diffusers reads "
        "the published files as 8 heads everywhere. Seeds then give other sound than before",
    )
    decode: Literal["auto", "stream", "pipeline"] = Field(
        "auto",
        description="stream: spectrogram and sound are decoded piece by piece, in memory that does "
        "not grow with their length; pipeline: at once, as the pipeline does; auto: stream, but "
        "pipeline for layout: ft and where there is no vocoder",
    )

    @property
    def streams(self) -> bool:
        """Say whether sound is decoded piece by piece, by a pipeline that has a vocoder."""
        return self.decode != "pipeline" and self.layout != "ft"

    @field_validator("step_range")
    @classmethod
    def _is_a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] < value[1]:
            raise ValueError(f"{list(value)} is no range: write the lower share first")
        return value

    @field_validator("indices")
    @classmethod
    def _has_none_twice(cls, value: list[int] | None) -> list[int] | None:
        if value is not None and len(set(value)) < len(value):
            again = next(one for place, one in enumerate(value) if one in value[:place])
            raise ValueError(f"token {again} stands there twice: give each once")
        return value

    @model_validator(mode="after")
    def _sees_something(self) -> LiteFocusConfig:
        if not (self.same_frequency or self.cross_frequency):
            raise ValueError(
                "same_frequency and cross_frequency are both off: a token would see nothing; turn "
                "one of them on"
            )
        if self.decode == "stream" and self.layout == "ft":
            raise ValueError(
                "decode: stream goes along axis 2 of the latents, which is frequency with layout: "
                "ft: write decode: pipeline"
            )
        if (self.sampler == "given") != (self.indices is not None):
            raise ValueError("sampler: given and indices: [...] go together: write both or neither")
        if self.sampler == "reference" and self.resample != "call":
            raise ValueError(
                f"sampler: reference draws for every call, so resample: {self.resample} has no "
                "meaning: use sampler: random"
            )
        if not self.same_frequency and self.sampler == "given" and not self.indices:
            raise ValueError(
                "without same_frequency a token sees the tokens of indices alone, and none stands "
                "there: give some"
            )
        if not self.same_frequency and (self.sparse_ratio == 0 or self.max_compensation == 0):
            raise ValueError(
                "without same_frequency a token sees drawn tokens alone, and none would be drawn: "
                "raise sparse_ratio or max_compensation above 0"
            )
        return self

    @model_validator(mode="after")
    def _has_no_idle_fields(self) -> LiteFocusConfig:
        for off, why, names in _IDLE:
            if not off(self):
                continue
            idle = [name for name in names if getattr(self, name) != _default_of(name)]
            if idle:
                verb, it = ("has", "it") if len(idle) == 1 else ("have", "them")
                raise ValueError(f"{why}, so {' and '.join(idle)} {verb} no effect: leave {it} out")
        return self


def _default_of(field: str) -> Any:
    return LiteFocusConfig.model_fields[field].default


# When a field would be read by nothing: the condition, in words, and the fields.
_IDLE: tuple[tuple[Callable[[LiteFocusConfig], bool], str, tuple[str, ...]], ...] = (
    (
        lambda config: not config.same_frequency,
        "same_frequency is off",
        ("time_window",),
    ),
    (
        lambda config: not config.cross_frequency,
        "cross_frequency is off",
        ("indices", "max_compensation", "seed"),
    ),
    (
        lambda config: config.sampler == "given",
        "sampler: given draws nothing",
        ("sparse_ratio", "max_compensation", "resample", "seed"),
    ),
    (
        lambda config: config.sampler == "strided",
        "sampler: strided has no chance in it",
        ("resample", "seed"),
    ),
)


class LiteFocus(AttentionMixer):
    """Let tokens of a spectrogram see their own frequency row and a few shared tokens."""

    Config = LiteFocusConfig
    summary = "sparse attention for long audio from mel UNets"
    paper = PAPER
    default_where = Where(kind="self", axis="spatial", level="first")

    def __init__(self, config: LiteFocusConfig | None = None) -> None:
        super().__init__(config)
        self.focus: dict[str, Focus] = {}  # by component
        self.repairs: list[str] = []

    def needs(self) -> Needs:
        """Ask for whole sequences, and for the decoding where it is streamed."""
        owns = frozenset({"vae-decode"} if self.config.streams else ())
        return Needs(sequence="whole", owns=owns, disown="decode: pipeline" if owns else "")

    def accepts(self, site: Site, attn: nn.Module) -> str | None:
        """Take self-attention over a grid of time and frequency."""
        from genhub_litefocus.processor import ineligible

        if site.stage == "blocks":
            return "litefocus needs a 2-D time x frequency latent; this model has a 1-D sequence"
        if site.kind != "self":
            return "is cross-attention"
        if site.axis != "spatial":
            return f"mixes {site.axis} tokens"
        if site.level is None or site.grid is None:
            return "is not known to attend over a grid of time x frequency"
        return ineligible(attn)

    @contextmanager
    def prepare(self, ctx: Context) -> Iterator[None]:
        """Repair what cannot run, and watch the lengths of the denoiser's calls."""
        from genhub_litefocus.advice import shortage
        from genhub_litefocus.decoding import streamed_decoding
        from genhub_litefocus.focus import Focus
        from genhub_litefocus.repair import repaired
        from genhub_litefocus.settings import settings_of

        settings = settings_of(self.config, ctx)
        if (short := shortage(ctx, self.config)) is not None:
            log.warning("%s", short)
        with ExitStack() as stack:
            self.repairs = stack.enter_context(
                repaired(ctx.pipeline, heads=self.config.repair_heads)
            )
            if self.decodes(ctx):
                stack.enter_context(streamed_decoding(ctx.pipeline))
            for name, denoiser in ctx.denoisers.items():
                self.focus[name] = Focus(settings, ctx.clock, name)
                stack.enter_context(self.focus[name].watching(denoiser))
            try:
                yield
            finally:
                self.focus, self.repairs = {}, []

    def build(self, site: Site, attn: nn.Module, ctx: Context) -> FocusProcessor:
        """Make the processor of one site; it starts with the size that the plan has seen."""
        from genhub_litefocus.processor import FocusProcessor
        from genhub_litefocus.settings import planned_share

        focus = self.focus[site.component]
        kernel = ctx.kernel(
            "focus_attention", head_dim=attn.inner_dim // attn.heads,
            time_window=self.config.time_window,
        )  # fmt: skip
        built = FocusProcessor(attn, site.module_path, site.level or 0, focus.settings, kernel)
        built.share = planned_share(focus.settings, ctx)
        focus.add(built)
        return built

    def decodes(self, ctx: Context) -> bool:
        """Decode where a vocoder makes the sound."""
        has_vocoder = getattr(ctx.pipeline, "vocoder", None) is not None
        return bool(self.config.streams) and has_vocoder

    def decode(self, latents: Tensor, request: Request, sink: Sink, ctx: Context) -> None:
        """Write the sound of latents to the sink as it is made."""
        from genhub_litefocus.decoding import decode_to_sink

        decode_to_sink(latents, request, sink, ctx)

    def macs(self, site: Site, attn: nn.Module, built: FocusProcessor) -> int | None:
        """Count four projections, and scores and values of the keys that a query sees.

        Where it steps aside, and in the steps outside its range, those are all.
        """
        if site.tokens is None or site.grid is None:
            return None
        from genhub_litefocus.grid import keys_on_average

        inner = attn.inner_dim
        grid = built.settings.oriented(*site.grid)
        keys = keys_on_average(built.settings, *grid, built.share)
        return site.tokens * 4 * site.channels * inner + round(2 * inner * site.tokens * keys)

    def reset(self) -> None:
        """Begin a generation: the published sampler starts from its seed."""
        for focus in self.focus.values():
            focus.begin()

    def report(self, built: Built) -> list[dict[str, Any]]:
        """Say what every site sees: at the size of its last call, else at the plan's."""
        return [{"path": site.path, **processor.facts(site)} for site, processor in built.items()]

    def notes(self) -> list[str]:
        """Tell the repairs that the pipeline got."""
        return [f"repaired: {repair}" for repair in self.repairs]
