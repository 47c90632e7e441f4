from __future__ import annotations

import os
import pickle
import signal

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st

from genhub.api import GenHubError, PeerLost, PlanRejected, Problem
from genhub.comm import ThreadComm, TorchComm, in_threads
from genhub.testing import rank_programs as do
from genhub.testing.communicators import CommunicatorTests
from genhub.testing.launches import Gone, on_processes, on_threads, solo


class TestSolo(CommunicatorTests):
    worlds = (1,)
    launch = staticmethod(solo)


class TestThreads(CommunicatorTests):
    worlds = (1, 2, 4)
    launch = staticmethod(on_threads)


class TestProcesses(CommunicatorTests):
    worlds = (2, 4)
    launch = staticmethod(on_processes)


class TaglessComm(TorchComm):
    """Goes the way that tensors on CUDA go: batches without tags, and notes beside them."""

    _tagless = True


def tagless(comm, function, args):
    return function(TaglessComm("cpu", comm.timeout), *args)


class TestTaglessProcesses(CommunicatorTests):
    worlds = (2,)
    keeps_tags = False

    @staticmethod
    def launch(world, function, *args, timeout=60.0):
        return on_processes(world, tagless, function, args, timeout=timeout)


def test_messages_without_tags_that_are_mixed_up_are_told_apart():
    error, *_ = on_processes(2, tagless, mixed_up, ())
    assert isinstance(error, ValueError) and "rank 1 sends another message next" in str(error)


def mixed_up(comm):
    box = torch.zeros(3)
    if comm.rank == 0:
        comm.exchange({}, {1: box}, tag=1).wait()
    else:
        sending = comm.exchange({0: box}, {}, tag=2)
        comm.exchange({}, {0: box}, tag=3).wait()
        sending.wait()


def test_reductions_of_two_ranks_have_the_bits_that_gloo_gives():
    for ours, theirs in on_processes(2, ours_and_gloos):
        assert all(torch.equal(x, y) for x, y in zip(ours, theirs, strict=True))
    assert len(ours) == 12


def ours_and_gloos(comm):
    ops = {"sum": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX, "min": dist.ReduceOp.MIN}
    ours, theirs = [], []
    for op, native in ops.items():
        ours += do.reduced_in_all_dtypes(comm, op).values()
        for dtype in do.DTYPES:
            x = do.sample(comm.rank, dtype)
            dist.all_reduce(x, native)
            theirs.append(x)
    return ours, theirs


def test_a_process_that_is_killed_is_named_by_the_others():
    first, second, killed = on_processes(3, last_one_is_killed)
    assert isinstance(killed, Gone) and "-9" in str(killed)
    for error in (first, second):
        assert isinstance(error, PeerLost) and error.rank == 2
        assert "rank 2 was lost in exchange with tag 4: its connection broke" in str(error)


def last_one_is_killed(comm):
    peers = [0, 1] if comm.rank == 2 else [2]
    pending = comm.exchange({}, {peer: torch.zeros(1) for peer in peers}, tag=4)
    if comm.rank == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    pending.wait()


def test_the_first_thread_that_is_lost_stays_the_one_named():
    ranks = ThreadComm.group(3, timeout=20.0)
    pending = ranks[0].all_reduce(torch.zeros(1))
    ranks[2].abort()
    ranks[1].abort()
    with pytest.raises(PeerLost, match="rank 2 was lost in all_reduce"):
        pending.wait()
    with pytest.raises(PeerLost, match="rank 2 was lost in broadcast"):
        ranks[0].broadcast(torch.zeros(1), 0)


def test_threads_refuse_a_tensor_of_another_shape_or_dtype():
    a, b = ThreadComm.group(2, timeout=20.0)
    sending = a.exchange({1: torch.zeros(2, 3)}, {}, tag=0)
    receiving = b.exchange({}, {0: torch.zeros(3, 2, dtype=torch.float64)}, tag=0)
    for pending in (sending, receiving):
        with pytest.raises(ValueError, match=r"rank 0 sends torch.float32 of shape \(2, 3\), rank"):
            pending.wait()


def test_what_one_sends_is_awaited_until_another_receives():
    a, b = ThreadComm.group(2, timeout=0.05)
    sending = a.exchange({1: torch.ones(1)}, {}, tag=0)
    with pytest.raises(PeerLost, match="rank 1 was lost in exchange with tag 0: no answer within"):
        sending.wait()
    box = torch.zeros(1)
    b.exchange({}, {0: box}, tag=0).wait()
    sending.wait()
    assert box.item() == 1


def test_tensors_of_inference_mode_travel_between_threads():
    def rank(comm):
        with torch.inference_mode(comm.rank == 0):
            x = torch.full((2,), float(comm.rank))
            comm.all_reduce(x).wait()
            return [part.clone().tolist() for part in comm.all_gather(x)]

    assert in_threads(ThreadComm.group(2, timeout=20.0), rank) == [[[1.0, 1.0]] * 2] * 2


MESSAGES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.integers(0, 5)),
    max_size=12,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(messages=MESSAGES, order=st.randoms(use_true_random=False))
def test_any_pattern_of_messages_arrives_in_order_of_each_tag(messages, order):
    """A message is (from, to, tag, size); every rank starts all its ends in an order of its own."""
    messages = [m for m in messages if m[0] != m[1]]
    shuffles = [order.sample(range(len(messages)), len(messages)) for _ in range(4)]

    def rank(comm):
        counts, boxes, pending = {}, {}, []
        todo = [i for i in shuffles[comm.rank] if comm.rank in messages[i][:2]]
        kept = {  # of one tag between two ranks the order is that of the list
            key: sorted(i for i in todo if messages[i][:3] == key)
            for key in {messages[i][:3] for i in todo}
        }
        for i in todo:
            src, dst, tag = key = messages[i][:3]
            at = counts[key] = counts.get(key, -1) + 1
            i = kept[src, dst, tag][at]
            size = messages[i][3]
            if comm.rank == src:
                pending.append(comm.exchange({dst: torch.full((size,), float(i))}, {}, tag=tag))
            else:
                boxes[i] = torch.zeros(size)
                pending.append(comm.exchange({}, {src: boxes[i]}, tag=tag))
        for one in pending:
            one.wait()
        return {i: box.tolist() for i, box in boxes.items()}, comm.sent["exchange"]

    outcomes = in_threads(ThreadComm.group(4, timeout=20.0), rank)
    for number, (boxes, sent) in enumerate(outcomes):
        assert boxes == {i: [float(i)] * m[3] for i, m in enumerate(messages) if m[1] == number}
        assert sent == sum(4 * m[3] for m in messages if m[0] == number)


@pytest.mark.parametrize(
    "error",
    [
        PeerLost(3, "all_reduce"),
        PlanRejected("no", hint="leave it out"),
        GenHubError.several([Problem("GH302", "steps is 0"), Problem("GH408", "no effect")]),
    ],
)
def test_errors_travel_between_processes_whole(error):
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is type(error) and vars(twin) == vars(error) and str(twin) == str(error)
