"""What one device reads of the others: the last two publications of every tensor in the cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["Arrival", "Inbox", "Key"]

Key = tuple[str, int]  # path of a part, and which tensor of its output


class Arrival:
    """A tensor that is there, or on its way: `fetch` waits for it and gives it."""

    def __init__(self, tensor: Tensor | None = None, fetch: Callable[[], Tensor] | None = None):
        self._tensor = tensor
        self._fetch = fetch

    def get(self) -> Tensor:
        """Give the tensor once it is there."""
        if self._fetch is not None:
            self._tensor, self._fetch = self._fetch(), None
        assert self._tensor is not None
        return self._tensor


@dataclass
class Inbox:
    """Publications by age. `extrapolate` is the share of the last change that a reader adds."""

    extrapolate: float = 0.0
    _latest: dict[Key, Arrival] = field(default_factory=dict)
    _before: dict[Key, Arrival] = field(default_factory=dict)
    _staged: dict[Key, Arrival] = field(default_factory=dict)

    def stage(self, key: Key, arrival: Arrival) -> None:
        """Take what is published in the round under way; it can be read in the next one."""
        self._staged[key] = arrival

    def advance(self) -> None:
        """Let what was staged become the latest."""
        if self._staged:
            self._before, self._latest, self._staged = self._latest, self._staged, {}

    def fresh(self, key: Key) -> Tensor:
        """Give a tensor that is published in the round under way."""
        return self._staged[key].get()

    def read(self, key: Key) -> Tensor:
        """Give a copy of the latest publication, or what it is predicted to be by now.

        The prediction is y + a (y - z), z being the publication before y. Readers may change what
        they get: adapters add to the outputs of blocks in place.
        """
        now = self._latest[key].get()
        if not self.extrapolate or key not in self._before:
            return now.clone(memory_format=torch.preserve_format)
        return torch.add(now, now - self._before[key].get(), alpha=self.extrapolate)

    def change(self) -> float:
        """Give the largest relative change between the last two publications, in L2; 0: unknown."""
        changes = [
            torch.linalg.vector_norm(now - before)
            / torch.linalg.vector_norm(before).clamp_min(1e-12)
            for now, before in self._pairs()
        ]
        return float(max(changes, default=0.0))

    def settle(self) -> None:
        """Wait for all that is on its way."""
        for arrivals in (self._before, self._latest, self._staged):
            for arrival in arrivals.values():
                arrival.get()

    def _pairs(self) -> Iterable[tuple[Tensor, Tensor]]:
        for key, arrival in self._latest.items():
            if key in self._before:
                yield arrival.get().double(), self._before[key].get().double()
