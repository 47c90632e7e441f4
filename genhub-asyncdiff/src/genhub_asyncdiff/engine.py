"""The recurrence of AsyncDiff, call by call: what one rank, or one simulated device, computes.

With y_u(k) the output of part u at call k, F_u its function and c(u) its owner, a full call is
y_u(k) = F_u(y_v(k); x_k, t_k) on every device; in a parallel call device c(u) computes

    y_u(k) = F_u(y_v(k) where c(v) = c(u), y_v(p) elsewhere; x_k, t_k),

p being the call before (at stride S: the round before). Adds, concatenations and time embeddings
between the parts run on every device, at that device's own time.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.utils._pytree import tree_map

from genhub.api import Context, GenHubError
from genhub_asyncdiff.checks import warn_of_call
from genhub_asyncdiff.cutting import Cutting
from genhub_asyncdiff.inbox import Arrival, Inbox, Key
from genhub_asyncdiff.schedule import Call, Form, Pacer
from genhub_asyncdiff.slot import Output, Slot, signature
from genhub_asyncdiff.wires import Layout

__all__ = ["Arguments", "Engine", "Options", "Seat", "Turn"]

Forward = Callable[..., Any]


@dataclass(frozen=True)
class Options:
    """What a schedule's form does not say."""

    extrapolate: float = 0.0
    comm_dtype: str = "same"
    refresh_threshold: float | None = None
    overlap: bool = True

    @property
    def looks_back(self) -> bool:
        """Say whether what was published before the latest is needed, too."""
        return self.extrapolate > 0 or self.refresh_threshold is not None


@dataclass(frozen=True)
class Seat:
    """One device's place at a denoiser: what it computes, reads and publishes."""

    device: int
    computes: frozenset[str]
    wanted: frozenset[Key]
    published: frozenset[Key]
    head: frozenset[str]  # parts to be computed once more at the time that others expect

    @classmethod
    def of(cls, cutting: Cutting, form: Form, device: int) -> Seat:
        """Seat a device."""
        component = form.component(device)
        own = frozenset(path for path in cutting.parts if cutting.owner[path] == component)
        first = device == component  # twins publish nothing
        published = frozenset(
            key for keys in cutting.reads for key in keys if first and key[0] in own
        )
        twice = form.mode == "reuse" and form.stride > 1 and component == form.tail and published
        head = frozenset(cutting.head) if twice else frozenset()
        return cls(device, own, frozenset(cutting.reads[component]), published, head)


@dataclass
class Turn:
    """The call under way."""

    slot: Slot
    call: Call
    seat: Seat | None = None  # None: a full call
    computes: frozenset[str] = frozenset()
    publishes: bool = False
    keep: Callable[[str, Output], None] | None = None  # what is done with parts' outputs


class Engine(ABC):
    """Runs the calls of all denoisers of a pipeline; `end` forgets the generation.

    Streams of calls are told apart by denoiser and guidance branch, or, where a pipeline names no
    branches, by the number of the call within its evaluation.
    """

    def __init__(
        self, ctx: Context, form: Form, cuttings: Mapping[str, Cutting], options: Options
    ) -> None:
        self.ctx = ctx
        self.form = form
        self.cuttings = cuttings
        self.options = options
        self.seats: Mapping[str, Sequence[Seat]] = {}
        self.calls: Counter[str] = Counter()  # by phase, since the hooks are in place
        self._slots: dict[Any, Slot] = {}
        self._turn: Turn | None = None
        self._timesteps: Tensor | None = None
        self._evaluation = -1
        self._ordinals: Counter[str] = Counter()  # calls of this evaluation, by denoiser
        self._controlled: Any = None
        self._warned = False

    def call(
        self, name: str, module: Module, forward: Forward, args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:  # fmt: skip
        """Compute, or look up, one call of a denoiser; gives what its forward gives."""
        clock = self.ctx.clock
        if clock.timesteps is None:
            raise _no_scheduler(self.ctx.pipeline)
        arguments = Arguments.of(module, args, kwargs)
        slot = self._slot(name, arguments)
        refresh = slot.pacer.at_round and (not slot.warm or self._changed(slot))
        call = slot.pacer.next(refresh)
        self.calls[call.phase] += 1
        try:
            if call.phase == "free":
                return slot.predicted(call.offset)
            if call.phase == "parallel":
                return self._parallel(slot, call, forward, arguments)
            return self._full(slot, call, forward, arguments)
        finally:
            self._turn = None

    def part(self, path: str, forward: Forward, args: Any, kwargs: Any) -> Any:
        """Compute one part, or give what stands for its output on the device under way."""
        turn = self._turn
        if turn is None:
            return forward(*args, **kwargs)
        if turn.seat is None:
            made = forward(*args, **kwargs)
            turn.slot.called[path] = turn.slot.called.get(path, 0) + 1
            if turn.keep is not None:
                turn.keep(path, Output.of(made))
            return made
        if path not in turn.computes:
            return turn.slot.hand_out(path, turn.seat.device, turn.seat.wanted)
        made = forward(*args, **kwargs)
        if turn.publishes:
            self._publish_all(turn, path, made)
        return made

    def control(self, forward: Forward, args: Any, kwargs: Any) -> Any:
        """Run a ControlNet for the denoiser's next call, unless that call is free."""
        clock = self.ctx.clock
        coming = [slot for slot in self._slots.values() if clock.evaluation]
        free = bool(coming) and not any(slot.pacer.at_round for slot in coming)
        described = signature({"args": args, **kwargs})
        before, made = self._controlled or (None, None)
        if not free or before != described:  # a batch of another size warms up anew
            made = forward(*args, **kwargs)
            self._controlled = described, made
        return made

    def end(self) -> None:
        """Forget the generation."""
        self._slots = {}
        self._controlled = None
        self._turn = None
        self._evaluation = -1

    @abstractmethod
    def _parallel(self, slot: Slot, call: Call, forward: Forward, arguments: Arguments) -> Any:
        """Compute a parallel call and set the slot's predictions."""

    @abstractmethod
    def _publish(self, turn: Turn, key: Key, tensor: Tensor) -> None:
        """Let others read a tensor from the next round on."""

    @abstractmethod
    def _changed(self, slot: Slot) -> bool:
        """Say, alike on all devices, whether `refresh_threshold` asks for a full call."""

    def _full(self, slot: Slot, call: Call, forward: Forward, arguments: Arguments) -> Any:
        """Compute everything here, and keep what others' parts gave."""
        slot.advance()
        slot.called = {}
        self._turn = Turn(slot, call, keep=partial(self._record, slot))
        output = arguments.run(forward)
        self._end_full(slot, Output.of(output))
        return output

    def _end_full(self, slot: Slot, output: Output) -> None:
        slot.advance()
        slot.output = output
        kept = Arrival(output.tensor.clone())  # pipelines may change what they are given in place
        slot.predictions = [kept] * max(2, self.form.stride)
        slot.warm = self.is_whole(slot)

    def is_whole(self, slot: Slot) -> bool:
        """Say whether the full call ran every part once; guidance may skip layers, or repeat some.

        A stream of calls that does is computed in full on every device.
        """
        return slot.called == dict.fromkeys(self.cuttings[slot.denoiser].parts, 1)

    def _record(self, slot: Slot, path: str, output: Output) -> None:
        """Keep of a full call what devices will read, and the shapes of what they leave out."""
        for seat in self.seats[slot.denoiser]:
            if seat.head or path not in seat.computes:
                slot.skeleton[path] = output
            for i, leaf in enumerate(output.leaves):
                key = path, i
                if key in seat.wanted:
                    kept = leaf.clone(memory_format=torch.preserve_format)
                    slot.inboxes[seat.device].stage(key, Arrival(kept))
                if key in seat.wanted or key in seat.published:
                    slot.layouts[key] = Layout.of(leaf)

    def _publish_all(self, turn: Turn, path: str, made: Any) -> None:
        assert turn.seat is not None
        leaves = Output.of(made).leaves
        for i, leaf in enumerate(leaves):
            if (path, i) in turn.seat.published:
                self._publish(turn, (path, i), leaf)

    def _on_seat(
        self, seat: Seat, slot: Slot, call: Call, forward: Forward, arguments: Arguments,
        last: bool,
    ) -> Any:  # fmt: skip
        """Compute what one device does in a parallel call, and give its denoiser's output."""
        total = slot.pacer.total
        time = self.form.time(seat.device, call, total)
        published = self.form.published_time(call, total)
        twice = bool(seat.head) and published != time and not last
        if twice:
            self._turn = Turn(slot, call, seat, seat.head, publishes=True)
            self._at(slot, arguments, call, published, forward)
        self._turn = Turn(slot, call, seat, seat.computes, publishes=not last and not twice)
        return self._at(slot, arguments, call, time, forward)

    def _at(self, slot: Slot, arguments: Arguments, call: Call, time: int, forward: Forward) -> Any:
        """Run the denoiser at the timestep of another call."""
        if time == call.index:
            return arguments.run(forward)
        clock = self.ctx.clock
        assert clock.timesteps is not None
        t = clock.timesteps[clock.evaluation + time - call.index]
        shifted = arguments.with_timestep(t, slot.divisor)
        return shifted.run(forward)

    def _slot(self, name: str, arguments: Arguments) -> Slot:
        """Find the stream that a call belongs to; a new one begins with its warm-up."""
        clock = self.ctx.clock
        if clock.timesteps is not self._timesteps:  # every generation has a tensor of its own
            self.end()
            self._timesteps = clock.timesteps
        if clock.evaluation != self._evaluation:
            self._evaluation, self._ordinals = clock.evaluation, Counter()
        key = name, clock.branch or self._ordinals[name]
        self._ordinals[name] += clock.branch is None
        described = signature(arguments.named)
        slot = self._slots.get(key)
        if slot is None or slot.signature != described:
            if slot is not None:
                slot.settle()
            slot = self._slots[key] = self._new_slot(name, described, arguments)
        return slot

    def _new_slot(self, name: str, described: Any, arguments: Arguments) -> Slot:
        clock = self.ctx.clock
        assert clock.timesteps is not None
        total = len(clock.timesteps) - clock.evaluation
        if not self._warned and self.ctx.comm.rank == 0:
            self._warned = True
            warn_of_call(self.form, total)
        inboxes = {seat.device: Inbox(self.options.extrapolate) for seat in self.seats[name]}
        slot = Slot(name, Pacer(self.form, total), described, inboxes)
        if self.form.stride > 1 or self.form.time_shift:
            slot.divisor = _divisor(self.ctx, arguments)
        return slot


@dataclass(frozen=True)
class Arguments:
    """The arguments of a denoiser's forward; UNets are called by position, others by keyword."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    names: tuple[str, ...]  # of the forward's parameters

    @classmethod
    def of(cls, module: Module, args: Any, kwargs: Any) -> Arguments:
        """Take the arguments of one call."""
        return cls(tuple(args), dict(kwargs), _parameters(type(module)))

    @property
    def named(self) -> dict[str, Any]:
        """Give all arguments by name."""
        return {**dict(zip(self.names, self.args, strict=False)), **self.kwargs}

    @property
    def sample(self) -> Tensor:
        """Give the tensor that is denoised: the first argument of every denoiser."""
        return self.args[0] if self.args else self.kwargs[self.names[0]]

    def run(self, forward: Forward) -> Any:
        """Call the denoiser with them; it may empty lists that it is given, so it gets its own."""
        args, kwargs = tree_map(_same, (self.args, dict(self.kwargs)))
        return forward(*args, **kwargs)

    def on_meta(self) -> Arguments:
        """Give tensors without memory in the place of these."""
        args, kwargs = tree_map(_on_meta, self.args), tree_map(_on_meta, dict(self.kwargs))
        return Arguments(args, kwargs, self.names)

    def with_sample(self, sample: Tensor) -> Arguments:
        """Put another sample in the place of this one."""
        return self._with(self.names[0], sample)

    def with_timestep(self, t: Tensor, divisor: float | None) -> Arguments:
        """Put another timestep in the place of this one: same shape, dtype and device."""
        given = torch.as_tensor(self.named["timestep"])
        value = t.to(given.device, given.dtype)
        value = value if divisor in (None, 1.0) else value / divisor
        return self._with("timestep", value.expand(given.shape))

    def _with(self, name: str, value: Any) -> Arguments:
        at = self.names.index(name)
        if at < len(self.args):
            args = (*self.args[:at], value, *self.args[at + 1 :])
            return Arguments(args, self.kwargs, self.names)
        return Arguments(self.args, {**self.kwargs, name: value}, self.names)


def _same(x: Any) -> Any:
    return x


def _on_meta(x: Any) -> Any:
    return torch.empty_like(x, device="meta") if isinstance(x, Tensor) else x


@cache
def _parameters(cls: type[Module]) -> tuple[str, ...]:
    return tuple(inspect.signature(cls.forward).parameters)[1:]


def _divisor(ctx: Context, arguments: Arguments) -> float:
    """Find out how the pipeline hands its timesteps over: as they are, or as a share."""
    clock, given = ctx.clock, arguments.named.get("timestep")
    if given is not None and clock.timesteps is not None:
        given = torch.as_tensor(given)
        now = clock.timesteps[clock.evaluation].to(given.device)
        trained = float(getattr(ctx.pipeline.scheduler.config, "num_train_timesteps", 1000))
        for divisor in (1.0, trained):
            expected = now.to(given.dtype) if divisor == 1.0 else now.to(given.dtype) / divisor
            if torch.equal(given, expected.expand(given.shape)):
                return divisor
    raise GenHubError(
        "GH407",
        f"{type(ctx.pipeline).__name__} gives its denoiser timesteps that are neither those of its "
        "scheduler nor a share of them, so the time of another call cannot be put in their place",
        hint="use stride: 1 and time_shift: false",
    )


def _no_scheduler(pipeline: Any) -> GenHubError:
    return GenHubError(
        "GH407",
        f"asyncdiff needs to know the timesteps of a generation, and {type(pipeline).__name__} has "
        "no scheduler that tells them",
        hint="attach to the pipeline in place of its denoiser",
    )
