"""One denoiser cut into components: who computes which modules, and what has to travel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from genhub_asyncdiff.graph import Graph
from genhub_asyncdiff.inbox import Key
from genhub_asyncdiff.schedule import Form
from genhub_asyncdiff.split import Split
from genhub_asyncdiff.wires import Message

__all__ = ["Cutting"]


@dataclass(frozen=True)
class Cutting:
    """What every rank knows of one denoiser before it runs.

    `parts` are the largest modules that one component computes alone, in order of execution, and
    `owner` gives the component of each. `reads` holds, per component, the tensors of other
    components that it needs. `fed` are the components that read the sample itself.
    """

    split: Split
    shares: tuple[float, ...]
    parts: tuple[str, ...]
    owner: Mapping[str, int]
    reads: tuple[tuple[Key, ...], ...]
    fed: frozenset[int]
    sizes: Mapping[Key, tuple[int, int]]  # entries for one sample, and bytes of one entry
    output: tuple[int, int]  # the same of the denoiser's output
    params: tuple[int, ...]  # per component
    replicated: int  # parameters outside the components

    @classmethod
    def of(
        cls, parts: Graph, split: Split, owner: Mapping[str, int], shares: Sequence[float]
    ) -> Cutting:
        """Put together what a trace of the parts has found."""
        paths = tuple(unit.path for unit in parts.units)
        owners = [owner[path] for path in paths]
        tail = len(split.components) - 1
        reads: list[list[Key]] = [[] for _ in split.components]
        sizes = {}
        for edge in parts.cut(owners):
            unit = parts.units[edge.leaf.unit]
            key = (unit.path, edge.leaf.index)
            reads[edge.consumer].append(key)
            sizes[key] = unit.sizes[edge.leaf.index], unit.itemsizes[edge.leaf.index]
        fed = {
            o for unit, o in zip(parts.units, owners, strict=True) if parts.sample in unit.inputs
        }
        if parts.sample in parts.output_inputs:
            fed.add(tail)
        params = [0] * len(split.components)
        for unit, o in zip(parts.units, owners, strict=True):
            params[o] += unit.params
        return cls(
            split, tuple(shares), paths, dict(owner), tuple(tuple(r) for r in reads),
            frozenset(fed), sizes, parts.output_size, tuple(params), parts.replicated_params,
        )  # fmt: skip

    @property
    def tail(self) -> int:
        """Give the component that yields the output."""
        return len(self.reads) - 1

    @property
    def head(self) -> tuple[str, ...]:
        """Give the tail's parts that others read from, and all of its parts before them."""
        published = {path for keys in self.reads for path, _ in keys}
        own = [path for path in self.parts if self.owner[path] == self.tail]
        last = max((i for i, path in enumerate(own) if path in published), default=-1)
        return tuple(own[: last + 1])

    def messages(self, form: Form) -> tuple[Message, ...]:
        """List what travels in a round, in the order in which it is ready.

        Between two devices the tensor that is made last goes by itself; those made earlier go
        together ahead of it.
        """
        order = {path: i for i, path in enumerate(self.parts)}
        found: list[tuple[int, Message]] = []
        for component, keys in enumerate(self.reads):
            made = sorted(keys, key=lambda key: (self.owner[key[0]], order[key[0]], key[1]))
            for src, group in groupby(made, key=lambda key: self.owner[key[0]]):
                listed = list(group)
                final = [key for key in listed if key[0] == listed[-1][0]]
                early = listed[: len(listed) - len(final)]
                found += [
                    (order[together[-1][0]], Message(src, dst, tuple(together)))
                    for dst in form.devices(component)
                    for together in (early, final)
                    if together
                ]
        found.sort(key=lambda item: (item[0], item[1].src, item[1].dst))
        return tuple(message for _, message in found)

    def exact(self, form: Form, everyone: bool = False) -> tuple[int, ...]:
        """List the devices whose latents are those of the generation.

        These are the devices that compute something from the sample, and the tail where it makes
        all noise predictions itself. Others go on with a stale prediction, which nobody reads.
        """
        if everyone:
            return tuple(range(form.world))
        fed = {device for component in self.fed for device in form.devices(component)}
        if form.suppliers(form.stride) == (form.tail,):
            fed.add(form.tail)
        return tuple(sorted(fed))

    def predictions(self, form: Form, exact: Sequence[int]) -> tuple[Message, ...]:
        """List who sends its output to whom, in the order of the calls that it serves."""
        return tuple(
            Message(src, dst, (("", 0),))
            for src in form.suppliers(form.stride)
            for dst in exact
            if dst != src
        )
