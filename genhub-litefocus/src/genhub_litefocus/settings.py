"""Resolve a config for one pipeline, and say what the pipeline cannot give it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genhub.api import Context, GenHubError
from genhub_litefocus.grid import Settings, mel_bins_of, rate_of

if TYPE_CHECKING:
    from genhub_litefocus.plugin import LiteFocusConfig

__all__ = ["planned_share", "settings_of"]


def settings_of(config: LiteFocusConfig, ctx: Context) -> Settings:
    """Resolve what the config leaves to the pipeline; raises GenHubError for what cannot be."""
    rate = rate_of(ctx.pipeline, ctx.facts.latent.factor)
    _check_latent(config, ctx)
    _check_bins(config, ctx)
    _check_parts(config, ctx, rate)
    _check_order(config, ctx)
    seed = config.seed if config.seed is not None else ctx.generator("litefocus").initial_seed()
    fields = config.model_dump(exclude={"type", "where", "repair_heads", "decode"})
    return Settings(
        **{
            **fields,
            "indices": None if config.indices is None else tuple(config.indices),
            "layout": "tf" if config.layout == "auto" else config.layout,
            "seed": seed,
            "reseed": config.seed if config.sampler == "reference" else None,
            "rate": rate,
        }
    )


def planned_share(settings: Settings, ctx: Context) -> float:
    """Give the share of the steps in which it takes part, at the size of the plan."""
    shape = ctx.facts.latent.shape
    frames = settings.oriented(*shape[-2:])[0] if shape else 0
    return settings.share(frames)


def _check_latent(config: LiteFocusConfig, ctx: Context) -> None:
    """Raise GH407 unless latents are pictures of which one axis is known to be time."""
    facts, name = ctx.facts, type(ctx.pipeline).__name__
    if facts.latent.axes not in ("BCTF", "BCHW"):
        raise GenHubError(
            "GH407",
            "litefocus needs a 2-D time x frequency latent; "
            f"{name} has latents {facts.latent.axes} {list(facts.latent.shape)}",
        )
    if config.layout == "auto" and facts.latent.axes != "BCTF":
        raise GenHubError(
            "GH407",
            f"litefocus cannot tell time from frequency: {name} is taken for a model of "
            f"{facts.modality}s, with latents {list(facts.latent.shape)}",
            hint="for mel spectrograms write, in the block of litefocus, layout: tf where latents "
            "are [B, C, time, frequency], and layout: ft where they are [B, C, frequency, time]",
        )


def _check_bins(config: LiteFocusConfig, ctx: Context) -> None:
    """Raise where frequency is not where the vocoder says: a latent is never read sideways."""
    mel, latent, name = mel_bins_of(ctx.pipeline), ctx.facts.latent, type(ctx.pipeline).__name__
    if mel is None or latent.axes != "BCTF":
        return
    bins = mel // latent.factor
    told = f"the vocoder of {name} reads {mel} mel bins, which are {bins} columns of its latents"
    if config.layout == "ft":
        raise GenHubError(
            "GH305",
            f"litefocus.layout is ft, and {told} {list(latent.shape)}: its {latent.shape[-2]} "
            "rows are frames, and would be taken for frequency bins",
            hint="leave layout out",
        )
    if config.freq_bins not in (None, bins):
        raise GenHubError(
            "GH302", f"litefocus.freq_bins is {config.freq_bins}, and {told}",
            hint="leave freq_bins out",
        )  # fmt: skip


def _check_parts(config: LiteFocusConfig, ctx: Context, rate: float | None) -> None:
    """Raise where a field needs a vocoder or a scheduler that the pipeline lacks."""
    pipeline, name = ctx.pipeline, type(ctx.pipeline).__name__
    if config.decode == "stream" and hasattr(pipeline, "vae") and not hasattr(pipeline, "vocoder"):
        raise GenHubError(
            "GH305",
            f"litefocus.decode is stream, and {name} has no vocoder, which would make the sound",
            hint="write decode: pipeline",
        )
    if config.min_seconds and rate is None:
        raise GenHubError(
            "GH302",
            f"litefocus.min_seconds is {config.min_seconds:g}, and {name} has no vocoder that says "
            "how many frames a second has",
            hint="leave min_seconds out",
        )
    if config.step_range != (0.0, 1.0) and not hasattr(pipeline, "scheduler"):
        raise GenHubError(
            "GH302",
            f"litefocus.step_range is {list(config.step_range)}, and {name} has no scheduler that "
            "says which step is computed",
            hint="attach to the pipeline, or leave step_range out",
        )


def _check_order(config: LiteFocusConfig, ctx: Context) -> None:
    """Raise where draws from the global generator would not be what they are meant to be."""
    if config.sampler != "reference":
        return
    if ctx.comm.world > 1:
        raise GenHubError(
            "GH404",
            "sampler: reference draws in the order of calls from one generator, which "
            f"{ctx.comm.world} ranks do not share",
            hint="use sampler: random, whose draws are the same on every rank",
        )
    if config.seed is not None and not hasattr(ctx.pipeline, "scheduler"):
        raise GenHubError(
            "GH302",
            f"litefocus.seed is {config.seed}, and {type(ctx.pipeline).__name__} has no scheduler "
            "that says when a generation begins, for sampler: reference to start from it",
            hint="leave seed out and call torch.manual_seed before each generation",
        )
