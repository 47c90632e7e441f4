"""How long a run takes: wall and CPU seconds per phase, and every denoising step."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

__all__ = ["Phases", "StepTimes", "peak_memory"]

PHASES = ("load", "attach", "warm-up", "steps", "decode", "save", "metrics", "timing")


class Phases:
    """Seconds per phase, summed over the run; `current` is what the run is doing."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.current = "preparation"

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Add the time of the block to `phase`."""
        outer, self.current = self.current, phase
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
            self.current = outer  # not after an exception: it says where the run ended
        finally:
            self.add(phase, time.perf_counter() - wall, time.process_time() - cpu)

    def add(self, phase: str, wall: float, cpu: float) -> None:
        """Add seconds to a phase."""
        entry = self.seconds.setdefault(phase, [0.0, 0.0])
        entry[0] += wall
        entry[1] += cpu

    def to_json(self) -> dict[str, dict[str, float]]:
        """Give `{phase: {wall, cpu}}` in seconds, in the order of a run."""
        known = sorted(self.seconds, key=lambda p: PHASES.index(p) if p in PHASES else 99)
        return {
            p: {"wall": round(self.seconds[p][0], 4), "cpu": round(self.seconds[p][1], 4)}
            for p in known
        }


class StepTimes:
    """Seconds of every denoising step of one variant."""

    def __init__(self) -> None:
        self._by_index: dict[int, list[float]] = {}

    def add(self, index: int, seconds: float) -> None:
        """Note one step."""
        self._by_index.setdefault(index, []).append(seconds)

    def to_json(self) -> dict[str, Any]:
        """Give p50 and p95 over all steps and the median per position, in milliseconds."""
        places = sorted(self._by_index)
        every = sorted(s for listed in self._by_index.values() for s in listed)
        if not every:
            return {"count": 0}
        return {
            "count": len(every),
            "p50_ms": round(quantile(every, 0.50) * 1e3, 3),
            "p95_ms": round(quantile(every, 0.95) * 1e3, 3),
            "median_ms": [round(median(self._by_index[i]) * 1e3, 3) for i in places],
        }


def quantile(ordered: Sequence[float], q: float) -> float:
    """Give the q-quantile of sorted values, between neighbours by linear interpolation."""
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def peak_memory() -> dict[str, int]:
    """Give the most bytes that this process held so far, per device."""
    import torch

    peak: dict[str, int] = {}
    try:
        import resource
    except ImportError:  # not on Windows
        pass
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        peak["cpu"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    for index in range(torch.cuda.device_count()):
        peak[f"cuda:{index}"] = torch.cuda.max_memory_allocated(index)
    return peak
