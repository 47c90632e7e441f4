"""Compute a kernel's cases beside its reference, and time the largest; imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from genhub.api import Kernel, KernelCase
from genhub.plan.agreement import Call, asked, difference, gradient_difference, race
from genhub.plan.kernels import refusal

__all__ = ["Trial"]


@dataclass
class Trial:
    """One kernel against the reference of its operation; `troubles` tells what went wrong."""

    name: str  # op.impl
    kernel: Kernel
    reference: Kernel
    troubles: list[str] = field(default_factory=list)

    def run(self, devices: Sequence[str]) -> dict[str, Any]:
        """Compute every case on every device, and time the largest on the last device.

        Gives `cases` (how many were computed), `worst` (the largest difference as a share of what
        is allowed), `on` (the case that was timed), `ms`, and `ratio` to the reference's speed.
        """
        found: dict[str, Any] = {"cases": 0, "worst": 0.0, "on": None}
        largest: tuple[int, str, Call] | None = None
        try:
            for case, call, device in self._served(devices):
                found["cases"] += 1
                found["worst"] = max(found["worst"], self._compare(case, device))
                if largest is None or (device, call.size) >= (largest[1], largest[0]):
                    largest = call.size, device, call
                    found["on"] = f"{case.name} on {device}"
            if largest is not None:
                ours, theirs = race([self.kernel, self.reference], largest[2])
                found.update(ms=ours * 1e3, ratio=theirs / ours)
        except Exception as error:
            text = " ".join(str(error).split())
            self.troubles.append(f"kernel '{self.name}' raised {type(error).__name__}: {text}")
        return found

    def _served(self, devices: Sequence[str]) -> Iterator[tuple[KernelCase, Call, str]]:
        for device in devices:
            for case in self.reference.cases():
                call = Call.of(case, device)
                if refusal(self.kernel, asked(case, call)) is None:
                    yield case, call, device

    def _compare(self, case: KernelCase, device: str) -> float:
        """Give the difference as a share of what is allowed; above 1 is a trouble."""
        if self.kernel is self.reference:
            return 0.0
        apart = difference(self.kernel, self.reference, case, device)
        if self.kernel.differentiable:
            apart = max(apart, gradient_difference(self.kernel, self.reference, case, device))
        share = apart / case.tolerance
        if not share <= 1:
            self.troubles.append(
                f"kernel '{self.name}' computes other numbers than its reference: case "
                f"{case.name} on {device} is {share:.3g} times as far off as allowed"
            )
        return share
