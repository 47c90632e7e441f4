"""What one denoiser call takes, unit by unit, on the device where it will run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.utils._pytree import tree_map

__all__ = ["Profile", "example_batch", "profile"]


@dataclass(frozen=True)
class Profile:
    """Seconds of one denoiser call: of each unit, in order of execution, and of the whole."""

    units: tuple[float, ...]
    whole: float

    @property
    def glue(self) -> float:
        """Give the seconds outside the units, which every device spends."""
        return max(0.0, self.whole - sum(self.units))


def profile(
    denoiser: Module, args: tuple[Any, ...], kwargs: dict[str, Any], paths: Sequence[str],
    repeats: int = 3,
) -> Profile:  # fmt: skip
    """Time units and whole over some calls, after one that is thrown away; medians."""
    clocks = {path: _Clock(args) for path in paths}
    whole = _Clock(args)
    with torch.no_grad():
        denoiser(*args, **kwargs)
        for _ in range(repeats):
            whole.start()
            denoiser(*args, **kwargs)
            whole.stop()
        handles = [h for path in paths for h in clocks[path].watch(denoiser.get_submodule(path))]
        try:
            for _ in range(repeats):
                denoiser(*args, **kwargs)
        finally:
            for handle in handles:
                handle.remove()
    return Profile(tuple(clocks[path].seconds() for path in paths), whole.seconds())


def example_batch(call: Any, batch: int, device: Any, dtype: torch.dtype) -> Any:
    """Fill the arguments of an example call, of one sample on meta, with random numbers.

    The sample and what has its batch are repeated `batch` times; whole numbers become ones.
    """
    generator = torch.Generator().manual_seed(0)

    def filled(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        shape = (x.shape[0] * batch, *x.shape[1:]) if x.ndim > 1 else x.shape
        if x.ndim == 1 and x.shape[0] == 1:
            shape = (batch,)
        if not x.dtype.is_floating_point:
            return torch.ones(shape, dtype=x.dtype, device=device)
        return torch.randn(shape, generator=generator).to(device, dtype)

    args, kwargs = call
    shared = {name: kwargs[name] for name in ("txt_ids", "img_ids") if name in kwargs}
    made_args, made_kwargs = tree_map(filled, args), tree_map(filled, dict(kwargs))
    for name, x in shared.items():  # all samples have these in common
        made_kwargs[name] = torch.zeros(x.shape, device=device, dtype=dtype)
    return made_args, made_kwargs


class _Clock:
    """Adds up the times between start and stop: on CUDA those of the device."""

    def __init__(self, args: Any) -> None:
        self._cuda = any(isinstance(x, Tensor) and x.is_cuda for x in args) or (
            not args and torch.cuda.is_available() and torch.cuda.is_initialized()
        )
        self._begun: Any = None
        self._spans: list[Any] = []

    def watch(self, module: Module) -> list[Any]:
        """Start and stop around every call of a module."""
        return [
            module.register_forward_pre_hook(lambda *_: self.start()),
            module.register_forward_hook(lambda *_: self.stop()),
        ]

    def start(self) -> None:
        self._begun = self._now()

    def stop(self) -> None:
        self._spans.append((self._begun, self._now()))

    def seconds(self) -> float:
        """Give the median span."""
        if self._cuda:
            torch.cuda.synchronize()
            return median(a.elapsed_time(b) / 1000 for a, b in self._spans)
        return median(b - a for a, b in self._spans)

    def _now(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
