"""Put a plan in place on one rank: handshake, hooks, split guidance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import diffusers
import torch
from torch.nn import Module

from genhub.api import Communicator, Context, GuidanceSplit
from genhub_asyncdiff.checks import check_denoiser, check_loaded, warn_of_cutting
from genhub_asyncdiff.engine import Engine, Options
from genhub_asyncdiff.halved import HalvedEngine
from genhub_asyncdiff.hooks import ControlHook, DenoiserHook, PartHook, hooked
from genhub_asyncdiff.pipelined import PipelinedEngine
from genhub_asyncdiff.plan import cores, installed_plan, written_config
from genhub_asyncdiff.ranks import RankEngine
from genhub_asyncdiff.shards import sharded

if TYPE_CHECKING:
    from genhub_asyncdiff.plan import AsyncPlan
    from genhub_asyncdiff.plugin import AsyncDiffConfig

__all__ = ["Installed", "check_all", "hooks_of", "installed", "options_of"]

_ENGINES: dict[str, type[RankEngine]] = {
    "replicate": RankEngine,
    "cfg": HalvedEngine,
    "pipeline": PipelinedEngine,
}


@dataclass
class Installed:
    """What the host sees of it: who has the output; the pipeline's own call makes it."""

    output_ranks: tuple[int, ...]
    engine: Engine = field(repr=False)
    generate: None = None

    def stats(self) -> dict[str, Any]:
        """Count denoiser calls by phase, since this was attached."""
        return {"calls": dict(self.engine.calls)}


@contextmanager
def installed(config: AsyncDiffConfig, ctx: Context, plan: AsyncPlan) -> Iterator[Installed]:
    """Compute this rank's part of every denoiser while the context lasts."""
    stage, cfg = ctx.comm, None
    if plan.guidance_split:
        lines = ctx.comm.split(cfg=2, stage=plan.form.world)
        stage, cfg = lines["stage"], lines["cfg"]
    denoisers = cores(ctx)
    for name, denoiser in denoisers.items():
        check_loaded(name, denoiser)
    _shake_hands(ctx, ctx.comm)
    plan = installed_plan(config, ctx, plan)
    check_all(ctx, plan)
    engine = _ENGINES[config.warmup_mode](ctx, plan.form, plan.cuttings, options_of(config), stage)
    with ExitStack() as stack:
        if config.shard_weights:
            stack.enter_context(sharded(denoisers, plan.cuttings, plan.form, stage))
        stack.enter_context(_ending(engine))
        stack.enter_context(hooked(hooks_of(engine, ctx)))
        if cfg is not None:
            stack.enter_context(GuidanceSplit(ctx, cfg))
        yield Installed(plan.output_ranks, engine)


def check_all(ctx: Context, plan: AsyncPlan) -> None:
    """Raise what stands in the way of a plan, and warn of what spoils it."""
    for name, cutting in plan.cuttings.items():
        check_denoiser(name, cores(ctx)[name], cutting)
        if ctx.comm.rank == 0:
            warn_of_cutting(plan.form, name, cutting)


def options_of(config: AsyncDiffConfig) -> Options:
    """Give what the engine is told beside the schedule."""
    return Options(config.extrapolate, config.comm_dtype, config.refresh_threshold, config.overlap)


def hooks_of(engine: Engine, ctx: Context) -> list[tuple[Module, Any]]:
    """List modules and the hooks that they get: denoisers, their parts, ControlNets."""
    hooks: list[tuple[Module, Any]] = []
    for name, cutting in engine.cuttings.items():
        denoiser = cores(ctx)[name]
        hooks.append((denoiser, DenoiserHook(engine, name)))
        hooks += [(denoiser.get_submodule(path), PartHook(engine, path)) for path in cutting.parts]
    control = getattr(ctx.pipeline, "controlnet", None)
    if isinstance(control, Module):
        hooks.append((control, ControlHook(engine)))
    return hooks


@contextmanager
def _ending(engine: RankEngine) -> Iterator[None]:
    """Wait at the end for what is under way, unless something has failed."""
    try:
        yield
    except BaseException:
        engine.end(lost=True)
        raise
    engine.end()


def _shake_hands(ctx: Context, comm: Communicator) -> None:
    """Raise GH609 where ranks differ in versions, architecture or weights."""
    facts: dict[str, Any] = {"torch": torch.__version__, "diffusers": diffusers.__version__}
    for name, denoiser in cores(ctx).items():
        first = next(denoiser.parameters())
        facts[f"architecture of {name}"] = written_config(denoiser)
        facts[f"dtype of {name}"] = str(first.dtype)
        facts[f"memory format of {name}"] = _is_channels_last(denoiser)
        facts[f"weights of {name}"] = _fingerprint(denoiser)
    comm.same(**facts)


def _is_channels_last(denoiser: Module) -> bool:
    weights = [p for p in denoiser.parameters() if p.ndim == 4 and min(p.shape[1:]) > 1]
    return any(not p.is_contiguous() for p in weights)


def _fingerprint(denoiser: Module) -> float:
    """Sum up a few numbers of every parameter."""
    with torch.no_grad():
        few = [p.detach().reshape(-1)[:16].double().sum() for p in denoiser.parameters()]
        return float(torch.stack(few).sum())
