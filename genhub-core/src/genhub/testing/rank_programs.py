"""What ranks do in the tests of communicators: one function per test, run once on every rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from genhub.api import Communicator

DTYPES = (torch.float32, torch.float64, torch.int64, torch.bfloat16)


def sample(rank: int, dtype: torch.dtype) -> torch.Tensor:
    """Give the tensor that a rank contributes; sums of it depend on their order."""
    drawn = torch.randn(33, generator=torch.Generator().manual_seed(rank), dtype=torch.float64)
    return (1000 * drawn).to(dtype)


def in_order(tensors: Sequence[torch.Tensor], op: str) -> torch.Tensor:
    """Reduce from the first to the last."""
    combine = {"sum": torch.add, "max": torch.maximum, "min": torch.minimum}[op]
    total = tensors[0]
    for x in tensors[1:]:
        total = combine(total, x)
    return total


def place(comm: Communicator) -> tuple[int, int]:
    """Give rank and world."""
    return comm.rank, comm.world


def ring(comm: Communicator) -> Any:
    """Send to the next rank, receive from the one before; wait twice."""
    inbox = torch.zeros(3)
    following, before = (comm.rank + 1) % comm.world, (comm.rank - 1) % comm.world
    pending = comm.exchange({following: torch.full((3,), comm.rank + 0.5)}, {before: inbox}, tag=3)
    return pending.wait()[before].tolist(), pending.wait()[before].tolist()


def tags_out_of_order(comm: Communicator) -> Any:
    """Send three tags in one order and receive them in another."""
    following, before = (comm.rank + 1) % comm.world, (comm.rank - 1) % comm.world
    tags = (7, 0, 2**28 - 1)
    sends = [
        comm.exchange({following: torch.tensor([10 * tag + comm.rank])}, {}, tag=tag)
        for tag in tags
    ]
    inbox = {tag: torch.zeros(1, dtype=torch.int64) for tag in tags}
    for tag in reversed(tags):
        comm.exchange({}, {before: inbox[tag]}, tag=tag).wait()
    for send in sends:
        send.wait()
    return {tag: x.item() for tag, x in inbox.items()}


def one_tag_twice(comm: Communicator) -> Any:
    """Start two messages of one tag before the first is waited for."""
    following, before = (comm.rank + 1) % comm.world, (comm.rank - 1) % comm.world
    inbox = [torch.zeros(()), torch.zeros(())]
    pending = [
        comm.exchange({following: torch.tensor(1.0 + i)}, {before: inbox[i]}, tag=1)
        for i in range(2)
    ]
    for one in reversed(pending):
        one.wait()
    return [int(x) for x in inbox]


def halos_of_all(comm: Communicator) -> Any:
    """Swap a differently shaped tensor with every other rank in one call."""
    others = [rank for rank in range(comm.world) if rank != comm.rank]
    sends = {peer: torch.full((comm.rank + 1, peer + 1), float(comm.rank)) for peer in others}
    recvs = {peer: torch.zeros(peer + 1, comm.rank + 1) for peer in others}
    comm.exchange(sends, recvs, tag=2).wait()
    return {peer: (tuple(x.shape), x.mean().item()) for peer, x in recvs.items()}


def receive_before_it_is_sent(comm: Communicator) -> Any:
    """Let rank 0 ask for what rank 1 sends only after it has heard from rank 0."""
    if comm.rank > 1:
        return None
    inbox, peer = torch.zeros(1), 1 - comm.rank
    if comm.rank == 0:
        pending = comm.exchange({}, {peer: inbox}, tag=5)
        comm.exchange({peer: torch.tensor([6.0])}, {}, tag=5).wait()
        pending.wait()
    else:
        comm.exchange({}, {peer: inbox}, tag=5).wait()
        comm.exchange({peer: torch.tensor([5.0])}, {}, tag=5).wait()
    return int(inbox)


def reduced_in_all_dtypes(comm: Communicator, op: Any) -> Any:
    """Reduce in place, one dtype after the other, and wait in the opposite order."""
    given = {dtype: sample(comm.rank, dtype) for dtype in DTYPES}
    pending = [comm.all_reduce(x, op) for x in given.values()]
    for one, x in zip(reversed(pending), reversed(given.values()), strict=True):
        assert one.wait() is x
    return given


def gathered_then_overwritten(comm: Communicator) -> Any:
    """Gather, then change what was contributed."""
    mine = torch.full((4,), float(comm.rank))
    parts = comm.all_gather(mine)
    mine.fill_(-1)
    return [part.tolist() for part in parts]


def broadcast_from_each(comm: Communicator) -> Any:
    """Take the value of every rank in turn."""
    values = []
    for src in range(comm.world):
        x = torch.tensor([float(comm.rank)])
        assert comm.broadcast(x, src).wait() is x
        values.append(x.item())
    return values


def odd_tensors(comm: Communicator) -> Any:
    """Hand on tensors without elements, without axes, and of one bit of information."""
    following, before = (comm.rank + 1) % comm.world, (comm.rank - 1) % comm.world
    sends = [
        torch.zeros(0),
        torch.tensor(float(comm.rank)),
        torch.tensor([comm.rank % 2 == 0, True]),
    ]
    inbox = [torch.empty_like(x) for x in sends]
    for i, x in enumerate(sends):
        comm.exchange({following: x}, {before: inbox[i]}, tag=i).wait()
    return inbox[0].tolist(), inbox[1].item(), inbox[2].tolist()


def agreed(comm: Communicator) -> Any:
    """Agree once all together, once without the last."""
    return comm.agree(True), comm.agree(comm.rank != comm.world - 1)


def objects(comm: Any) -> Any:
    """Gather values of different lengths."""
    return comm.gather_objects({"rank": comm.rank, "text": "ü" * comm.rank})


def equal_facts(comm: Communicator) -> None:
    """Pass facts of every sort that are equal."""
    comm.same(plan="abc", steps=3, scale=0.1 + 0.2, digest=b"\x00\xff", shape=(1, 2), none=None)


def unequal_facts(comm: Communicator) -> None:
    """Let the last rank have another plan."""
    comm.same(steps=3, plan=b"\xff" if comm.rank == comm.world - 1 else "abc")


def lines(comm: Communicator, axes: dict[str, int]) -> Any:
    """Give, per axis, this rank's place and who else is on its line."""
    grid = comm.split(**axes)
    mine = torch.tensor([comm.rank])
    return {
        axis: (line.rank, [int(x) for x in line.all_gather(mine)]) for axis, line in grid.items()
    }


def expected_lines(axes: dict[str, int]) -> list[dict[str, tuple[int, list[int]]]]:
    """Give what `lines` returns on every rank of a grid of one or two axes."""
    table = torch.arange(math.prod(axes.values())).reshape(*axes.values())
    expected = []
    for rank in table.flatten().tolist():
        place = (table == rank).nonzero()[0].tolist()
        row: dict[str, tuple[int, list[int]]] = {}
        for i, axis in enumerate(axes):
            index = tuple(slice(None) if j == i else at for j, at in enumerate(place))
            row[axis] = (place[i], table[index].tolist())
        expected.append(row)
    return expected


def split_twice(comm: Communicator) -> Any:
    """Split a line of a split, and the same ranks twice."""
    line = comm.split(a=comm.world, b=1)["a"].split(c=1, d=comm.world)
    mine = torch.tensor([comm.rank])
    return [int(x) for x in line["d"].all_gather(mine)], [
        int(x) for x in line["c"].all_gather(mine)
    ]


def wrong_grid(comm: Communicator) -> None:
    """Ask for three times as many ranks as there are."""
    comm.split(a=comm.world, b=3)


def wait_past_one_another(comm: Communicator) -> None:
    """Let ranks 0 and 1 each wait for a message that the other does not send."""
    if comm.rank < 2:
        peer = 1 - comm.rank
        comm.exchange({}, {peer: torch.zeros(1)}, tag=comm.rank).wait()


def last_one_fails(comm: Communicator) -> None:
    """Let the last rank fail where all others wait for it."""
    if comm.rank == comm.world - 1:
        raise ArithmeticError("on purpose")
    comm.all_reduce(torch.zeros(4)).wait()


def last_one_fails_in_a_line(comm: Communicator) -> None:
    """Let the last rank fail where those on its line wait for it, and others for those."""
    line = comm.split(a=comm.world // 2, b=2)["b"]
    if comm.rank == comm.world - 1:
        raise ArithmeticError("on purpose")
    if comm.rank == comm.world - 2:
        line.all_gather(torch.zeros(1))


def refused(comm: Communicator, wrong: str) -> None:
    """Ask for one thing that is wrong."""
    x, peer = torch.zeros(3, 4), (comm.rank + 1) % comm.world
    me = comm.rank
    if wrong == "strided":
        comm.exchange({peer: x.T}, {}, tag=0)
    elif wrong == "elsewhere":
        comm.all_gather(x.to("meta"))
    elif wrong == "stranger":
        comm.broadcast(x, 99)
    elif wrong == "half to itself":
        comm.exchange({me: x}, {}, tag=0)
    elif wrong == "negative tag":
        comm.exchange({peer: x}, {peer: x.clone()}, tag=-1)
    else:
        comm.all_reduce(x, wrong)  # type: ignore[arg-type]


def counted(comm: Communicator) -> dict[str, int]:
    """Send something of every kind, in a line of a split too, and give the counters."""
    ring(comm)
    comm.all_reduce(torch.zeros(5, dtype=torch.bfloat16)).wait()
    comm.split(a=comm.world)["a"].all_gather(torch.zeros(2, dtype=torch.float64))
    comm.broadcast(torch.zeros(6), 0).wait()
    comm.agree(True)
    comm.same(a=1)
    return dict(comm.sent)
