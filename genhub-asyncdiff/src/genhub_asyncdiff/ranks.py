"""One rank of a run: its part of every denoiser, and what it exchanges with the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from genhub.api import Communicator, Context, GenHubError
from genhub_asyncdiff.cutting import Cutting
from genhub_asyncdiff.engine import Arguments, Engine, Forward, Options, Seat, Turn
from genhub_asyncdiff.inbox import Arrival, Key
from genhub_asyncdiff.schedule import Call, Form
from genhub_asyncdiff.slot import Output, Slot
from genhub_asyncdiff.wires import Layout, Wires

__all__ = ["RankEngine"]

_SAMPLE_TAG = 3999
_DRIFT = 0.1  # relative; rounding stays far below, other random numbers give about 1.4


class RankEngine(Engine):
    """Computes what `comm.rank` owns.

    `exact` are the ranks whose latents are those of the generation; the others go on with the
    prediction of the last full call, and are given the sample when a full call comes again.
    """

    def __init__(
        self,
        ctx: Context,
        form: Form,
        cuttings: Mapping[str, Cutting],
        options: Options,
        comm: Communicator,
    ) -> None:
        super().__init__(ctx, form, cuttings, options)
        self.comm = comm
        self.seats = {
            name: [Seat.of(cutting, form, comm.rank)] for name, cutting in cuttings.items()
        }
        everyone = len(cuttings) > 1 or getattr(ctx.pipeline, "controlnet", None) is not None
        self.exact = {name: cutting.exact(form, everyone) for name, cutting in cuttings.items()}
        self._checked = self._compared = self._drifted = False

    def end(self, lost: bool = False) -> None:
        """Forget the generation; unless a rank is lost, wait for what is still under way."""
        try:
            for slot in self._slots.values():
                if not lost:
                    slot.settle()
        finally:
            super().end()
            self._checked = self._compared = self._drifted = False

    def _full(self, slot: Slot, call: Call, forward: Forward, arguments: Arguments) -> Any:
        arguments = self._ready(slot, arguments)
        return super()._full(slot, call, forward, arguments)

    def reads_full(self, call: Call) -> bool:
        """Say whether a round may read what this full call gives."""
        return call.index >= self.form.warmup - 1 - self.options.looks_back

    def _ready(self, slot: Slot, arguments: Arguments) -> Arguments:
        """See to it that every rank computes a full call of the same sample."""
        if not self._checked:
            self._same_sample(arguments)
        return self._shared(slot, arguments) if self._drifted else arguments

    def _parallel(self, slot: Slot, call: Call, forward: Forward, arguments: Arguments) -> Any:
        seat = self.seats[slot.denoiser][0]
        if not self._compared:
            self._close_sample(arguments)
        if slot.wires is None:
            slot.wires = self._wired(slot)
        wires: Wires = slot.wires
        self._drifted = len(self.exact[slot.denoiser]) < self.form.world
        last = slot.pacer.is_last_round(call)
        slot.advance()
        if not last:
            wires.open(slot.inboxes[seat.device])
        output = Output.of(self._on_seat(seat, slot, call, forward, arguments, last)).tensor
        if not last:
            wires.close()
        suppliers = self.form.suppliers(call.covers)
        mine = output if seat.device in suppliers else None
        arrivals = wires.predict(suppliers, mine)
        slot.predictions = [
            arrivals.get(self.form.supplier(offset), Arrival(output))
            for offset in range(call.covers)
        ]
        return slot.predicted(0)

    def _publish(self, turn: Turn, key: Key, tensor: Tensor) -> None:
        turn.slot.wires.put(key, tensor)

    def _changed(self, slot: Slot) -> bool:
        limit = self.options.refresh_threshold
        if limit is None:
            return False
        slot.advance()
        change = max(inbox.change() for inbox in slot.inboxes.values())
        return not self.comm.agree(change <= limit)

    def _wired(self, slot: Slot) -> Wires:
        cutting = self.cuttings[slot.denoiser]
        assert slot.output is not None
        return Wires(
            self.comm,
            self.comm.rank,
            cutting.messages(self.form),
            slot.layouts,
            Layout.of(slot.output.tensor),
            cutting.predictions(self.form, self.exact[slot.denoiser]),
            self.options.comm_dtype,
            self.options.overlap,
            buffers=3 if self.options.looks_back else 2,
        )

    def _same_sample(self, arguments: Arguments) -> None:
        """Hold before the first call that all ranks denoise the same noise."""
        data = arguments.sample.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy()
        self.comm.same(**{"what the denoiser is given": sha256(data).hexdigest()[:12]})
        self._checked = True

    def _close_sample(self, arguments: Arguments) -> None:
        """Hold before the first round that no rank has drawn noise of its own since."""
        mine = arguments.sample.detach().reshape(-1)[:64].double().cpu()
        told = self.comm.gather_objects(mine.tolist())
        ranks = self.followers
        first, *others = (torch.tensor(told[rank], dtype=torch.float64) for rank in ranks)
        far = [
            rank
            for rank, x in zip(ranks[1:], others, strict=True)
            if not (x - first).norm() <= _DRIFT * first.norm()
        ]
        if far:
            listed = ", ".join(map(str, far))
            raise GenHubError(
                "GH609",
                f"after warm-up rank {listed} denoises other latents than rank {ranks[0]}: their "
                "scheduler draws noise, and each rank draws its own",
                hint="give the pipeline a generator with the same seed on every rank",
            )
        self._compared = True

    @property
    def followers(self) -> Sequence[int]:
        """Give the ranks whose latents are the generation's until the first round."""
        return range(self.comm.world)

    def _shared(self, slot: Slot, arguments: Arguments) -> Arguments:
        """Give every rank the sample of those that are exact."""
        exact = self.exact[slot.denoiser]
        me, source = self.comm.rank, exact[0]
        sample = arguments.sample.contiguous()
        if me == source:
            strays = {rank: sample for rank in range(self.form.world) if rank not in exact}
            self.comm.exchange(strays, {}, tag=_SAMPLE_TAG).wait()
        elif me not in exact:
            given = torch.empty_like(sample)
            self.comm.exchange({}, {source: given}, tag=_SAMPLE_TAG).wait()
            return arguments.with_sample(given)
        return arguments
