"""What every communicator must do, as a test class to inherit from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
import torch

from genhub.api import GenHubError, PeerLost
from genhub.testing import rank_programs as do

__all__ = ["CommunicatorTests"]

REFUSALS = {
    "strided": r"shape \(4, 3\) with strides \(1, 4\) is not contiguous",
    "elsewhere": r"is on meta",
    "stranger": r"there is no rank 99",
    "half to itself": r"rank 0 must both send to itself and receive",
    "negative tag": r"tags go from 0 to",
    "mean": r"there is no 'mean'; use sum, max, min",
}


class CommunicatorTests:
    """Inherit, and say how ranks are started:

        class TestThreads(CommunicatorTests):
            worlds = (1, 2, 4)
            launch = staticmethod(on_threads)

    `launch(world, function, *args, timeout=60.0)` runs `function(comm, *args)` on every rank and
    gives what each returned; a rank that raises is gone for the others, and its exception takes
    the place of its result. Functions are those of a module, so that processes can run them.
    """

    worlds: ClassVar[Sequence[int]] = (1, 2, 4)
    keeps_tags: ClassVar[bool] = True  # False where messages of two ranks only keep their order

    @staticmethod
    def launch(
        world: int, function: Callable[..., Any], *args: Any, timeout: float = 60.0
    ) -> list[Any]:
        """Run `function` on `world` ranks."""
        raise TypeError("a class that inherits CommunicatorTests defines launch()")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test once per world; those that need peers leave one rank out."""
        values = {
            "world": self.worlds,
            "peers": [world for world in self.worlds if world > 1],
            "op": ("sum", "max", "min"),
            "wrong": tuple(REFUSALS),
        }
        for name in values:
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, values[name])

    def results(self, world: int, function: Callable[..., Any], *args: Any) -> list[Any]:
        """Give what the ranks returned; raise what the first one raised."""
        outcomes = self.launch(world, function, *args)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return outcomes

    def test_ranks_know_their_place(self, world: int) -> None:
        assert self.results(world, do.place) == [(rank, world) for rank in range(world)]

    def test_a_ring_hands_tensors_on(self, world: int) -> None:
        for rank, (received, again) in enumerate(self.results(world, do.ring)):
            assert received == again == [(rank - 1) % world + 0.5] * 3

    def test_tags_keep_messages_apart(self, peers: int) -> None:
        if not self.keeps_tags:
            pytest.skip("this communicator keeps the order of messages instead")
        for rank, received in enumerate(self.results(peers, do.tags_out_of_order)):
            assert received == {tag: 10 * tag + (rank - 1) % peers for tag in (7, 0, 2**28 - 1)}

    def test_messages_of_one_tag_keep_their_order(self, peers: int) -> None:
        for received in self.results(peers, do.one_tag_twice):
            assert received == [1, 2]

    def test_an_exchange_takes_several_peers_and_shapes(self, world: int) -> None:
        for rank, halos in enumerate(self.results(world, do.halos_of_all)):
            assert halos == {
                peer: ((peer + 1, rank + 1), float(peer)) for peer in range(world) if peer != rank
            }

    def test_an_exchange_does_not_wait_before_wait(self, peers: int) -> None:
        assert self.results(peers, do.receive_before_it_is_sent)[:2] == [5, 6]

    def test_reductions_are_those_in_order_of_rank(self, world: int, op: str) -> None:
        for reduced in self.results(world, do.reduced_in_all_dtypes, op):
            for dtype, x in reduced.items():
                expected = do.in_order([do.sample(rank, dtype) for rank in range(world)], op)
                assert x.dtype == dtype and torch.equal(x, expected), (dtype, x, expected)

    def test_gathered_tensors_come_in_order_and_are_buffers_of_their_own(self, world: int) -> None:
        for parts in self.results(world, do.gathered_then_overwritten):
            assert parts == [[float(rank)] * 4 for rank in range(world)]

    def test_a_broadcast_overwrites_all_others(self, world: int) -> None:
        for values in self.results(world, do.broadcast_from_each):
            assert values == [float(src) for src in range(world)]

    def test_empty_and_scalar_and_boolean_tensors_travel(self, world: int) -> None:
        for rank, (empty, scalar, flags) in enumerate(self.results(world, do.odd_tensors)):
            before = (rank - 1) % world
            assert (empty, scalar, flags) == ([], float(before), [before % 2 == 0, True])

    def test_ranks_agree_only_when_all_do(self, world: int) -> None:
        everyone, all_but_last = [True] * world, [False] * world
        assert self.results(world, do.agreed) == list(zip(everyone, all_but_last, strict=True))

    def test_objects_are_gathered_in_order(self, world: int) -> None:
        expected = [{"rank": rank, "text": "ü" * rank} for rank in range(world)]
        assert self.results(world, do.objects) == [expected] * world

    def test_equal_facts_pass(self, world: int) -> None:
        assert self.results(world, do.equal_facts) == [None] * world

    def test_an_unequal_fact_is_named_with_who_has_what(self, peers: int) -> None:
        for error in self.launch(peers, do.unequal_facts):
            assert isinstance(error, GenHubError) and error.code == "GH609"
            assert f"plan: rank {peers - 1} has b'\\xff'" in str(error) or peers == 2
            assert "b'\\xff'" in str(error) and "'abc'" in str(error)
            assert "steps" not in str(error)

    def test_a_grid_has_lines_along_its_axes(self, world: int) -> None:
        for axes in ({"a": world}, {"a": 1, "b": world}, {"a": world, "b": 1}, {"a": 2, "b": 2}):
            if math.prod(axes.values()) == world:
                assert self.results(world, do.lines, axes) == do.expected_lines(axes)

    def test_a_line_can_be_split_again(self, peers: int) -> None:
        assert self.results(peers, do.split_twice) == [
            (list(range(peers)), [r]) for r in range(peers)
        ]

    def test_a_grid_of_another_size_is_refused(self, world: int) -> None:
        for error in self.launch(world, do.wrong_grid):
            assert isinstance(error, ValueError)
            assert f"split into a={world} x b=3" in str(error)

    def test_one_who_does_not_answer_in_time_is_named(self, peers: int) -> None:
        late, waiting, *_ = self.launch(peers, do.wait_past_one_another, timeout=0.5)
        assert isinstance(late, PeerLost) and isinstance(waiting, PeerLost)
        assert {late.rank, waiting.rank} == {0, 1} and "tag" in str(late)

    def test_one_who_fails_is_named_by_all_others(self, peers: int) -> None:
        outcomes = self.launch(peers, do.last_one_fails)
        assert isinstance(outcomes.pop(), ArithmeticError)
        for error in outcomes:
            assert isinstance(error, PeerLost) and error.rank == peers - 1

    def test_one_who_fails_is_named_by_its_number_in_the_run(self, peers: int) -> None:
        outcomes = self.launch(peers, do.last_one_fails_in_a_line)
        assert isinstance(outcomes.pop(), ArithmeticError)
        lost = [error.rank for error in outcomes if isinstance(error, PeerLost)]
        assert lost and set(lost) <= set(range(peers)) and peers - 1 in lost

    def test_what_cannot_be_sent_is_refused(self, wrong: str) -> None:
        with pytest.raises(ValueError, match=REFUSALS[wrong]):
            self.results(self.worlds[0], do.refused, wrong)

    def test_sent_counts_the_bytes_that_leave_this_rank(self, world: int) -> None:
        others = world - 1
        everyone = {
            "exchange": 12 * (1 if others else 0),
            "all_reduce": 2 * 5 * others,
            "all_gather": 8 * 2 * others,
        }
        for rank, sent in enumerate(self.results(world, do.counted)):
            expected = everyone | {"broadcast": 4 * 6 * others if rank == 0 else 0}
            assert sent == {kind: n for kind, n in expected.items() if n}
