"""Toy drivers: mixers, a scheduler that brings its own loop, kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from pydantic import Field

from genhub.api import (
    AttentionMixer,
    Availability,
    Kernel,
    Needs,
    ParallelScheduler,
    PluginConfig,
    Shard,
    Task,
    Where,
)


class GainConfig(PluginConfig):
    gain: float = Field(2.0, gt=0, le=10, description="factor of the attention's output")


class GainProcessor:
    def __init__(self, gain: float) -> None:
        self.gain = gain
        self.softmax = AttnProcessor2_0()

    def __call__(self, attn, hidden_states, *args, **kwargs):
        return self.gain * self.softmax(attn, hidden_states, *args, **kwargs)


class Gain(AttentionMixer):
    """Scales what attention gives, by a processor."""

    Config = GainConfig
    summary = "scale attention"
    default_where = Where(kind="self")

    def accepts(self, site, attn):
        return "it is temporal" if site.axis == "temporal" else None

    def build(self, site, attn, ctx):
        return GainProcessor(self.config.gain)

    def report(self, built):
        return [{"path": site.path, "gain": thing.gain} for site, thing in built.items()]


class Averaging(torch.nn.Module):
    """Every token becomes a learned map of the mean token."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out = torch.nn.Linear(channels, channels)

    def forward(self, hidden_states, encoder_hidden_states=None, attention_mask=None, **kwargs):
        return self.out(hidden_states.mean(1, keepdim=True)).expand_as(hidden_states)


class Mean(AttentionMixer):
    """Replaces attention modules by modules with weights."""

    default_where = Where(kind="self", axis="spatial")

    def build(self, site, attn, ctx):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(site.index)
            return Averaging(site.channels)

    def load(self, built, ctx):
        self.loaded = len(built)

    def save(self, built, folder):
        weights = {site.path: module.state_dict() for site, module in built.items()}
        torch.save(weights, folder / "mean.pt")


class Watch(AttentionMixer):
    """Reads the clock: before each call, and inside the processor."""

    default_where = Where(kind="self", level=0, stage="down")

    def __init__(self, config=None) -> None:
        super().__init__(config)
        self.calls: list[tuple[int, int, int, str | None, float]] = []
        self.evaluations: list[tuple[int, int, float]] = []  # which, of how many, and its time
        self.inside: list[float] = []
        self.resets = 0
        self.prepared = 0

    @contextmanager
    def prepare(self, ctx) -> Iterator[None]:
        self.prepared += 1
        try:
            yield
        finally:
            self.prepared -= 1

    def build(self, site, attn, ctx):
        seen, clock, inner = self.inside, ctx.clock, attn.processor

        class Reader:
            def __call__(self, attn, *args, **kwargs):
                seen.append(float(clock.t))
                return inner(attn, *args, **kwargs)

        return Reader()

    def before_call(self, ctx):
        clock = ctx.clock
        self.calls.append((clock.step, clock.steps, clock.call, clock.branch, float(clock.t)))
        if clock.timesteps is not None:
            times = [float(t) for t in clock.timesteps]
            self.evaluations.append((clock.evaluation, len(times), times[clock.evaluation]))

    def reset(self):
        self.resets += 1


class WholeConfig(PluginConfig):
    modalities: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    owns: frozenset[str] = frozenset()
    world: tuple[int, int] = (1, 10**9)
    sequence: str = "any"


class Wanting(Gain):
    """A mixer that needs what its config says."""

    Config = WholeConfig
    default_where = Where()

    def accepts(self, site, attn):
        return None

    def needs(self):
        return Needs(**{key: getattr(self.config, key) for key in WholeConfig.model_fields})

    def build(self, site, attn, ctx):
        return GainProcessor(1.0)

    def report(self, built):
        return []


class Idle(Task):
    """Does nothing with a model and its mixers."""

    reads = frozenset({"model", "attention", "parallel"})


@dataclass
class LoopPlan:
    world: int
    frames: Shard | None = None

    def timeline(self) -> str:
        return "\n".join(f"rank {rank}: ###" for rank in range(self.world))

    def bytes(self, steps: int = 1, samples: int = 1) -> int:
        return 0

    def speedup(self) -> float:
        return float(self.world)

    def shard(self, rank: int) -> Shard | None:
        return self.frames


@dataclass
class LoopInstalled:
    generate: Any
    output_ranks: tuple[int, ...] = (0,)


class LoopConfig(PluginConfig):
    frames: int | None = Field(None, description="frames of which each rank gets the first half")
    lost: bool = Field(False, description="claim to be in place without being so")


@dataclass
class OwnLoop(ParallelScheduler):
    """Replaces the pipeline's call by a loop of its own."""

    config: Any = field(default_factory=lambda: LoopConfig())
    installed: bool = False

    Config = LoopConfig

    def needs(self):
        return Needs(owns=frozenset({"scheduler-step"}))

    def plan(self, facts, denoisers, world):
        frames = self.config.frames
        shard = None if frames is None else Shard("frames", 0, frames // 2, frames)
        return LoopPlan(world, shard)

    @contextmanager
    def install(self, ctx, plan):
        self.installed = True

        def generate(request, sink):
            unet, scheduler = ctx.denoisers["unet"], ctx.pipeline.scheduler
            x = torch.zeros(1, 4, 8, 8)
            scheduler.set_timesteps(request.call["num_inference_steps"])
            for t in scheduler.timesteps:
                noise = unet(x, t, encoder_hidden_states=torch.zeros(1, 6, 12)).sample
                x = scheduler.step(noise, t, x).prev_sample
            for sample in range(len(request.samples)):
                sink.write(x, sample)

        try:
            yield LoopInstalled(generate, () if self.config.lost else (0,))
        finally:
            self.installed = False


class PlainDouble(Kernel):
    reference = True

    def __call__(self, x):
        return x + x


class FastDouble(Kernel):
    priority = 5

    def supports(self, **what):
        return "it serves only float64" if what.get("dtype") != torch.float64 else None

    def __call__(self, x):
        return 2 * x


class GpuDouble(Kernel):
    priority = 9

    def available(self):
        return Availability(False, "there is no GPU")
