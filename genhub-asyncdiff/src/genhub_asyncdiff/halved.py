"""Full calls in which each rank computes one half of the batch (warmup_mode cfg)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genhub_asyncdiff.batches import halves, joined
from genhub_asyncdiff.engine import Arguments, Forward, Turn
from genhub_asyncdiff.inbox import Key
from genhub_asyncdiff.ranks import RankEngine
from genhub_asyncdiff.schedule import Call
from genhub_asyncdiff.slot import Output, Slot

__all__ = ["HalvedEngine", "neighbour"]

log = logging.getLogger("genhub")

_TAG = 3990


def neighbour(rank: int, world: int) -> int:
    """Give the rank that has the other half: ranks 2i and 2i + 1 share, an odd last one looks on.

    >>> [neighbour(rank, 3) for rank in range(3)]
    [1, 0, 1]
    """
    return rank ^ 1 if rank ^ 1 < world else rank - 1


class HalvedEngine(RankEngine):
    """Rank i computes half i % 2 of every full call and takes the other from a neighbour.

    Halves of the output go over in every full call, those of the cut where rounds may read them.
    A batch of an odd number is computed whole on every rank.
    """

    _told = False

    def _full(self, slot: Slot, call: Call, forward: Forward, arguments: Arguments) -> Any:
        batch = arguments.sample.shape[0]
        if batch % 2:
            self._tell_of_odd(batch)
            return super()._full(slot, call, forward, arguments)
        pair = halves(self._ready(slot, arguments), self.ctx.facts.latent.axes)
        slot.advance()
        slot.called = {}
        parts: dict[str, Output] = {}
        cut: dict[Key, Tensor] = {}
        self._turn = Turn(slot, call, keep=partial(self._keep, slot, parts, cut))
        mine = pair[self.comm.rank % 2]
        output = Output.of(mine.run(forward))
        if self.reads_full(call) and self.is_whole(slot):
            wholes = self._swap({rank: self._wanted(slot, rank) for rank in self._ranks}, cut)
            for path, part in parts.items():
                found = {i: x for (of, i), x in wholes.items() if of == path}
                self._record(slot, path, joined([part, part], found))
        key = "", output.place
        wholes = self._swap(dict.fromkeys(self._ranks, (key,)), {key: output.tensor})
        whole = joined([output, output], {output.place: wholes[key]})
        self._end_full(slot, whole)
        return whole.value

    def _tell_of_odd(self, batch: int) -> None:
        """Say once that nothing is saved: Flux, Wan and their like call once per branch."""
        if not self._told and self.ctx.comm.rank == 0:
            self._told = True
            log.warning(
                "every rank computes full calls whole, as with warmup_mode: replicate: a batch of "
                "%d has no halves", batch,
            )  # fmt: skip

    @property
    def _ranks(self) -> tuple[int, ...]:
        """Give this rank and those that look to it for their other half."""
        me, world = self.comm.rank, self.comm.world
        return (me, *(rank for rank in range(world) if neighbour(rank, world) == me))

    def _wanted(self, slot: Slot, rank: int) -> tuple[Key, ...]:
        return self.cuttings[slot.denoiser].reads[self.form.component(rank)]

    def _keep(
        self, slot: Slot, parts: dict[str, Output], cut: dict[Key, Tensor], path: str, part: Output
    ) -> None:
        parts[path] = part
        asked = {key for rank in self._ranks for key in self._wanted(slot, rank)}
        for i, leaf in enumerate(part.leaves):
            if (path, i) in asked:
                cut[path, i] = leaf.clone(memory_format=torch.preserve_format)

    def _swap(
        self, keys: Mapping[int, Sequence[Key]], mine: Mapping[Key, Tensor]
    ) -> dict[Key, Tensor]:
        """Give other ranks this one's halves of what they read, and get this rank's wholes."""
        me = self.comm.rank
        sends = {rank: _flat(mine[key] for key in keys[rank]) for rank in keys if rank != me}
        box = torch.empty_like(_flat(mine[key] for key in keys[me]))
        recvs = {neighbour(me, self.comm.world): box}
        filled = [{peer: x for peer, x in some.items() if x.numel()} for some in (sends, recvs)]
        self.comm.exchange(*filled, tag=_TAG).wait()
        wholes, at = {}, 0
        for key in keys[me]:
            half = mine[key]
            end = at + half.numel() * half.element_size()
            other = torch.empty_like(half).copy_(box[at:end].view(half.dtype).view(half.shape))
            wholes[key], at = torch.cat([other, half] if me % 2 else [half, other]), end
        return wholes


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    """Give tensors as bytes, one after the other."""
    listed = [x.contiguous().reshape(-1).view(torch.uint8) for x in tensors]
    return torch.cat(listed) if listed else torch.empty(0, dtype=torch.uint8)
