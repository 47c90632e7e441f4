"""The communicator of a run with one rank: nothing travels, every wait is over at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SoloComm"]


@dataclass(frozen=True)
class _Done:
    """A transfer that ended before it began."""

    result: Any = None

    def wait(self) -> Any:
        return self.result


class SoloComm:
    """Rank 0 of 1."""

    rank = 0
    world = 1

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device
        self.sent: Counter[str] = Counter()

    def exchange(
        self, sends: Mapping[int, Tensor], recvs: Mapping[int, Tensor], *, tag: int
    ) -> _Done:
        """Copy what this rank sends to itself; there is nobody else."""
        for peer in (*sends, *recvs):
            self._only_me(peer)
        if (0 in sends) != (0 in recvs):
            raise ValueError(f"exchange with tag {tag}: rank 0 both sends and receives, or neither")
        if 0 in sends:
            recvs[0].copy_(sends[0])
        return _Done(recvs)

    def all_reduce(self, x: Tensor, op: Literal["sum", "max", "min"] = "sum") -> _Done:
        """Leave `x` as it is: the sum, maximum and minimum of one tensor."""
        return _Done(x)

    def all_gather(self, x: Tensor) -> list[Tensor]:
        """Give a copy of `x`, as every rank's tensor is a buffer of its own."""
        return [x.clone()]

    def broadcast(self, x: Tensor, src: int) -> _Done:
        """Leave `x` as it is."""
        self._only_me(src)
        return _Done(x)

    def agree(self, ok: bool) -> bool:
        """Give `ok`."""
        return ok

    def same(self, **facts: Any) -> None:
        """Do nothing: one rank agrees with itself."""

    def split(self, **axes: int) -> dict[str, SoloComm]:
        """Give one communicator per axis; every axis has length 1."""
        for axis, length in axes.items():
            if length != 1:
                raise ValueError(f"one rank cannot be split into {axis}={length}")
        return {axis: SoloComm(self.device) for axis in axes}

    def _only_me(self, rank: int) -> None:
        if rank != 0:
            raise ValueError(f"there is no rank {rank}: this run has one rank")
