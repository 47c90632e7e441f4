"""Which call of the denoiser is computed how: phases, times and sources of noise predictions.

The symbols are the paper's and the docstrings' throughout: a *call* is one evaluation of the
denoiser that the scheduler asks for, T of them make a generation, n is the number of components,
S the stride, W the number of warm-up calls, t_k the timestep of call k. Device c < n owns
component c; component n - 1, the *tail*, gives the denoiser's output. Twins, devices n and up, own
the tail, too.

Nothing here needs torch: the launcher, the planner and the engine read the same tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Literal

__all__ = ["Anchor", "Call", "Form", "Mode", "Pacer", "Phase"]

Mode = Literal["two_eval", "reuse", "reuse_next"]
Anchor = Literal["warmup", "odd"]
Phase = Literal["sync", "parallel", "free"]


@dataclass(frozen=True)
class Call:
    """One call: all devices compute everything (sync), their parts (parallel), or nothing (free).

    A parallel call `start` serves the calls [start, start + covers); a free call is served by the
    round that began `offset` calls before it. With `anchor: odd` the call after an even warm-up
    is free and served by the last warm-up call itself.
    """

    index: int
    phase: Phase
    covers: int = 1
    offset: int = 0

    @property
    def start(self) -> int:
        """Give the call at which what serves this one was computed."""
        return self.index - self.offset


@dataclass(frozen=True)
class Form:
    """All that the schedule of a generation depends on, beside the number of its calls."""

    components: int
    stride: int = 1
    mode: Mode = "two_eval"
    anchor: Anchor = "warmup"
    warmup: int = 1
    time_shift: bool = False
    refresh_every: int = 0

    @property
    def twins(self) -> int:
        """Count the further copies of the tail, which evaluate it at the other times of a round."""
        return self.stride - 1 if self.mode == "two_eval" else 0

    @property
    def world(self) -> int:
        """Count the devices."""
        return self.components + self.twins

    @property
    def tail(self) -> int:
        """Give the component, and the device, that yields the denoiser's output."""
        return self.components - 1

    def component(self, device: int) -> int:
        """Give the component that a device owns; twins own the tail."""
        return min(device, self.tail)

    def devices(self, component: int) -> tuple[int, ...]:
        """Give the devices that own a component; the first of them publishes what others read."""
        return (component, *range(self.components, self.world)) if component == self.tail else (
            component,
        )  # fmt: skip

    def calls(self, total: int) -> Iterator[Call]:
        """Give all calls of a generation of `total`."""
        pacer = Pacer(self, total)
        return (pacer.next() for _ in range(total))

    def time(self, device: int, call: Call, total: int) -> int:
        """Give the index of the timestep that a device computes with, in a parallel call.

        Components that others read work at the time of the round's last call (the paper's
        stride); twin i works at that of its i-th. A time shift takes the time before.
        """
        last = min(call.index + self.stride, total) - 1
        if device >= self.components:
            index = min(call.index + device - self.components, last)
        elif device == self.tail and self.mode == "reuse":
            index = call.index
        else:
            index = last
        return index - self.time_shift

    def published_time(self, call: Call, total: int) -> int:
        """Give the index of the timestep at which components read by others are computed."""
        return min(call.index + self.stride, total) - 1 - self.time_shift

    def supplier(self, offset: int) -> int:
        """Give the device whose output is the noise prediction of a round's call `offset`."""
        twin = self.twins and offset < self.stride - 1
        return self.components + offset if twin else self.tail

    def suppliers(self, covers: int) -> tuple[int, ...]:
        """Give the distinct devices that supply the calls of a round, in order of the calls."""
        return tuple(dict.fromkeys(self.supplier(offset) for offset in range(covers)))

    def rounds(self, total: int) -> int:
        """Count parallel calls without refreshes: ceil((T - W) / S)."""
        return ceil(max(0, total - self.warmup) / self.stride)


class Pacer:
    """Tells, call by call, how a generation of `total` calls goes on."""

    def __init__(self, form: Form, total: int) -> None:
        self.form = form
        self.total = total
        self._index = 0
        self._open: Call | None = None  # the round, or the warm-up call, that serves free calls
        self._rounds = 0  # parallel calls since the last sync call

    @property
    def at_round(self) -> bool:
        """Say whether the next call begins a round, or is a sync call."""
        return self._peek().phase != "free"

    def next(self, refresh: bool = False) -> Call:
        """Give the next call; `refresh` makes it a sync call where a round would begin."""
        call = self._peek()
        due = self.form.refresh_every and self._rounds >= self.form.refresh_every
        if call.phase == "parallel" and (refresh or due):
            call = Call(call.index, "sync")
        if call.phase != "free":
            self._open = call
            self._rounds = self._rounds + 1 if call.phase == "parallel" else 0
        self._index += 1
        return call

    def is_last_round(self, call: Call) -> bool:
        """Say whether nothing that this parallel call publishes will be read."""
        return call.index + self.form.stride >= self.total

    def _peek(self) -> Call:
        index, form, served = self._index, self.form, self._open
        if index < form.warmup or served is None:
            return Call(index, "sync")
        if served.phase == "parallel" and index < served.index + served.covers:
            return Call(index, "free", offset=index - served.index)
        if form.anchor == "odd" and form.stride == 2 and index % 2 == 0 and served.phase == "sync":
            return Call(index, "free", offset=index - served.index)
        return Call(index, "parallel", covers=min(form.stride, self.total - index))
