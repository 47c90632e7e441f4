"""Compute the two branches of classifier-free guidance on two ranks, exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genhub.api import (
    Context,
    Facts,
    GenHubError,
    Needs,
    ParallelPlan,
    ParallelScheduler,
    Request,
    Shard,
    Sink,
)

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["CfgParallel"]


@dataclass(frozen=True)
class CfgPlan:
    """Each rank has one branch of every denoiser call; then both have both.

    `payload` is the size in bytes of one branch's output for one sample; 0 where it is not known.
    """

    payload: int

    def timeline(self) -> str:
        """Draw the first steps; all are alike."""
        steps = 3
        ahead = "".join(f"step {step:<14}" for step in range(1, steps + 1))
        rows = [
            f"rank {rank}  " + f"[ {branch:<6} ]=swap=>  " * steps + "..."
            for rank, branch in enumerate(("uncond", "cond"))
        ]
        size = f"{self.payload} bytes" if self.payload else "one output"
        swap = f"swap: {size} each way per sample"
        return "\n".join([f"{'':8}{ahead.rstrip()}", *rows, swap])

    def bytes(self, steps: int = 1, samples: int = 1) -> int:
        """Give what both ranks send for `samples` in `steps` denoiser calls."""
        return 2 * self.payload * steps * samples

    def speedup(self) -> float:
        """Give 2: each rank has half of the arithmetic, and what is sent is taken to be free."""
        return 2.0

    def shard(self, rank: int) -> Shard | None:
        """Give None: each rank sees every token and frame."""
        return None


@dataclass
class _Installed:
    output_ranks: tuple[int, ...] = (0,)
    generate: Callable[[Request, Sink], None] | None = None


class CfgParallel(ParallelScheduler):
    """Halve the latency of guidance on two devices; pictures are those of one process."""

    summary = "the two branches of classifier-free guidance on two ranks, exact"
    exact = True  # the checks compare it with one process

    def needs(self) -> Needs:
        """Need two ranks and the denoiser's forward for itself."""
        return Needs(world=(2, 2), owns=frozenset({"denoiser-forward"}))

    def plan(self, facts: Facts, denoisers: Mapping[str, Module], world: int) -> CfgPlan:
        """Measure one output on meta; raise GH408 where guidance is built into the model."""
        for name, denoiser in denoisers.items():
            config: Any = getattr(denoiser, "config", {})
            if config.get("time_cond_proj_dim") is not None:
                raise GenHubError(
                    "GH408",
                    f"'cfg-parallel' has no effect: guidance is built into {name}, which computes "
                    "one branch (time_cond_proj_dim)",
                    hint="leave out 'cfg-parallel'",
                )
        return CfgPlan(max(_payload(facts, *item) for item in denoisers.items()))

    @contextmanager
    def install(self, ctx: Context, plan: ParallelPlan) -> Iterator[_Installed]:
        """Split the guidance of all denoisers while the context lasts."""
        from genhub.comm import GuidanceSplit

        with GuidanceSplit(ctx, ctx.comm):
            yield _Installed()


def _payload(facts: Facts, name: str, denoiser: Any) -> int:
    """Give the bytes of a denoiser's output for one sample, else of the latent, else 0."""
    import math

    import torch

    from genhub.plan.observe import Architecture

    try:
        args, kwargs = facts.example_call(name)
        with torch.no_grad():
            output = Architecture.of(denoiser).on_meta()(*args, **kwargs)[0]
        size = output.numel()
    except Exception:  # no example call is known, or the architecture resists meta tensors
        size = math.prod(facts.latent.shape) if facts.latent.shape else 0
    return int(size) * denoiser.dtype.itemsize
