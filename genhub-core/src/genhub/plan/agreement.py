"""Hold a kernel against the reference of its operation, in values, gradients and time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

from genhub.api import Kernel, KernelCase

__all__ = ["Call", "asked", "difference", "gradient_difference", "race", "share_apart"]

MOST_ROUNDS, ENOUGH_SECONDS = 15, 1.0  # of a race


@dataclass(frozen=True)
class Call:
    """The inputs of one case on one device."""

    tensors: tuple[Any, ...]
    attrs: Mapping[str, Any]

    @classmethod
    def of(cls, case: KernelCase, device: str = "cpu") -> Call:
        """Draw a case anew: equal in every call, on every device."""
        tensors, attrs = case.build(torch.Generator().manual_seed(0))
        return cls(
            tuple(_moved(x, device) for x in tensors),
            {name: _moved(x, device) for name, x in attrs.items()},
        )

    def run(self, kernel: Kernel) -> tuple[Tensor, ...]:
        """Compute, and give the results as a tuple."""
        found = kernel(*self.tensors, **self.attrs)
        return (found,) if isinstance(found, Tensor) else tuple(found)

    def gradients(self, kernel: Kernel) -> tuple[Tensor, ...]:
        """Differentiate a fixed random combination of the results by every real input tensor."""
        leaves = [x.detach().requires_grad_() if _real(x) else x for x in self.tensors]
        results = Call(tuple(leaves), self.attrs).run(kernel)
        draw = torch.Generator().manual_seed(1)
        loss = sum(
            (y * torch.randn(y.shape, generator=draw).to(y)).sum() for y in results if _real(y)
        )
        return torch.autograd.grad(loss, [x for x in leaves if _real(x)])  # type: ignore[arg-type]

    @property
    def size(self) -> int:
        """Count the numbers that go in."""
        return sum(x.numel() for x in self.tensors if isinstance(x, Tensor))


def asked(case: KernelCase, call: Call) -> dict[str, Any]:
    """Give what `supports` is asked of a case: device, dtype, and what the case adds."""
    first = next(x for x in call.tensors if isinstance(x, Tensor))
    return {"device": first.device.type, "dtype": first.dtype, **case.asks}


def difference(kernel: Kernel, reference: Kernel, case: KernelCase, device: str = "cpu") -> float:
    """Give how far a kernel's results are from the reference's, as `share_apart` measures."""
    return share_apart(Call.of(case, device).run(kernel), Call.of(case, device).run(reference))


def gradient_difference(
    kernel: Kernel, reference: Kernel, case: KernelCase, device: str = "cpu"
) -> float:
    """Give how far a kernel's gradients are from the reference's, as `share_apart` measures.

    All gradients of a call are measured by the largest among them: one that all but vanishes is
    made of rounding.
    """
    found = Call.of(case, device).gradients(kernel)
    expected = Call.of(case, device).gradients(reference)
    return share_apart([_joined(found)], [_joined(expected)])


def share_apart(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Give the largest difference as a share of the largest expected entry.

    Infinite where shapes or dtypes differ, or where a number is not finite.
    """
    if [(x.shape, x.dtype) for x in found] != [(y.shape, y.dtype) for y in expected]:
        return float("inf")
    return max(
        (_largest(x.detach(), y.detach()) for x, y in zip(found, expected, strict=True)),
        default=0.0,
    )


def race(kernels: Sequence[Kernel], call: Call) -> list[float]:
    """Give the median seconds of each kernel on one call, run in turn so that noise hits all."""
    seconds: list[list[float]] = [[] for _ in kernels]
    begin = time.perf_counter()
    with torch.no_grad():
        for kernel in kernels:
            call.run(kernel)  # compiles, allocates, warms caches
        while len(seconds[0]) < MOST_ROUNDS:
            for taken, kernel in zip(seconds, kernels, strict=True):
                taken.append(_seconds(kernel, call))
            if time.perf_counter() - begin > ENOUGH_SECONDS and len(seconds[0]) >= 3:
                break
    return [median(taken) for taken in seconds]


def _seconds(kernel: Kernel, call: Call) -> float:
    begin = time.perf_counter()
    call.run(kernel)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def _largest(found: Tensor, expected: Tensor) -> float:
    if found.numel() == 0:
        return 0.0
    x, y = found.double(), expected.double()
    apart = (x - y).abs().nan_to_num(nan=float("inf")).max()
    return float(apart / y.abs().max().clamp(min=1e-30))


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([x.double().flatten() for x in tensors])


def _moved(x: Any, device: str) -> Any:
    return x.to(device) if isinstance(x, Tensor) else x


def _real(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()
