"""Ranks as threads of one process: deterministic, for simulation and tests."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from genhub.comm.ranks import Finish, Ranks, fill
from genhub.errors import PeerLost

__all__ = ["ThreadComm", "in_threads"]


@dataclass(eq=False)
class _End:
    """One end of a message: who posted it, and the tensor to read from or to fill."""

    rank: int
    tensor: Tensor
    done: bool = False
    fault: str = ""


class _Hub:
    """Where the threads of a run meet: messages that wait for their other end, and who is lost."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.lost: int | None = None
        self._sends: defaultdict[Hashable, deque[_End]] = defaultdict(deque)
        self._recvs: defaultdict[Hashable, deque[_End]] = defaultdict(deque)

    def send(self, key: Hashable, end: _End) -> None:
        """Give the tensor to the receiver that waits longest, else keep it for the next."""
        if self._recvs[key]:
            _deliver(end, self._recvs[key].popleft())
        else:
            self._sends[key].append(end)

    def receive(self, key: Hashable, end: _End) -> None:
        """Take the oldest tensor that was sent, else wait for the next."""
        if self._sends[key]:
            _deliver(self._sends[key].popleft(), end)
        else:
            self._recvs[key].append(end)


def _deliver(sent: _End, wanted: _End) -> None:
    a, b = sent.tensor, wanted.tensor
    if (a.shape, a.dtype) == (b.shape, b.dtype):
        fill(b, a)
    else:
        sent.fault = wanted.fault = (
            f"rank {sent.rank} sends {a.dtype} of shape {tuple(a.shape)}, "
            f"rank {wanted.rank} receives {b.dtype} of shape {tuple(b.shape)}"
        )
    sent.done = wanted.done = True


class ThreadComm(Ranks):
    """One rank among threads that share a hub; `ThreadComm.group` makes them all."""

    def __init__(
        self,
        hub: _Hub,
        channel: Hashable,
        rank: int,
        ranks: Sequence[int],
        device: Any,
        timeout: float,
        sent: Counter[str] | None = None,
    ) -> None:
        super().__init__(rank, ranks, device, timeout, sent)
        self._hub = hub
        self._channel = channel
        self._lines: Counter[str] = Counter()

    @classmethod
    def group(cls, world: int, device: Any = "cpu", timeout: float = 120.0) -> list[ThreadComm]:
        """Make the communicators of `world` threads; `timeout` seconds bound every wait."""
        hub = _Hub()
        return [cls(hub, (), rank, range(world), device, timeout) for rank in range(world)]

    def abort(self) -> None:
        """Tell that this rank is lost: every wait of the others ends with PeerLost at once.

        The first one that is lost stays the one that is named.
        """
        with self._hub.changed:
            if self._hub.lost is None:
                self._hub.lost = self.ranks[self.rank]
            self._hub.changed.notify_all()

    def _post(
        self,
        sends: Mapping[int, Tensor],
        recvs: Mapping[int, Tensor],
        wire: int,
        where: str,
        *,
        handshake: bool,
    ) -> Finish:
        hub, me = self._hub, self.rank
        ends = []
        with hub.changed:
            if hub.lost is not None and (sends or recvs):
                raise PeerLost(hub.lost, where)
            for peer, tensor in sends.items():
                ends.append((peer, end := _End(me, tensor)))
                hub.send((self._channel, me, peer, wire), end)
            for peer, tensor in recvs.items():
                ends.append((peer, end := _End(me, tensor)))
                hub.receive((self._channel, peer, me, wire), end)
            hub.changed.notify_all()
        return lambda deadline: self._finish(ends, deadline, where)

    def _finish(self, ends: Sequence[tuple[int, _End]], deadline: float, where: str) -> None:
        hub = self._hub
        with hub.changed:
            for peer, end in ends:
                while not end.done:
                    if hub.lost is not None:
                        raise PeerLost(hub.lost, where)
                    left = deadline - time.monotonic()
                    if left <= 0:
                        late = f"{where}: no answer within {self.timeout:g} s"
                        raise PeerLost(self.ranks[peer], late)
                    hub.changed.wait(left)
                if end.fault:
                    raise ValueError(f"{where}: {end.fault}")

    def _line(self, axis: str, ranks: Sequence[int]) -> ThreadComm:
        self._lines[axis] += 1
        return ThreadComm(
            self._hub,
            (self._channel, axis, self._lines[axis], tuple(ranks)),
            ranks.index(self.rank),
            [self.ranks[rank] for rank in ranks],
            self.device,
            self.timeout,
            self.sent,
        )


def in_threads(comms: Sequence[ThreadComm], function: Callable[[ThreadComm], Any]) -> list[Any]:
    """Run `function` once per rank, each in a thread of its own, and give what each returned.

    A rank that raises has its exception in the place of its result, and is lost to the others.
    """
    outcomes: list[Any] = [None] * len(comms)

    def run(comm: ThreadComm) -> None:
        try:
            outcomes[comm.rank] = function(comm)
        except BaseException as error:
            outcomes[comm.rank] = error
            comm.abort()

    threads = [
        threading.Thread(target=copy_context().run, args=(run, comm), name=f"rank {comm.rank}")
        for comm in comms
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        comms[0].abort()
        raise
    return outcomes
