"""Ranks as processes, over a process group of torch.distributed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from genhub.comm.ranks import Finish, Ranks
from genhub.comm.solo import SoloComm
from genhub.errors import GenHubError, PeerLost

__all__ = ["TorchComm"]

_Op = tuple[Any, int, Tensor]  # isend or irecv, peer, tensor
_MOMENT = 1e-3  # seconds; the backend takes a timeout of zero for no timeout
_FIRST_LOST = "first lost"  # a key of the store
_NOTES = 2**31 - 1  # their tag; no operation has it


class TorchComm(Ranks):
    """This process among those of the initialised default group: gloo on CPU, nccl on CUDA.

    `timeout` seconds bound every wait. In `store`, which all ranks share, the first whose
    connection to a peer breaks writes down whose: others may see only that one leave, and name
    the right rank all the same. Handshakes use gloo in both cases. nccl keeps no tags: two ranks
    must start their exchanges with one another in the same order, else `wait` raises ValueError.
    A wait on CUDA ends when the peer has sent too and orders the current stream after the data;
    it does not wait for the device.
    """

    def __init__(self, device: Any = "cpu", timeout: float = 120.0, store: Any = None) -> None:
        if not dist.is_initialized():
            raise GenHubError(
                "GH607",
                "torch.distributed has no process group in this process",
                hint="start the ranks by `genhub run`, or call init_process_group first",
            )
        super().__init__(dist.get_rank(), range(dist.get_world_size()), device, timeout)
        self._store = store
        self._take(dist.group.WORLD)

    @property
    def _tagless(self) -> bool:
        return bool(self.device.type != "cpu")

    def _take(self, group: Any) -> None:
        """Use a process group for tensors, and one over gloo for handshakes and notes."""
        self._group = self._side = group
        self._sent: Counter[int] = Counter()  # messages to and from each peer, without tags
        self._received: Counter[int] = Counter()
        if self._tagless:
            self._side = dist.new_group(
                list(self.ranks), backend="gloo", use_local_synchronization=True
            )
            # The first operation of a group connects its members, so all must take part in it.
            dist.all_reduce(torch.zeros(1, device=self.device), group=group)

    def _line(self, axis: str, ranks: Sequence[int]) -> Any:
        members = [self.ranks[rank] for rank in ranks]
        if len(members) == 1:
            return SoloComm(self.device, number=members[0], sent=self.sent)
        line = object.__new__(type(self))
        Ranks.__init__(line, ranks.index(self.rank), members, self.device, self.timeout, self.sent)
        line._store = self._store
        try:
            line._take(dist.new_group(members, use_local_synchronization=True))
        except RuntimeError as error:  # it does not say whom it could not reach
            others = [rank for rank in members if rank != self.ranks[self.rank]]
            if len(others) == 1:
                raise PeerLost(others[0], f"split: '{axis}' could not be connected") from error
            listed = ", ".join(map(str, others))
            said = f"while '{axis}' was split off, a rank was lost; it talks with {listed}"
            raise GenHubError("GH607", said) from error
        return line

    def _post(
        self,
        sends: Mapping[int, Tensor],
        recvs: Mapping[int, Tensor],
        wire: int,
        where: str,
        *,
        handshake: bool,
    ) -> Finish:
        ops: list[_Op] = [(dist.isend, peer, x) for peer, x in sends.items()]
        ops += [(dist.irecv, peer, x) for peer, x in recvs.items()]
        if handshake:
            return self._start(ops, self._side, wire, where)
        if self._tagless and ops:
            return self._start_batch(ops, wire, where)
        return self._start(ops, self._group, wire, where)

    def _start(self, ops: Sequence[_Op], group: Any, wire: int, where: str) -> Finish:
        """Start each operation by itself, so that a failure names its peer."""
        works = []
        for start, peer, tensor in ops:
            try:
                works.append((peer, start(tensor, self.ranks[peer], group, wire)))
            except RuntimeError as error:
                raise self._lost(peer, where, error) from error

        def finish(deadline: float) -> None:
            for peer, work in works:
                left = max(deadline - time.monotonic(), _MOMENT)
                try:
                    work.wait(timedelta(seconds=left))
                except RuntimeError as error:
                    raise self._lost(peer, where, error) from error

        return finish

    def _start_batch(self, ops: Sequence[_Op], wire: int, where: str) -> Finish:
        """Start all operations as one batch; notes beside it tell that each peer does the same."""
        notes: list[_Op] = []
        expected: list[tuple[int, Tensor, Tensor]] = []
        for start, peer, tensor in ops:
            count = self._sent if start is dist.isend else self._received
            mine = torch.tensor([count[peer], wire, tensor.numel() * tensor.element_size()])
            count[peer] += 1
            if start is dist.isend:
                notes.append((dist.isend, peer, mine))
            else:
                notes.append((dist.irecv, peer, theirs := torch.empty_like(mine)))
                expected.append((peer, mine, theirs))
        told = self._start(notes, self._side, _NOTES, where)
        works = dist.batch_isend_irecv(
            [dist.P2POp(start, x, self.ranks[peer], self._group) for start, peer, x in ops]
        )

        def finish(deadline: float) -> None:
            told(deadline)
            for peer, mine, theirs in expected:
                if not torch.equal(mine, theirs):
                    raise ValueError(
                        f"{where}: rank {peer} sends another message next (number, kind, bytes: "
                        f"{theirs.tolist()}; expected {mine.tolist()})"
                    )
            for work in works:
                work.wait()

        return finish

    def _lost(self, peer: int, where: str, error: RuntimeError) -> PeerLost:
        late = "timed out" in str(error).lower()
        why = f"no answer within {self.timeout:g} s" if late else "its connection broke"
        rank = self.ranks[peer]
        if self._store is not None and not late:
            with suppress(RuntimeError):  # the store went with the rank that kept it
                rank = int(self._store.compare_set(_FIRST_LOST, "", str(rank)))
        return PeerLost(rank, f"{where}: {why}")
