"""The communicator of a run with one rank: nothing travels, every wait is over at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from genhub.comm.ranks import Finish, Ranks

__all__ = ["SoloComm"]


class SoloComm(Ranks):
    """Rank 0 of 1; `number` is what the whole run calls it."""

    def __init__(
        self, device: Any = "cpu", *, number: int = 0, sent: Counter[str] | None = None
    ) -> None:
        super().__init__(0, (number,), device, 0.0, sent)

    def _post(
        self,
        sends: Mapping[int, Tensor],
        recvs: Mapping[int, Tensor],
        wire: int,
        where: str,
        *,
        handshake: bool,
    ) -> Finish:
        return lambda deadline: None

    def _line(self, axis: str, ranks: Sequence[int]) -> SoloComm:
        return SoloComm(self.device, number=self.ranks[0], sent=self.sent)
