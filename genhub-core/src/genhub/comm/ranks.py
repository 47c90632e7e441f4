"""What every communicator does alike: everything is built on one way to send and receive.

A kind of communicator says only how tensors travel (`_post`). Reductions gather and then reduce in
order of rank, so their bits are the same on every rank and in every kind of communicator.
"""

from __future__ import annotations

import json
import math
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, Literal, Self

import torch
from torch import Tensor

from genhub.errors import GenHubError

__all__ = ["Finish", "Ranks", "Transfer", "fill"]

Finish = Callable[[float], None]  # block until done; raise PeerLost after this time.monotonic()

_WIRE = ("exchange", "all_reduce", "all_gather", "broadcast", "lengths", "objects")
_HIGHEST_TAG = 2**28  # tag and kind of operation travel as one 31-bit number
_REDUCE: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": torch.add,
    "max": torch.maximum,
    "min": torch.minimum,
}


class Transfer:
    """A transfer under way; `wait` may be called again and gives the same."""

    def __init__(self, finish: Finish, timeout: float, result: Callable[[], Any]) -> None:
        self._finish = finish
        self._timeout = timeout
        self._result = result
        self._done = False
        self._value: Any = None

    def wait(self) -> Any:
        """Block until the transfer is done, for `timeout` seconds at most; else PeerLost."""
        if not self._done:
            self._finish(time.monotonic() + self._timeout)
            self._value, self._done = self._result(), True
        return self._value


class Ranks(ABC):
    """What `genhub.api.Communicator` promises, but for how tensors travel.

    `ranks` are the members' numbers in the whole run, by which errors name them; `rank` is this
    one's place among them. What `split` gives counts into the same `sent`.
    """

    def __init__(
        self,
        rank: int,
        ranks: Sequence[int],
        device: Any,
        timeout: float,
        sent: Counter[str] | None = None,
    ) -> None:
        self.rank = rank
        self.ranks = tuple(ranks)
        self.world = len(self.ranks)
        self.device = torch.device(device)
        self.timeout = timeout
        self.sent: Counter[str] = Counter() if sent is None else sent

    @abstractmethod
    def _post(
        self,
        sends: Mapping[int, Tensor],
        recvs: Mapping[int, Tensor],
        wire: int,
        where: str,
        *,
        handshake: bool,
    ) -> Finish:
        """Start sending and receiving; messages of one `wire` between two ranks keep order.

        `where` is what errors say; tensors of a handshake are on the CPU.
        """

    @abstractmethod
    def _line(self, axis: str, ranks: Sequence[int]) -> Self:
        """Give the communicator of some ranks (by place), this one among them."""

    def exchange(
        self, sends: Mapping[int, Tensor], recvs: Mapping[int, Tensor], *, tag: int
    ) -> Transfer:
        """Send and receive point to point, `{rank: tensor}`; receives fill their tensors.

        Leave both kinds of tensors alone until `wait`, which gives `recvs`.
        """
        where = f"exchange with tag {tag}"
        if not 0 <= tag < _HIGHEST_TAG:
            raise ValueError(f"{where}: tags go from 0 to {_HIGHEST_TAG - 1}")
        for peer, tensor in (*sends.items(), *recvs.items()):
            self._check(peer, tensor, where)
        me = self.rank
        if (me in sends) != (me in recvs):
            raise ValueError(f"{where}: rank {me} must both send to itself and receive, or neither")
        if me in sends:
            fill(recvs[me], sends[me])
        out = {peer: tensor for peer, tensor in sends.items() if peer != me}
        into = {peer: tensor for peer, tensor in recvs.items() if peer != me}
        return self._transfer("exchange", out, into, where, lambda: recvs, tag)

    def all_reduce(self, x: Tensor, op: Literal["sum", "max", "min"] = "sum") -> Transfer:
        """Reduce `x` in place, in order of rank; `wait` gives `x`."""
        if op not in _REDUCE:
            raise ValueError(f"all_reduce: there is no '{op}'; use {', '.join(_REDUCE)}")
        parts = self._parts(x, "all_reduce")

        def reduced() -> Tensor:
            total = parts[0].clone()
            for part in parts[1:]:
                total = _REDUCE[op](total, part)
            return fill(x, total)

        return self._to_all("all_reduce", x, parts, reduced)

    def all_gather(self, x: Tensor) -> list[Tensor]:
        """Give every rank's tensor, in order of rank; all have the shape of `x`."""
        parts = self._parts(x, "all_gather")
        self._to_all("all_gather", x, parts, lambda: None).wait()
        parts[self.rank] = x.clone()
        return parts

    def broadcast(self, x: Tensor, src: int) -> Transfer:
        """Overwrite `x` with that of rank `src`; `wait` gives `x`."""
        self._check(src, x, "broadcast")
        mine = src == self.rank
        sends = {peer: x for peer in self._others() if mine}
        recvs = {} if mine else {src: x}
        return self._transfer("broadcast", sends, recvs, "broadcast", lambda: x)

    def agree(self, ok: bool) -> bool:
        """Give the logical and of `ok` over all ranks."""
        return all(self.gather_objects(bool(ok)))

    def same(self, **facts: Any) -> None:
        """Raise GH609, naming each fact and who has which value, unless all ranks pass equal ones.

        Facts are strings, numbers, bytes, or tuples of these.
        """
        theirs = self.gather_objects({name: repr(value) for name, value in facts.items()})
        names = dict.fromkeys(name for one in theirs for name in one)
        unequal = {
            name: values
            for name in names
            if len(set(values := [one.get(name, "nothing") for one in theirs])) > 1
        }
        if unequal:
            said = "; ".join(f"{name}: {self._who_has(v)}" for name, v in unequal.items())
            raise GenHubError(
                "GH609",
                f"the ranks of this run disagree on {said}",
                hint="give every rank the same config, seeds, files and versions",
            )

    def gather_objects(self, value: Any) -> list[Any]:
        """Give every rank's JSON-able value, in order of rank; for handshakes and the launcher.

        It works on the CPU whatever the device, and does not count as sent.
        """
        mine = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        length = torch.tensor([mine.numel()])
        lengths = {peer: torch.empty_like(length) for peer in self._others()}
        self._transfer(
            "lengths", dict.fromkeys(lengths, length), lengths, "a handshake", lambda: None
        ).wait()
        texts = {peer: torch.empty(int(n), dtype=torch.uint8) for peer, n in lengths.items()}
        self._transfer(
            "objects", dict.fromkeys(texts, mine), texts, "a handshake", lambda: None
        ).wait()
        texts[self.rank] = mine
        return [json.loads(texts[rank].numpy().tobytes()) for rank in range(self.world)]

    def split(self, **axes: int) -> dict[str, Self]:
        """Arrange the ranks as a grid, row by row, and give the line through this rank per axis.

        `split(cfg=2, stage=4)` puts rank 5 at cfg 1, stage 1: its `stage` line is ranks 4 to 7.
        Every rank must call it, with the same axes.
        """
        if math.prod(axes.values()) != self.world or min(axes.values(), default=0) < 1:
            grid = " x ".join(f"{axis}={length}" for axis, length in axes.items()) or "nothing"
            noun = "1 rank" if self.world == 1 else f"{self.world} ranks"
            raise ValueError(f"{noun} cannot be split into {grid}")
        self.same(split=tuple(axes.items()))
        places = list(product(*(range(length) for length in axes.values())))
        lines = {}
        for i, axis in enumerate(axes):
            elsewhere = [place[:i] + place[i + 1 :] for place in places]
            here = elsewhere[self.rank]
            lines[axis] = self._line(
                axis, [r for r, other in enumerate(elsewhere) if other == here]
            )
        return lines

    def _others(self) -> list[int]:
        return [rank for rank in range(self.world) if rank != self.rank]

    def _parts(self, x: Tensor, where: str) -> list[Tensor]:
        """Give a tensor per rank to gather into; this rank's own is `x` itself."""
        self._check(self.rank, x, where)
        return [x if rank == self.rank else torch.empty_like(x) for rank in range(self.world)]

    def _to_all(
        self, kind: str, x: Tensor, parts: Sequence[Tensor], result: Callable[[], Any]
    ) -> Transfer:
        others = self._others()
        recvs = {peer: parts[peer] for peer in others}
        return self._transfer(kind, dict.fromkeys(others, x), recvs, kind, result)

    def _transfer(
        self,
        kind: str,
        sends: Mapping[int, Tensor],
        recvs: Mapping[int, Tensor],
        where: str,
        result: Callable[[], Any],
        tag: int = 0,
    ) -> Transfer:
        wire = tag * len(_WIRE) + _WIRE.index(kind)
        handshake = kind in ("lengths", "objects")
        finish = self._post(sends, recvs, wire, where, handshake=handshake)
        if sends and not handshake:
            self.sent[kind] += sum(x.numel() * x.element_size() for x in sends.values())
        return Transfer(finish, self.timeout, result)

    def _check(self, peer: int, tensor: Tensor, where: str) -> None:
        if not 0 <= peer < self.world:
            noun = "1 rank" if self.world == 1 else f"{self.world} ranks"
            raise ValueError(f"{where}: there is no rank {peer} among {noun}")
        shape = tuple(tensor.shape)
        if not tensor.is_contiguous():
            raise ValueError(
                f"{where}: a tensor of shape {shape} with strides {tensor.stride()} is not "
                "contiguous; pass x.contiguous()"
            )
        if tensor.device.type != self.device.type:
            raise ValueError(
                f"{where}: a tensor of shape {shape} is on {tensor.device}, the ranks talk on "
                f"{self.device}"
            )

    def _who_has(self, values: Sequence[str]) -> str:
        """Write `rank 1 has 'b', ranks 0, 2 have 'a'`, the rarest value first."""
        groups: dict[str, list[int]] = {}
        for rank, value in zip(self.ranks, values, strict=True):
            groups.setdefault(value, []).append(rank)
        said = []
        for value, ranks in sorted(groups.items(), key=lambda group: len(group[1])):
            short = value if len(value) <= 40 else f"{value[:37]}..."
            listed = ", ".join(str(rank) for rank in ranks)
            said.append(f"rank{'s'[: len(ranks) > 1]} {listed} "
                        f"{'have' if len(ranks) > 1 else 'has'} {short}")  # fmt: skip
        return ", ".join(said)


def fill(x: Tensor, values: Tensor) -> Tensor:
    """Overwrite `x`, whichever thread made it in whichever grad mode, and give it."""
    with torch.inference_mode():
        return x.copy_(values)
