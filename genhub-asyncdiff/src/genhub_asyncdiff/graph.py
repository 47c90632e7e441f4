"""Which unit of a denoiser reads what of which other: one traced forward, on meta for nothing.

Every tensor is followed by its origins: outputs of units, and arguments of the denoiser. At a
unit's entry the origins of its inputs are what it reads; what it gives has itself for its only
origin. Between units an operation's result has the origins of all its operands.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakIdKeyDictionary

from genhub.api import GenHubError
from genhub_asyncdiff.units import parameters_outside

__all__ = ["Edge", "Graph", "Leaf", "Unit", "meta_twin", "trace"]


@dataclass(frozen=True, order=True)
class Leaf:
    """One tensor of a unit's output: the unit's place in the order of execution, and the leaf's."""

    unit: int
    index: int


@dataclass(frozen=True, order=True)
class Edge:
    """A tensor that a component reads from a unit of another one."""

    leaf: Leaf
    consumer: int


@dataclass(frozen=True)
class Unit:
    """A module, what one call of it costs, and where its inputs come from.

    `flops` are 2 per multiply-add. `sizes` and `itemsizes` count the entries of its tensors and
    the bytes of one entry, by leaf, for the sample traced. `inputs` names arguments of the
    denoiser that it descends from without a unit between them.
    """

    path: str
    flops: int
    params: int
    reads: frozenset[Leaf]
    inputs: frozenset[str]
    sizes: Mapping[int, int] = field(hash=False)
    itemsizes: Mapping[int, int] = field(hash=False)


@dataclass(frozen=True)
class Graph:
    """A denoiser's units in order of execution, and what its output is made from.

    Where a unit gives one tensor in two places, both stand for the first of them. `mutated` are
    tensors that the denoiser changes in place after they have left their unit.
    """

    units: tuple[Unit, ...]
    output: frozenset[Leaf]
    output_inputs: frozenset[str]
    output_size: tuple[int, int]  # entries, and bytes of one entry
    mutated: frozenset[Leaf]
    replicated_params: int
    replicated_flops: int

    def cut(self, owners: Sequence[int]) -> tuple[Edge, ...]:
        """List what components read from each other, `owners` being the component of each unit.

        The denoiser's output belongs to the last component. Each tensor counts once per reader.
        """
        tail = max(owners)
        edges = {
            Edge(leaf, owner)
            for unit, owner in zip(self.units, owners, strict=True)
            for leaf in unit.reads
            if owners[leaf.unit] != owner
        }
        edges |= {Edge(leaf, tail) for leaf in self.output if owners[leaf.unit] != tail}
        return tuple(sorted(edges))


def meta_twin(denoiser: Module) -> Module:
    """Copy a denoiser as it is, mixers and adapters with it, but for the memory of its tensors."""
    meta = {}
    for tensor in (*denoiser.parameters(), *denoiser.buffers()):
        like = torch.empty_like(tensor, device="meta")
        if isinstance(tensor, torch.nn.Parameter):
            like = torch.nn.Parameter(like, requires_grad=False)
        meta[id(tensor)] = like
    twin = copy.deepcopy(denoiser, meta).to("meta").eval()
    for module in twin.modules():  # those of the host and of others belong to the original
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return twin


def trace(
    denoiser: Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    paths: Sequence[str],
    *,
    count: bool = True,
) -> Graph:
    """Run a denoiser once and follow its tensors; `paths` are the units.

    Without `count` multiply-adds are not counted, which takes half of the time.

    Raises GenHubError (GH407) where units are nested, are not called exactly once, or leave the
    tensor that is denoised to nobody.
    """
    _check_disjoint(paths)
    origins = _Origins(denoiser, paths)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), ExitStack() as stack:
        if count:
            stack.enter_context(counter)
        stack.enter_context(origins)
        stack.enter_context(origins.hooks())
        names = _names_of_arguments(denoiser, args, kwargs)
        for name, value in names.items():
            origins.name(value, name)
        output = denoiser(*args, **kwargs)
    calls = Counter(origins.order)
    wrong = next((path for path in paths if calls[path] != 1), None)
    if wrong is not None:
        raise _untraceable(denoiser, f"'{wrong}' is called {calls[wrong]} times in one forward")
    return _graph(denoiser, origins, counter, output)


class _Origins(TorchDispatchMode):
    """Follows tensors through a forward."""

    def __init__(self, denoiser: Module, paths: Sequence[str]) -> None:
        super().__init__()
        self._denoiser = denoiser
        self._paths = paths
        self._of: Any = WeakIdKeyDictionary()  # tensor -> origins: leaves, and names of arguments
        self._depth = 0  # inside a unit nothing is followed
        self._outputs: list[Any] = []  # kept alive, so that identities last
        self.order: list[str] = []
        self.reads: list[frozenset[Any]] = []
        self.made: list[dict[int, Tensor]] = []
        self.mutated: set[Leaf] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if self._depth == 0:
            operands = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
            found = frozenset().union(*(self.of(x) for x in operands))
            if func._schema.is_mutable:
                self.mutated |= {o for x in operands[:1] for o in self.of(x) if _is_leaf(o)}
            for x in tree_leaves(out):
                if isinstance(x, Tensor):
                    self._of[x] = found
        return out

    def of(self, x: Tensor) -> frozenset[Any]:
        """Give the origins of a tensor."""
        return self._of.get(x, frozenset())

    def all_of(self, value: Any) -> frozenset[Any]:
        """Give the origins of all tensors inside a value."""
        tensors = (x for x in tree_leaves(value) if isinstance(x, Tensor))
        return frozenset().union(*(self.of(x) for x in tensors))

    def name(self, value: Any, name: str) -> None:
        """Let tensors have an argument's name for their origin."""
        for x in tree_leaves(value):
            if isinstance(x, Tensor):
                self._of[x] = frozenset({name})

    @contextmanager
    def hooks(self) -> Iterator[None]:
        """Watch the units while the context lasts."""
        handles = []
        for path in self._paths:
            unit = self._denoiser.get_submodule(path)
            handles += [
                unit.register_forward_pre_hook(partial(self._enter, path), with_kwargs=True),
                unit.register_forward_hook(self._leave),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, path: str, module: Module, args: Any, kwargs: Any) -> None:
        self.reads.append(self.all_of((args, kwargs)))
        self.order.append(path)
        self._depth += 1

    def _leave(self, module: Module, args: Any, output: Any) -> None:
        self._depth -= 1
        self._outputs.append(output)
        number = len(self.made)
        first: dict[int, int] = {}
        made = {}
        for i, x in enumerate(tree_leaves(output)):
            if isinstance(x, Tensor) and id(x) not in first:
                first[id(x)] = i
                made[i] = x
                self._of[x] = frozenset({Leaf(number, i)})
        self.made.append(made)


def _graph(denoiser: Module, origins: _Origins, counter: Any, output: Any) -> Graph:
    flops = {
        path: sum(per_op.values()) for path, per_op in counter.get_flop_counts().items()
    }
    root = type(denoiser).__name__
    units = []
    for path, reads, made in zip(origins.order, origins.reads, origins.made, strict=True):
        params = sum(p.numel() for p in denoiser.get_submodule(path).parameters())
        units.append(
            Unit(
                path,
                int(flops.get(f"{root}.{path}", 0)),
                params,
                frozenset(o for o in reads if _is_leaf(o)),
                frozenset(o for o in reads if not _is_leaf(o)),
                {i: x.numel() for i, x in made.items()},
                {i: x.element_size() for i, x in made.items()},
            )
        )
    last = origins.all_of(output)
    tensor = next(x for x in tree_leaves(output) if isinstance(x, Tensor))
    outside = {name for name in parameters_outside(denoiser, origins.order)}
    replicated = sum(p.numel() for name, p in denoiser.named_parameters() if name in outside)
    return Graph(
        tuple(units),
        frozenset(o for o in last if _is_leaf(o)),
        frozenset(o for o in last if not _is_leaf(o)),
        (tensor.numel(), tensor.element_size()),
        frozenset(origins.mutated),
        replicated,
        int(counter.get_total_flops()) - sum(unit.flops for unit in units),
    )


def _is_leaf(origin: Any) -> bool:
    return isinstance(origin, Leaf)


def _names_of_arguments(
    denoiser: Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    import inspect

    names = list(inspect.signature(type(denoiser).forward).parameters)[1:]
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _check_disjoint(paths: Sequence[str]) -> None:
    listed = sorted(paths)
    for outer, inner in zip(listed, listed[1:], strict=False):
        if inner == outer or inner.startswith(f"{outer}."):
            raise GenHubError(
                "GH407",
                f"'{inner}' lies inside '{outer}': one rank cannot compute a module and another "
                "what is inside it",
                hint="name either the module or what is inside it",
            )


def _untraceable(denoiser: Module, why: str) -> GenHubError:
    return GenHubError(
        "GH407",
        f"{type(denoiser).__name__} cannot be cut for several ranks: {why}",
        hint="give split: as lists of modules that are called once each, or leave asyncdiff out",
    )
