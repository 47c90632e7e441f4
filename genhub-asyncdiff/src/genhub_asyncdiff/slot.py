"""What is kept of one stream of denoiser calls between its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from genhub_asyncdiff.inbox import Arrival, Inbox, Key
from genhub_asyncdiff.schedule import Pacer
from genhub_asyncdiff.wires import Layout

__all__ = ["Output", "Slot", "signature"]


@dataclass(frozen=True)
class Output:
    """What a module gave: its tensors, and how they were nested."""

    leaves: tuple[Any, ...]
    spec: TreeSpec

    @classmethod
    def of(cls, value: Any) -> Output:
        """Take an output apart."""
        leaves, spec = tree_flatten(value)
        return cls(tuple(leaves), spec)

    @property
    def place(self) -> int:
        """Give the place of the first tensor."""
        return next(i for i, leaf in enumerate(self.leaves) if isinstance(leaf, Tensor))

    @property
    def tensor(self) -> Tensor:
        """Give the first tensor: of a denoiser, its prediction."""
        return self.leaves[self.place]

    @property
    def value(self) -> Any:
        """Give what the module gave."""
        return tree_unflatten(list(self.leaves), self.spec)

    def with_tensors(self, replace: Callable[[int, Tensor], Tensor | None]) -> Any:
        """Give an output like this one, some tensors replaced.

        What was one tensor in two places stays one: blocks return their hidden state as their
        last skip, too.
        """
        new: dict[int, Any] = {}
        for i, leaf in enumerate(self.leaves):
            if isinstance(leaf, Tensor) and id(leaf) not in new:
                found = replace(i, leaf)
                new[id(leaf)] = leaf if found is None else found
        return tree_unflatten([new.get(id(leaf), leaf) for leaf in self.leaves], self.spec)


@dataclass
class Slot:
    """A stream of calls that follow one another: of one denoiser and one guidance branch.

    `skeleton` holds outputs of parts from the last full call: right shapes, old values. Values
    that are read come from the inbox of the device that reads them.
    """

    denoiser: str
    pacer: Pacer
    signature: Any
    inboxes: dict[int, Inbox]
    skeleton: dict[str, Output] = field(default_factory=dict)
    layouts: dict[Key, Layout] = field(default_factory=dict)
    output: Output | None = None
    called: dict[str, int] = field(default_factory=dict)  # parts, in the last full call
    warm: bool = False  # a full call has gone through every part exactly once
    predictions: list[Arrival] = field(default_factory=list)  # of the calls of this round
    divisor: float | None = None  # of timesteps, as the denoiser is given them
    wires: Any = None  # of rounds
    stages: Any = None  # of full calls in which ranks take turns

    def advance(self) -> None:
        """Let every device read what was published last."""
        for inbox in self.inboxes.values():
            inbox.advance()

    def settle(self) -> None:
        """Wait for all that is under way, before the buffers that it uses are let go."""
        for wires in (self.wires, *(stage.wires for stage in self.stages or ())):
            if wires is not None:
                wires.settle()

    def hand_out(self, path: str, device: int, wanted: frozenset[Key]) -> Any:
        """Give what stands for the output of a part that this device does not compute."""
        inbox = self.inboxes[device]
        return self.skeleton[path].with_tensors(
            lambda i, _: inbox.read((path, i)) if (path, i) in wanted else None
        )

    def predicted(self, offset: int) -> Any:
        """Give the denoiser's output for a call of the round."""
        assert self.output is not None
        first = self.output.tensor
        eps = self.predictions[offset].get().clone()  # pipelines may change it in place
        return self.output.with_tensors(lambda _, leaf: eps if leaf is first else None)


def signature(arguments: Mapping[str, Any]) -> tuple[Any, ...]:
    """Describe a call: which arguments it has, and shape, dtype and device of its tensors."""
    return tuple(_described(arguments))


def _described(value: Any) -> Iterable[Any]:
    if isinstance(value, Tensor):
        layout = "strided" if value.is_contiguous() else "channels_last"
        yield tuple(value.shape), str(value.dtype), str(value.device), layout
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if inner is not None:
                yield name
                yield from _described(inner)
    elif isinstance(value, tuple | list) and not isinstance(value, torch.Size):
        for inner in value:
            yield from _described(inner)
    elif value is None or isinstance(value, bool | str):
        yield value
