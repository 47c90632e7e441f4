"""Schedulers each of which does one thing that no scheduler may do, and one that does none."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from genhub.api import Needs, ParallelScheduler, Shard


@dataclass(frozen=True)
class Plan:
    payload: int
    draw: str = "rank 0 | everything\nrank 1 | everything"
    gain: float = 1.0
    held: Shard | None = None

    def timeline(self) -> str:
        return self.draw

    def bytes(self, steps: int = 1, samples: int = 1) -> int:
        return self.payload * steps

    def speedup(self) -> float:
        return self.gain

    def shard(self, rank: int) -> Shard | None:
        return self.held


class Faithful(ParallelScheduler):
    """Both ranks compute everything, and swap four bytes per step."""

    summary = "two ranks that do the same"
    exact = True
    said = 8

    def needs(self):
        return Needs(world=(2, 2), families=frozenset({"unet2d"}))

    def plan(self, facts, denoisers, world):
        return Plan(self.said)

    def swap(self, ctx, output):
        import torch

        ctx.comm.all_gather(torch.zeros(1))
        return output

    @contextmanager
    def install(self, ctx, plan) -> Iterator[Any]:
        denoiser = ctx.denoisers["unet"]
        forward = denoiser.forward

        def swapping(*args, **kwargs):
            return (self.swap(ctx, forward(*args, **kwargs)[0]),)

        denoiser.forward = swapping
        try:
            yield self.installed()
        finally:
            self.undo(denoiser)

    def installed(self):
        return SimpleNamespace(output_ranks=(0,), generate=None)

    def undo(self, denoiser):
        del denoiser.forward


class Failing(Faithful):
    def swap(self, ctx, output):
        raise ArithmeticError("no such swap")


class Drawing(Faithful):
    def plan(self, facts, denoisers, world):
        Drawing.said += 8
        return Plan(8, draw=f"plan {Drawing.said}")


class Unpicklable(Faithful):
    def plan(self, facts, denoisers, world):
        class Local(Plan):
            pass

        return Local(8)


class Silent(Faithful):
    def plan(self, facts, denoisers, world):
        return Plan(8, draw="")


class Cropping(Faithful):
    def swap(self, ctx, output):
        super().swap(ctx, output)
        return output

    def installed(self):
        def generate(request, sink):
            sink.write(self.pipeline(**request.call)[..., :1])

        return SimpleNamespace(output_ranks=(0,), generate=generate)

    exact = False

    @contextmanager
    def install(self, ctx, plan):
        self.pipeline = ctx.pipeline
        with super().install(ctx, plan) as installed:
            yield installed


class Lying(Faithful):
    said = 80


class Approximate(Faithful):
    def swap(self, ctx, output):
        return super().swap(ctx, output) * 1.01


class Remembering(Faithful):
    def swap(self, ctx, output):
        self.calls = getattr(self, "calls", 0) + 1
        made = super().swap(ctx, output)
        return made if self.calls <= 3 else made * 1.1


class Clinging(Faithful):
    def undo(self, denoiser):
        pass


class Dicing(Faithful):
    def swap(self, ctx, output):
        random.random()
        return super().swap(ctx, output)


class Littering(Faithful):
    def swap(self, ctx, output):
        Path("littered.txt").write_text("was here")
        return super().swap(ctx, output)
