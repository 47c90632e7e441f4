"""How the tensors of a cut travel: one flat buffer per message, posted as soon as it is full.

A round has a fixed list of messages, the same on every rank: those of the cut in the order in
which their last tensors are made, then the noise predictions. Every rank starts its share in this
order, so that ranks cannot wait for each other in a circle, whether or not the backend keeps tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genhub_asyncdiff.inbox import Arrival, Inbox, Key

__all__ = ["Layout", "Message", "Wires", "over_the_wire"]

_TAG = 4000  # this package's messages, by number

WIRE_TYPES: Mapping[str, torch.dtype] = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8_e4m3fn": torch.float8_e4m3fn,
}


@dataclass(frozen=True)
class Message:
    """Tensors that one device sends another in every round, in one piece."""

    src: int
    dst: int
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Layout:
    """How a tensor lies in memory."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, x: Tensor) -> Layout:
        """Take the layout of a tensor; one with gaps is written down as contiguous."""
        like = torch.empty_like(x, device="meta", memory_format=torch.preserve_format)
        return cls(tuple(like.shape), like.stride(), like.dtype)


def wire_type(layout: Layout, comm_dtype: str) -> torch.dtype:
    """Give the dtype in which a tensor travels: never a wider one than its own."""
    chosen = WIRE_TYPES.get(comm_dtype)
    narrows = chosen is not None and chosen.itemsize < layout.dtype.itemsize
    return chosen if chosen is not None and narrows and layout.dtype.is_floating_point else (
        layout.dtype
    )  # fmt: skip


def _is_scaled(kind: torch.dtype) -> bool:
    """Say whether a tensor of this type travels with what to multiply it with, a float32."""
    return kind.itemsize == 1


def _narrow(x: Tensor, kind: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Give a tensor in a narrower type, and its scale; what is too large becomes the largest."""
    largest = torch.finfo(kind).max
    if not _is_scaled(kind):
        return x.clamp(-largest, largest).to(kind), None
    scale = (x.abs().amax().float() / largest).clamp_min(torch.finfo(torch.float32).tiny)
    # in float32: in float16 the scale of a small tensor is 0
    return (x.float() / scale).clamp(-largest, largest).to(kind), scale


def over_the_wire(x: Tensor, layout: Layout, comm_dtype: str) -> Tensor:
    """Give what a reader gets of a published tensor: a copy in this layout, perhaps rounded."""
    copied = torch.empty_strided(layout.shape, layout.stride, dtype=x.dtype, device=x.device)
    copied.copy_(x)
    kind = wire_type(layout, comm_dtype)
    if kind == x.dtype:
        return copied
    narrow, scale = _narrow(copied, kind)
    return narrow.to(x.dtype) if scale is None else (narrow.float() * scale).to(x.dtype)


class _Buffer:
    """The tensors of one message, one after the other in one flat tensor of bytes."""

    def __init__(self, layouts: Mapping[Key, Layout], comm_dtype: str, device: Any) -> None:
        self.places: dict[Key, tuple[int, Layout, torch.dtype]] = {}
        self.wait: Any = None  # the transfer that uses it
        at = 0
        for key, layout in layouts.items():
            kind = wire_type(layout, comm_dtype)
            at = -(-at // kind.itemsize) * kind.itemsize  # tensors of one type leave no gaps
            self.places[key] = at, layout, kind
            at += kind.itemsize * torch.Size(layout.shape).numel()
            if _is_scaled(kind):
                at = -(-at // 4) * 4 + 4
        self.flat = torch.empty(at, dtype=torch.uint8, device=device)

    def free(self) -> None:
        """Wait until the last transfer from or into it has ended."""
        if self.wait is not None:
            self.wait()
            self.wait = None

    def pack(self, key: Key, x: Tensor) -> None:
        at, layout, kind = self.places[key]
        view = self._view(at, layout, kind)
        if kind == layout.dtype:
            view.copy_(x)
            return
        narrow, scale = _narrow(x, kind)
        view.copy_(narrow)
        if scale is not None:
            self._scale(at, layout, kind).copy_(scale.reshape(1))

    def unpack(self, key: Key) -> Tensor:
        """Give a tensor: a view of the buffer where it travels as it is."""
        at, layout, kind = self.places[key]
        view = self._view(at, layout, kind)
        if kind == layout.dtype:
            return view
        if not _is_scaled(kind):
            return view.to(layout.dtype)
        return (view.float() * self._scale(at, layout, kind)).to(layout.dtype)

    def _view(self, at: int, layout: Layout, kind: torch.dtype) -> Tensor:
        size = kind.itemsize * torch.Size(layout.shape).numel()
        return self.flat[at : at + size].view(kind).as_strided(layout.shape, layout.stride)

    def _scale(self, at: int, layout: Layout, kind: torch.dtype) -> Tensor:
        end = at + kind.itemsize * torch.Size(layout.shape).numel()
        end = -(-end // 4) * 4
        return self.flat[end : end + 4].view(torch.float32)


_OUTPUT: Key = ("", 0)


class _Op:
    """This rank's end of a message."""

    def __init__(self, number: int, message: Message, sends: bool) -> None:
        self.number = number
        self.message = message
        self.sends = sends
        self.buffers: list[_Buffer] = []
        self.missing: set[Key] = set()
        self.turn = -1

    @property
    def buffer(self) -> _Buffer:
        """Give the buffer of the round under way."""
        return self.buffers[self.turn % len(self.buffers)]

    def fetch(self, key: Key) -> Callable[[], Tensor]:
        """Give what waits for a tensor and takes it out of this round's buffer."""
        buffer = self.buffer

        def arrived() -> Tensor:
            buffer.free()
            return buffer.unpack(key)

        return arrived


class Wires:
    """The messages of one rank and one state of a denoiser, round after round.

    `layouts` are those of the tensors that this rank sends or reads; `predictions` says which
    device's output which others need, in the order of the calls that it serves.
    """

    def __init__(
        self,
        comm: Any,
        device: int,
        messages: Sequence[Message],
        layouts: Mapping[Key, Layout],
        output: Layout,
        predictions: Sequence[Message],
        comm_dtype: str,
        overlap: bool,
        buffers: int,
    ) -> None:
        self._comm = comm
        self._overlap = overlap
        self._ops = [
            _Op(number, m, m.src == device) for number, m in enumerate(messages)
            if device in (m.src, m.dst)
        ]  # fmt: skip
        self._predictions = [
            _Op(len(messages) + number, m, m.src == device)
            for number, m in enumerate(predictions)
            if device in (m.src, m.dst)
        ]
        where = comm.device
        for op in self._ops:
            of = {key: layouts[key] for key in op.message.keys}
            op.buffers = [_Buffer(of, comm_dtype, where) for _ in range(buffers)]
        for op in self._predictions:  # never rounded: every rank must step alike
            op.buffers = [_Buffer({_OUTPUT: output}, "same", where) for _ in range(buffers)]
        self._sends: dict[Key, list[_Op]] = {}
        for op in self._ops:
            for key in op.message.keys if op.sends else ():
                self._sends.setdefault(key, []).append(op)
        self._at = 0
        self._inbox = Inbox()

    def open(self, inbox: Inbox) -> None:
        """Begin a round that others will read: post what is received before anything is sent."""
        self._begin(self._ops)
        self._inbox = inbox
        if self._overlap:
            self._post(self._ready())

    def put(self, key: Key, x: Tensor) -> None:
        """Publish a tensor of the round; a message that is full leaves at once."""
        for op in self._sends.get(key, ()):
            op.buffer.pack(key, x)
            op.missing.discard(key)
        if self._overlap:
            self._post(self._ready())

    def require(self, key: Key) -> None:
        """Post what is received up to a tensor that is read in the round under way."""
        places = (i for i, op in enumerate(self._ops) if not op.sends and key in op.message.keys)
        self._post(next(places) + 1)

    def close(self) -> None:
        """End the round: whatever has not been posted is."""
        first = self._at
        self._post(len(self._ops))
        if not self._overlap:
            for op in self._ops[first:]:
                op.buffer.free()

    def predict(self, suppliers: Sequence[int], mine: Tensor | None) -> dict[int, Arrival]:
        """Send this rank's output to those who need it, and give where those of others arrive."""
        arrivals = {}
        ops = [op for op in self._predictions if op.message.src in suppliers]
        self._begin(ops)
        for op in ops:
            if op.sends:
                assert mine is not None
                op.buffer.pack(_OUTPUT, mine)
            self._start(op)
            if not op.sends:
                arrivals[op.message.src] = Arrival(fetch=op.fetch(_OUTPUT))
        return arrivals

    def settle(self) -> None:
        """Wait for all that is under way."""
        for op in (*self._ops, *self._predictions):
            for buffer in op.buffers:
                buffer.free()

    def _begin(self, ops: Sequence[_Op]) -> None:
        if ops is self._ops:
            self._at = 0
        for op in ops:
            op.turn += 1
            op.buffer.free()
            op.missing = set(op.message.keys)

    def _ready(self) -> int:
        """Give the end of what may be posted: the first message that is still to be filled."""
        ops = self._ops[self._at :]
        return self._at + next((i for i, op in enumerate(ops) if op.sends and op.missing), len(ops))

    def _post(self, end: int) -> None:
        """Start, in order, all operations before `end` that have not been started."""
        for op in self._ops[self._at : end]:
            self._start(op)
            if not op.sends:
                for key in op.message.keys:
                    self._inbox.stage(key, Arrival(fetch=op.fetch(key)))
        self._at = max(self._at, end)

    def _start(self, op: _Op) -> None:
        flat = op.buffer.flat
        sends = {op.message.dst: flat} if op.sends else {}
        recvs = {} if op.sends else {op.message.src: flat}
        pending = self._comm.exchange(sends, recvs, tag=_TAG + op.number)
        op.buffer.wait = pending.wait
