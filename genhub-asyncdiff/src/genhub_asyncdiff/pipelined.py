"""Full calls in which each rank computes its own component, in turn (warmup_mode pipeline)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from genhub.api import GenHubError
from genhub_asyncdiff.batches import halves, joined
from genhub_asyncdiff.engine import Arguments, Forward, Turn
from genhub_asyncdiff.graph import meta_twin
from genhub_asyncdiff.inbox import Arrival, Inbox
from genhub_asyncdiff.plan import cores
from genhub_asyncdiff.ranks import RankEngine
from genhub_asyncdiff.schedule import Call
from genhub_asyncdiff.slot import Output, Slot
from genhub_asyncdiff.wires import Layout, Message, Wires

__all__ = ["PipelinedEngine"]


@dataclass
class _Stage:
    """One half of the batch on its way through the ranks."""

    skeleton: Mapping[str, Output]
    wires: Wires
    inbox: Inbox = field(default_factory=Inbox)
    ahead: dict[str, Output] = field(default_factory=dict)  # computed before its turn


class PipelinedEngine(RankEngine):
    """Rank c computes component c alone, so that it needs no other weights.

    Where the batch has an even number of samples, as with guidance, its halves follow one another
    through the ranks: a full call takes (n + 1) / 2n of one on one rank. The tail of a wrap split
    computes its first parts for both halves before it waits for the others. Shapes of what a rank
    leaves out come from a twin of the denoiser without memory.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._twins = {name: meta_twin(module) for name, module in cores(self.ctx).items()}
        self._stage: _Stage | None = None
        self._early = False  # only what others wait for, nothing to wait for

    def part(self, path: str, forward: Forward, args: Any, kwargs: Any) -> Any:
        """Compute one part, or wait for what its owner has made of it in this very call."""
        turn, stage = self._turn, self._stage
        if turn is None or stage is None:
            return super().part(path, forward, args, kwargs)
        seat = self.seats[turn.slot.denoiser][0]
        if path in stage.ahead:
            return stage.ahead[path].value
        if path in turn.computes:
            made = forward(*args, **kwargs)
            for i, leaf in enumerate(Output.of(made).leaves):
                if (path, i) in seat.published:
                    stage.wires.put((path, i), leaf)
            if self._early:  # a copy: what follows may change it in place
                stage.ahead[path] = Output.of(Output.of(made).with_tensors(_copied))
            return made
        if self._early:
            return stage.skeleton[path].value

        def read(i: int, _: Tensor) -> Tensor | None:
            if (path, i) not in seat.wanted:
                return None
            stage.wires.require((path, i))
            return stage.inbox.fresh((path, i)).clone(memory_format=torch.preserve_format)

        return stage.skeleton[path].with_tensors(read)

    @property
    def followers(self) -> Sequence[int]:
        """Give the ranks that are told every prediction."""
        return sorted(set.intersection(*map(set, self.exact.values())))

    def _full(self, slot: Slot, call: Call, forward: Forward, arguments: Arguments) -> Any:
        if not self._checked:
            self._same_sample(arguments)
        pieces = halves(arguments, self.ctx.facts.latent.axes)
        if slot.stages is None:
            slot.stages = [self._prepare(slot, piece) for piece in pieces]
            self._take_shapes(slot)
        seat = self.seats[slot.denoiser][0]
        owner = seat.device < self.form.components  # twins only listen
        self._turn = Turn(slot, call, computes=seat.computes if owner else frozenset())
        head = frozenset(self.cuttings[slot.denoiser].head)
        for stage in slot.stages:
            stage.inbox, stage.ahead = Inbox(), {}
            stage.wires.open(stage.inbox)
        if seat.device == self.form.tail and head:
            self._turn.computes = head
            self._run(slot.stages, pieces, forward, early=True)
            self._turn.computes = seat.computes
        outputs = self._run(slot.stages, pieces, forward)
        tail = self.form.tail
        predicted = []
        for stage, output in zip(slot.stages, outputs, strict=True):
            mine = output.tensor if seat.device == tail else None
            arrivals = stage.wires.predict((tail,), mine)
            predicted.append(arrivals[tail].get() if tail in arrivals else output.tensor)
        slot.advance()
        for key in seat.wanted:
            whole = torch.cat([stage.inbox.fresh(key) for stage in slot.stages])
            slot.inboxes[seat.device].stage(key, Arrival(whole))
        output = joined(outputs, {outputs[0].place: torch.cat(predicted)})
        slot.called = dict.fromkeys(self.cuttings[slot.denoiser].parts, 1)
        self._end_full(slot, output)
        return output.value

    def _run(
        self, stages: Sequence[_Stage], pieces: Sequence[Arguments], forward: Forward,
        early: bool = False,
    ) -> list[Output]:  # fmt: skip
        """Let the halves pass through this rank, one after the other."""
        outputs = []
        self._early = early
        try:
            for self._stage, piece in zip(stages, pieces, strict=True):
                outputs.append(Output.of(piece.run(forward)))
                if not early:
                    self._stage.wires.close()
        finally:
            self._stage, self._early = None, False
        return outputs

    def _prepare(self, slot: Slot, piece: Arguments) -> _Stage:
        """Learn the shapes of one half, and lay its wires."""
        cutting, form = self.cuttings[slot.denoiser], self.form
        skeleton, output = self._shapes(slot.denoiser, piece)
        exact = self.exact[slot.denoiser]
        wires = Wires(
            self.comm,
            self.comm.rank,
            cutting.messages(form),
            self._layouts(slot, skeleton),
            Layout.of(output.tensor),
            [Message(form.tail, rank, (("", 0),)) for rank in exact if rank != form.tail],
            self.options.comm_dtype,
            self.options.overlap,
            buffers=2,
        )
        return _Stage(skeleton, wires)

    def _take_shapes(self, slot: Slot) -> None:
        paths = slot.stages[0].skeleton
        slot.skeleton = {path: joined([s.skeleton[path] for s in slot.stages]) for path in paths}
        slot.layouts = self._layouts(slot, slot.skeleton)

    def _layouts(self, slot: Slot, skeleton: Mapping[str, Output]) -> dict[Any, Layout]:
        (seat,) = self.seats[slot.denoiser]
        keys = seat.wanted | seat.published
        return {(path, i): Layout.of(skeleton[path].leaves[i]) for path, i in keys}

    def _shapes(self, name: str, piece: Arguments) -> tuple[dict[str, Output], Output]:
        """Run the twin: zeros in the shape of every part's output, and the denoiser's own."""
        twin, device = self._twins[name], piece.sample.device
        made: dict[str, list[Any]] = {path: [] for path in self.cuttings[name].parts}
        handles = [
            twin.get_submodule(path).register_forward_hook(partial(_note, made[path]))
            for path in made
        ]
        try:
            with torch.no_grad():
                output = Output.of(piece.on_meta().run(twin))
        finally:
            for handle in handles:
                handle.remove()
        odd = [path for path, outputs in made.items() if len(outputs) != 1]
        if odd:
            raise GenHubError(
                "GH407",
                f"this call of {name} runs '{odd[0]}' {len(made[odd[0]])} times, not once, so its "
                "ranks cannot take turns",
                hint="use warmup_mode: replicate",
            )
        zeros = {path: _zeros(Output.of(outputs[0]), device) for path, outputs in made.items()}
        return zeros, _zeros(output, device)


def _copied(_: int, x: Tensor) -> Tensor:
    return x.clone(memory_format=torch.preserve_format)


def _note(outputs: list[Any], module: Module, args: Any, output: Any) -> None:
    outputs.append(output)


def _zeros(output: Output, device: Any) -> Output:
    value = output.with_tensors(
        lambda _, x: torch.zeros_like(x, device=device, memory_format=torch.preserve_format)
    )
    return Output.of(value)
