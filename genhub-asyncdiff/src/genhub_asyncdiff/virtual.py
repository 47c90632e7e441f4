"""The oracle: all devices of a schedule, one after the other in one process.

A parallel call runs the denoiser once per device, each time with another owner computing, and all
of them read what was published a round before. Threads and processes give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from genhub.api import Context
from genhub_asyncdiff.cutting import Cutting
from genhub_asyncdiff.engine import Arguments, Engine, Forward, Options, Seat, Turn
from genhub_asyncdiff.inbox import Arrival, Key
from genhub_asyncdiff.schedule import Call, Form
from genhub_asyncdiff.slot import Output, Slot
from genhub_asyncdiff.wires import over_the_wire

__all__ = ["VirtualEngine"]


class VirtualEngine(Engine):
    """Runs every device of the schedule in turn; `order` is the order in which it does."""

    def __init__(
        self,
        ctx: Context,
        form: Form,
        cuttings: Mapping[str, Cutting],
        options: Options,
        order: Sequence[int] | None = None,
    ) -> None:
        super().__init__(ctx, form, cuttings, options)
        devices = range(form.world) if order is None else order
        self.seats = {
            name: [Seat.of(cutting, form, device) for device in devices]
            for name, cutting in cuttings.items()
        }

    def _parallel(self, slot: Slot, call: Call, forward: Forward, arguments: Arguments) -> Any:
        outputs = {}
        last = slot.pacer.is_last_round(call)
        slot.advance()
        for seat in self.seats[slot.denoiser]:
            output = self._on_seat(seat, slot, call, forward, arguments, last)
            outputs[seat.device] = Output.of(output).tensor
        slot.predictions = [
            Arrival(outputs[self.form.supplier(offset)]) for offset in range(call.covers)
        ]
        return slot.predicted(0)

    def _publish(self, turn: Turn, key: Key, tensor: Tensor) -> None:
        for seat in self.seats[turn.slot.denoiser]:
            if key in seat.wanted:
                arrival = Arrival(
                    over_the_wire(tensor, turn.slot.layouts[key], self.options.comm_dtype)
                )
                turn.slot.inboxes[seat.device].stage(key, arrival)

    def _changed(self, slot: Slot) -> bool:
        limit = self.options.refresh_threshold
        if limit is None:
            return False
        slot.advance()
        return max(inbox.change() for inbox in slot.inboxes.values()) > limit
