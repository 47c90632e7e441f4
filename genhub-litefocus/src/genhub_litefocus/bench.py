"""Time full attention and every kernel of `focus_attention` on this machine, in turns."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from genhub.api import GenHubError, Kernel, Registries
from genhub_litefocus.indices import focus_indices
from genhub_litefocus.sizes import table

__all__ = ["AUDIOLDM2", "Case", "Shape", "bench"]

FULL = "full attention (SDPA)"
MOST_SCORES = 2**26  # entries of the scores that the reference may hold: 256 MiB in float32


@dataclass(frozen=True)
class Shape:
    """The attention that is timed: heads, and the grid of one second of sound."""

    name: str
    heads: int
    head_dim: int
    freq_bins: int
    rate: float  # frames per second, at this level

    def frames(self, seconds: float) -> int:
        """Give the frames of so many seconds."""
        return max(1, math.ceil(seconds * self.rate))


AUDIOLDM2 = Shape("AudioLDM2's finest level", heads=8, head_dim=32, freq_bins=8, rate=12.5)


@dataclass(frozen=True)
class Case:
    """What was measured at one length: milliseconds by name, and why the others were not."""

    seconds: float
    tokens: int
    milliseconds: dict[str, float]
    absent: dict[str, str]
    auto: str


def bench(
    shape: Shape, seconds: Sequence[float], *, ratio: float, device: str, rounds: int
) -> tuple[list[Case], str]:
    """Time one call for one sample per length; gives the cases, and them as a table.

    Float32 on a CPU, bfloat16 on a GPU; medians over `rounds` in which all take turns. Raises
    GenHubError for a device that is not there.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise GenHubError(
            "GH504", f"--device is {device}, and torch {torch.__version__} sees no CUDA device",
            hint="leave it out to time the CPU",
        )  # fmt: skip
    cases = [_case(shape, length, ratio, torch.device(device), rounds) for length in seconds]
    return cases, _text(shape, cases, ratio, device)


def kernels() -> dict[str, Kernel]:
    """Give the installed kernels of the operation, by their short names."""
    registry = Registries().get("kernels")
    names = [name for name in registry.names() if "focus_attention." in name]
    return {name.rpartition(".")[2]: registry.load(name)() for name in names}


def _case(
    shape: Shape, seconds: float, ratio: float, device: torch.device, rounds: int
) -> Case:  # fmt: skip
    frames = shape.frames(seconds)
    tokens = frames * shape.freq_bins
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    draw = torch.Generator().manual_seed(0)
    size = (3, 1, tokens, shape.heads, shape.head_dim)
    q, k, v = torch.randn(size, generator=draw).to(device, dtype).transpose(2, 3)
    indices = focus_indices(frames, shape.freq_bins, int(tokens * ratio)).to(device)
    usable, absent = _usable(shape, tokens, device, dtype)
    runs: dict[str, Callable[[], Tensor]] = {FULL: lambda: scaled_dot_product_attention(q, k, v)}
    for name, kernel in usable.items():
        runs[name] = _run(kernel, (q, k, v, indices), shape.freq_bins)
    auto = max(usable, key=lambda name: (not usable[name].reference, usable[name].priority))
    return Case(seconds, tokens, _in_turns(runs, rounds, device), absent, auto)


def _usable(
    shape: Shape, tokens: int, device: torch.device, dtype: torch.dtype
) -> tuple[dict[str, Kernel], dict[str, str]]:
    """Part kernels into those that can be timed here, and the reasons of the others."""
    usable, absent = {}, {}
    for name, kernel in kernels().items():
        available = kernel.available()
        why_not = None if available.ok else available.reason
        why_not = why_not or kernel.supports(
            device=device.type, dtype=dtype, head_dim=shape.head_dim, time_window=None
        )
        if why_not is None and getattr(kernel, "interpreted", False):
            why_not = "it would be interpreted, which says nothing of its speed"
        if why_not is None and kernel.reference and shape.heads * tokens**2 > MOST_SCORES:
            why_not = "its scores would take more than 256 MiB"
        if why_not is None:
            usable[name] = kernel
        else:
            absent[name] = why_not
    return usable, absent


def _run(kernel: Kernel, tensors: tuple[Tensor, ...], freq_bins: int) -> Callable[[], Tensor]:
    def run() -> Tensor:
        out: Tensor = kernel(
            *tensors, freq_bins=freq_bins, scale=None, same_frequency=True, duplicates="count",
            layout="tf", time_window=None,
        )  # fmt: skip
        return out

    return run


@torch.no_grad()
def _in_turns(
    runs: dict[str, Callable[[], Any]], rounds: int, device: torch.device
) -> dict[str, float]:  # fmt: skip
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():  # compiles, allocates, warms caches
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            _wait(device)
            begin = time.perf_counter()
            run()
            _wait(device)
            taken[name].append(1000 * (time.perf_counter() - begin))
    return {name: median(values) for name, values in taken.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _text(shape: Shape, cases: Sequence[Case], ratio: float, device: str) -> str:
    if device == "cpu":
        where = f"CPU, {torch.get_num_threads()} threads, float32"
    else:
        where = f"{torch.cuda.get_device_name(device)}, bfloat16"
    lines = [
        f"{shape.name}: {shape.heads} heads of {shape.head_dim}, {shape.freq_bins} frequency rows, "
        f"{shape.rate:g} frames a second, sparse_ratio {ratio:g}; {where}, medians, one sample",
        "",
    ]
    rows = [("seconds", "tokens", "what", "ms", "times as fast", "")]
    for case in cases:
        full = case.milliseconds[FULL]
        for name, value in case.milliseconds.items():
            rows.append(
                (
                    f"{case.seconds:g}", str(case.tokens), name, f"{value:.2f}",
                    f"{full / value:.2f}", "auto" if name == case.auto else "",
                )
            )  # fmt: skip
    absent = {name: why for case in cases for name, why in case.absent.items()}
    told = [f"{name} was not timed everywhere: {why}" for name, why in absent.items()]
    return "\n".join([*lines, *table(rows, left=0), "", *told]).rstrip()
