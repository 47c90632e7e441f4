"""A scheduler that computes everything on every rank, and a rank of it that makes trouble."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Literal

from pydantic import Field

from genhub.api import Needs, ParallelScheduler, PluginConfig, Task


class TroubleConfig(PluginConfig):
    trouble: Literal["none", "warns", "raises", "killed", "exits", "stuck", "plans"] = Field(
        "none", description="what one rank does"
    )
    rank: int = Field(1, description="which one")
    sample: int = Field(1, description="at which sample of the run")


class _Plan:
    def __init__(self, text: str) -> None:
        self._text = text

    def timeline(self) -> str:
        return self._text

    def bytes(self, steps: int = 1, samples: int = 1) -> int:
        return 8

    def speedup(self) -> float:
        return 1.0


class Trouble(ParallelScheduler):
    """Ranks add their numbers at every denoiser call; at a chosen one, a rank misbehaves."""

    Config = TroubleConfig
    summary = "adds rank numbers"

    def needs(self) -> Needs:
        return Needs(world=(2, 4))

    def plan(self, facts: Any, denoisers: Any, world: int) -> Any:
        mine = os.environ.get("RANK", "0") if self.config.trouble == "plans" else "all"
        return _Plan(f"rank {mine} | adds")

    @contextmanager
    def install(self, ctx: Any, plan: Any) -> Iterator[Any]:
        import torch

        calls: list[int] = []

        def added(module: Any, args: Any) -> None:
            calls.append(1)
            if len(calls) == 1 + 2 * self.config.sample and ctx.comm.rank == self.config.rank:
                _make(self.config.trouble)
            total = torch.ones(1, dtype=torch.int64, device=ctx.comm.device)
            ctx.comm.all_reduce(total).wait()
            assert int(total) == ctx.comm.world

        handles = [m.register_forward_pre_hook(added) for m in ctx.denoisers.values()]
        try:
            yield SimpleNamespace(output_ranks=(ctx.comm.world - 1,), generate=None)
        finally:
            for handle in handles:
                handle.remove()


class EachItsOwn(ParallelScheduler):
    """Brings its own loop: every rank writes the samples whose number it takes."""

    summary = "spreads samples over ranks"

    def needs(self) -> Needs:
        return Needs(world=(2, 4))

    def plan(self, facts: Any, denoisers: Any, world: int) -> Any:
        return _Plan("each its own")

    @contextmanager
    def install(self, ctx: Any, plan: Any) -> Iterator[Any]:
        from PIL import Image

        def generate(request: Any, sink: Any) -> None:
            for row, sample in enumerate(request.samples):
                if sample.index % ctx.comm.world == ctx.comm.rank:
                    sink.write(Image.new("RGB", (8, 8), (ctx.comm.rank,) * 3), row)

        yield SimpleNamespace(output_ranks=tuple(range(ctx.comm.world)), generate=generate)


class Tally(Task):
    """Counts to 4 with a checkpoint after every number; breaks off after 2 when it begins anew."""

    summary = "counts on all ranks"
    reads = frozenset({"parallel"})

    def run(self, run: Any) -> None:
        import torch

        found = run.checkpoint().load()
        first, total = (1, torch.zeros(1)) if found is None else (found[0] + 1, found[1]["total"])
        for number in range(first, 5):
            if number == 3 and found is None:
                raise ValueError("enough for today")
            run.comm.all_reduce(share := torch.full((1,), number / run.comm.world)).wait()
            total += share
            run.checkpoint().save(number, {"total": total}, {})
            run.log(begun_at=first, world=run.comm.world, total=float(total))


def _make(trouble: str) -> None:
    if trouble == "warns":
        logging.getLogger("genhub").warning("the wind is from the west")
    if trouble == "raises":
        raise ValueError("the cat sat on the cable")
    if trouble == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "exits":
        os._exit(7)
    if trouble == "stuck":
        threading.Event().wait()
