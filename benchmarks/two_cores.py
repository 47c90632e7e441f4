"""What asyncdiff's benchmark runs on two cores: a denoising loop, and what its ranks measure.

Every function takes a rank's communicator first and is run by `genhub.testing.launches`, one
process with one thread per rank, pinned to a core of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from baselines import ASYNCDIFF, asyncdiff
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor

import genhub
from genhub_asyncdiff.plan import traced
from genhub_asyncdiff.planner import Link, Machine, predict
from genhub_asyncdiff.plugin import AsyncDiffConfig
from genhub_asyncdiff.profile import Profile, example_batch, profile

__all__ = [
    *("Denoising", "Generation", "calibrate", "compare", "critical", "denoise"),
    *("modes", "predictions", "wall"),
]

LATENT, TOKENS, WIDTH, GUIDANCE = 32, 77, 64, 5.0
# Blocks as in the models named, with fewer channels: 8.6 and 36 million parameters.
UNETS: dict[str, dict[str, Any]] = {
    "Stable Diffusion 1.5": {"block_out_channels": (32, 64, 128, 128), "attention_head_dim": 8},
    "Stable Diffusion XL": {
        "block_out_channels": (40, 80, 160),
        "attention_head_dim": (5, 10, 20),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + WIDTH,
    },
}
SD15 = "Stable Diffusion 1.5"
PING = 16 * 2**20


@dataclass
class Generation:
    """What one rank spent on one generation, in seconds.

    `steps` are CPU times of whole steps; `calls` are wall and CPU times of the denoiser's calls.
    """

    wall: float = 0.0
    steps: list[float] = field(default_factory=list)
    calls: list[tuple[float, float]] = field(default_factory=list)


def wall(ranks: Sequence[Generation]) -> float:
    """Give the wall time of a generation that some ranks made together."""
    return max(rank.wall for rank in ranks)


def critical(ranks: Sequence[Generation]) -> float:
    """Give the CPU time on the critical path: of every step that of the slowest rank."""
    return sum(max(step) for step in zip(*(rank.steps for rank in ranks), strict=True))


class Denoising:
    """A UNet of random parameters with the blocks of a published model, and its loop."""

    vae_scale_factor = 8

    def __init__(self, model: str = SD15) -> None:
        torch.manual_seed(0)
        self.unet = UNet2DConditionModel(
            sample_size=LATENT,
            norm_num_groups=8,
            cross_attention_dim=WIDTH,
            **UNETS[model],
        ).eval()
        self.scheduler = DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1
        )
        self.added = None
        if self.unet.config.addition_embed_type:
            sizes = torch.tensor([[8 * LATENT, 8 * LATENT, 0, 0, 8 * LATENT, 8 * LATENT]] * 2)
            self.added = {"text_embeds": torch.zeros(2, WIDTH), "time_ids": sizes}
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self.spent = Generation()

    @property
    def parameters(self) -> int:
        """Count the numbers that the UNet has learnt, or would have."""
        return sum(p.numel() for p in self.unet.parameters())

    @torch.no_grad()
    def __call__(self, steps: int) -> Tensor:
        """Denoise one sample with guidance; gives its latents and leaves times in `spent`."""
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(1, 4, LATENT, LATENT, generator=generator)
        prompt = torch.randn(2, TOKENS, WIDTH, generator=generator)
        self.scheduler.set_timesteps(steps)
        self.spent = Generation()
        begun, cpu = time.perf_counter(), time.process_time()
        for t in self.scheduler.timesteps:
            both = torch.cat([x, x])
            before = time.perf_counter(), time.process_time()
            (eps,) = self.unet(both, t, prompt, added_cond_kwargs=self.added, return_dict=False)
            after = time.perf_counter(), time.process_time()
            self.spent.calls.append((after[0] - before[0], after[1] - before[1]))
            without, given = eps.chunk(2)
            eps = without + GUIDANCE * (given - without)
            x = self.scheduler.step(eps, t, x, return_dict=False)[0]
            now = time.process_time()
            self.spent.steps.append(now - cpu)
            cpu = now
        self.spent.wall = time.perf_counter() - begun
        return x


def calibrate(comm: Any, steps: int) -> list[tuple[float, float]]:
    """Denoise on each core alone, then on all at once; gives (CPU time alone, wall together)."""
    pipe = _pinned(comm)
    alone = 0.0
    for rank in range(comm.world):
        comm.agree(True)
        if rank == comm.rank:
            pipe(steps)
            alone = sum(pipe.spent.steps)
    comm.agree(True)
    pipe(steps)
    return comm.gather_objects((alone, pipe.spent.wall))


def compare(comm: Any, model: str, steps: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Denoise in turn on one core, on two by asyncdiff and on two by the published exchange.

    Gives this rank's `Generation` of each and the shares of the components.
    """
    pipe = _pinned(comm, model)
    comm.agree(True)
    if comm.rank == 0:
        pipe(steps)
    serial = pipe.spent
    ours, shares, _ = denoise(comm, pipe, steps, settings)
    comm.agree(True)
    with asyncdiff(pipe.unet, ASYNCDIFF[model], settings["warmup"]):
        pipe(steps)
    return {"serial": serial, "ours": ours, "published": pipe.spent, "shares": shares}


def denoise(
    comm: Any, pipe: Denoising, steps: int, settings: dict[str, Any]
) -> tuple[Generation, tuple[float, ...], Any]:
    """Denoise by asyncdiff; gives what it took, the components' shares, and their split."""
    block = {"type": "asyncdiff", "cfg_parallel": False, **settings}
    with torch.no_grad(), genhub.attach(pipe, parallel=block, comm=comm) as attached:
        cutting = attached.installed.engine.cuttings["unet"]
        comm.agree(True)
        pipe(steps)
    return pipe.spent, cutting.shares, cutting.split


def modes(comm: Any, steps: int, settings: list[dict[str, Any]]) -> list[Generation]:
    """Denoise on this rank alone, then by asyncdiff with each of some settings."""
    pipe = _pinned(comm)
    spent = []
    for rank in range(comm.world):
        comm.agree(True)
        if rank == comm.rank:
            pipe(steps)
            spent.append(pipe.spent)
    return [*spent, *(denoise(comm, pipe, steps, each)[0] for each in settings)]


def predictions(
    comm: Any, steps: int, settings: list[dict[str, Any]], cpu: bool
) -> list[tuple[float, Generation]]:
    """Denoise by asyncdiff with each of some settings; gives predicted seconds and those taken.

    The planner is told what this rank measures: times of the UNet's units, and the link.
    With `cpu` these are brought to CPU time: on cores that are not free, wall times are others'.
    """
    pipe = _pinned(comm)
    with genhub.attach(pipe) as attached:
        facts = attached.context.facts
        graph = traced(facts, "unet", pipe.unet)
        call = example_batch(facts.example_call("unet"), 2, pipe.device, pipe.dtype)
    comm.agree(True)
    times = profile(pipe.unet, *call, [unit.path for unit in graph.units], repeats=5)
    if cpu:
        pipe(5)
        share = median(spent for _, spent in pipe.spent.calls) / times.whole
        times = Profile(tuple(share * unit for unit in times.units), share * times.whole)
    machine = Machine(graph, times, _link(comm, cpu), batch=2)
    found = []
    for each in settings:
        spent, _, split = denoise(comm, pipe, steps, each)
        form = AsyncDiffConfig(**each).form
        found.append((predict(machine, form, split, steps).seconds, spent))
    return found


def _pinned(comm: Any, model: str = SD15) -> Denoising:
    """Bind this process, with the threads of its backend, to a core; gives a warmed-up loop."""
    core = sorted(os.sched_getaffinity(0))[comm.rank]
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), {core})
    pipe = Denoising(model)
    pipe(2)
    return pipe


def _link(comm: Any, cpu: bool) -> Link:
    """Time a message of one byte and one of 16 MiB between ranks 0 and 1, there and back."""
    now, seconds = time.process_time if cpu else time.perf_counter, []
    for tag, size in enumerate((1, PING, 1, PING)):  # the first of each is thrown away
        x = torch.zeros(size, dtype=torch.uint8)
        comm.agree(True)
        begun = now()
        sides = [({1 - comm.rank: x}, {}), ({}, {1 - comm.rank: x})]
        for sends, receives in sides if comm.rank == 0 else reversed(sides):
            comm.exchange(sends, receives, tag=tag).wait()
        seconds.append((now() - begun) / 2)
    return Link(seconds[2], PING / (seconds[3] - seconds[2]))
