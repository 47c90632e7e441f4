"""`time: true`: what is compared takes turns, so that a slow minute is slow for all of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

from genhub.api import Request
from genhub.execution.generation import Active, call, warm_up
from genhub.execution.phases import Phases
from genhub.execution.requests import samples_of
from genhub.execution.sinks import NoSink
from genhub.execution.speedup import speedup

__all__ = ["Turn", "WarmUp", "orders", "rounds_for", "take_turns", "time_batch"]

# With fewer rounds, the interval of a median cannot cover 95 %.
FEWEST_ROUNDS, MOST_ROUNDS = 8, 16
STEPS = 2000  # denoising steps of single samples, of all rounds together

WarmUp = Literal["whole", "short", "none"]
Turn = tuple[int, float, list[float]]  # samples of the batch, its seconds, those of a step if known


@dataclass
class _Times:
    """Seconds of one variant, by round."""

    samples: int = 1  # of the batch that is timed
    whole: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)

    def to_json(self, against: _Times | None) -> dict[str, Any]:
        found: dict[str, Any] = {
            "batch": self.samples,
            "ms_per_sample": _ms(median(self.per_sample)),
            "ms_per_step": _ms(median(self.step)) if self.step else None,
            "rounds_ms": [_ms(seconds) for seconds in self.per_sample],
        }
        if against is not None:
            found["speedup"] = asdict(speedup(against.per_sample, self.per_sample))
        return found

    @property
    def per_sample(self) -> list[float]:
        return [seconds / self.samples for seconds in self.whole]


def rounds_for(steps: Sequence[int]) -> int:
    """Choose how often each variant has its turn; `steps` are those of its batch, sample by sample.

    As many as `STEPS` allows, within bounds, and where that is possible whole passes through
    `orders`. Depends on the config alone.
    """
    wanted = min(MOST_ROUNDS, max(FEWEST_ROUNDS, STEPS // sum(steps)))
    whole = wanted - wanted % _passes(len(steps))
    return whole if whole >= FEWEST_ROUNDS else wanted


def orders(variants: Sequence[str], rounds: int) -> Iterator[list[str]]:
    """Give the order of every round, after Williams (1949).

    In a whole pass every variant stands in every place, and follows every other, equally often.
    """
    count = len(variants)
    zigzag = [place // 2 if place % 2 == 0 else count - (place + 1) // 2 for place in range(count)]
    for row in range(rounds):
        shift, mirrored = divmod(row, 2) if count % 2 else (row, 0)
        order = [variants[(place + shift) % count] for place in zigzag]
        yield order[::-1] if mirrored else order


def take_turns(
    configs: Mapping[str, Any],
    turn: Callable[[str, WarmUp], Turn],
    told: Callable[[int, int, str], None],
) -> dict[str, Any]:
    """Time every variant in turns and give what the manifest says of it.

    Before the rounds each makes one batch that does not count. Where variants have different
    models, one is in memory at a time, and what was just loaded makes a whole batch first.
    """
    models = [config.model for config in configs.values()]
    alike = all(model == models[0] for model in models)
    sizes = [config.sampling for config in configs.values()]
    rounds = rounds_for([size.steps * size.batch for size in sizes])
    times = {name: _Times() for name in configs}
    order = [list(configs), *orders(list(configs), rounds)]
    turns = [(number, name) for number, listed in enumerate(order) for name in listed]
    for done, (number, name) in enumerate(turns, start=1):
        samples, whole, step = turn(name, ("short" if alike else "whole") if number else "none")
        if number:
            times[name].samples = samples
            times[name].whole.append(whole)
            times[name].step += step
        told(done, len(turns), f"timing {name}")
    reference = "baseline" if "baseline" in configs else "main"
    others = {name: times[reference] for name in configs if name != reference}
    return {
        "reference": reference,
        "rounds": rounds,
        "order": order[1:],
        "variants": {name: found.to_json(others.get(name)) for name, found in times.items()},
    }


class _Steps:
    """A listener of the clock that waits for the device once, after the last step."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self._begun = 0.0
        self.seconds: list[float] = []  # per step, one entry once the last is done

    def __call__(self, end: Any) -> None:
        if end.index == 0:
            self._begun = time.perf_counter() - end.seconds
        if end.index == end.steps - 1:
            _wait_for(self._device)
            self.seconds = [(time.perf_counter() - self._begun) / end.steps]


def time_batch(active: Active, warm: WarmUp) -> Turn:
    """Make the first batch with drivers that were just attached, and time it.

    The clock starts when all ranks are there, after two steps that do not count or, where they
    would not be enough, a whole batch. It stops when the device has decoded.
    """
    batches = active.calls().batches
    samples = samples_of(active.loaded.config, active.name)
    request = next(batches(samples))
    warmed = warm == "short" and warm_up(active, request, Phases())
    if warm != "none" and not warmed:
        call(active, request, NoSink())
        request = next(batches(samples))  # with generators that nothing was drawn from
    active.attached.context.comm.agree(True)
    return len(request.samples), *_timed(active, request)


def _timed(active: Active, request: Request) -> tuple[float, list[float]]:
    """Give the seconds of one batch, and of one step where steps are heard of."""
    device = active.model.device
    steps = _Steps(device)
    with active.attached.listening(steps):
        _wait_for(device)
        begun = time.perf_counter()
        call(active, request, NoSink())
        _wait_for(device)
        return time.perf_counter() - begun, steps.seconds


def _wait_for(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _passes(count: int) -> int:
    return 2 * count if count % 2 else count


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)
