"""Drivers that a run can stumble over, and one that it cannot."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from PIL import Image
from pydantic import Field

from genhub.api import (
    AttentionMixer,
    GenHubError,
    Metric,
    ParallelScheduler,
    PluginConfig,
    Task,
    Where,
)


class GainConfig(PluginConfig):
    gain: float = Field(1.0, description="factor of the attention's output")


class _Gain:
    def __init__(self, gain: float) -> None:
        self.gain = gain
        self.plain = AttnProcessor2_0()

    def __call__(self, attn: Any, hidden_states: Any, *args: Any, **kwargs: Any) -> Any:
        return self.gain * self.plain(attn, hidden_states, *args, **kwargs)


class Gain(AttentionMixer):
    """Scales attention; a gain of `.nan` spoils everything behind it."""

    Config = GainConfig
    summary = "scales attention"
    paper = "nobody (2026) <b>On gains</b>"
    default_where = Where(kind="self")

    def build(self, site: Any, attn: Any, ctx: Any) -> Any:
        return _Gain(self.config.gain)


class Late(AttentionMixer):
    """Gives NaN from the second step on."""

    default_where = Where(kind="self", stage="mid")

    def build(self, site: Any, attn: Any, ctx: Any) -> Any:
        class Processor(_Gain):
            def __call__(self, attn: Any, *args: Any, **kwargs: Any) -> Any:
                self.gain = math.nan if ctx.clock.step >= 1 else 1.0
                return super().__call__(attn, *args, **kwargs)

        return Processor(1.0)


class Greedy(AttentionMixer):
    """Asks for more memory than any machine has."""

    default_where = Where(kind="self")

    def build(self, site: Any, attn: Any, ctx: Any) -> Any:
        def processor(attn: Any, *args: Any, **kwargs: Any) -> Any:
            return torch.empty(1 << 58)

        return processor


class Clumsy(AttentionMixer):
    """Raises in the middle of a run."""

    default_where = Where(kind="self")

    def build(self, site: Any, attn: Any, ctx: Any) -> Any:
        def processor(attn: Any, *args: Any, **kwargs: Any) -> Any:
            raise ValueError("the cat sat on the keyboard")

        return processor


class Unready(Gain):
    """Finds no weights."""

    def load(self, built: Any, ctx: Any) -> None:
        raise GenHubError("GH305", "no weights are known for this denoiser")


class CountConfig(PluginConfig):
    to: int = Field(3, ge=1, description="how far")


class Count(Task):
    """Counts, with a checkpoint after every number; stumbles at `falls_at` once."""

    Config = CountConfig
    summary = "counts"
    reads = frozenset({"input"})
    falls_at: int | None = None

    def run(self, run: Any) -> None:
        checkpoint = run.checkpoint()
        found = checkpoint.load()
        begin = 0 if found is None else found[0]
        total = torch.zeros(()) if found is None else found[1]["total"]
        for step in range(begin + 1, self.config.to + 1):
            if step == Count.falls_at:
                Count.falls_at = None
                raise KeyboardInterrupt
            total = total + step
            run.log(step=step, total=float(total))
            run.progress(step, self.config.to, "counting")
            checkpoint.save(step, {"total": total}, {"begun_at": begin})


class _Alone:
    """The plan of a loop on one rank."""

    def timeline(self) -> str:
        return "rank 0 | everything"

    def bytes(self, steps: int = 1, samples: int = 1) -> int:
        return 0

    def speedup(self) -> float:
        return 1.0


class OwnLoop(ParallelScheduler):
    """Brings its own loop: one flat picture per sample, as grey as its seed."""

    summary = "generates without the pipeline's call"

    def plan(self, facts: Any, denoisers: Any, world: int) -> Any:
        return _Alone()

    @contextmanager
    def install(self, ctx: Any, plan: Any) -> Iterator[Any]:
        def generate(request: Any, sink: Any) -> None:
            for row, sample in enumerate(request.samples):
                sink.write(Image.new("RGB", (16, 16), (sample.seed,) * 3), row)

        yield SimpleNamespace(output_ranks=(0,), generate=generate)


class Broken(Metric):
    """Divides by zero."""

    def __call__(self, run: Any, artifacts: Any, baseline: Any = ()) -> dict[str, float]:
        return {"broken": 1 / 0}
