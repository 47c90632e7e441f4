"""Which unit of a denoiser reads what of which other: one traced forward, on meta for nothing.

Every tensor is followed by its origins: outputs of units, and arguments of the denoiser. At a
unit's entry the origins of its inputs are what it reads; what it gives has itself for its only
origin. Between units an operation's result has the origins of all its operands.
"""

from __future__ import annotations

import copy
import inspect
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakIdKeyDictionary

from genhub.api import GenHubError
from genhub_asyncdiff.units import find_units, parameters_outside

__all__ = ["Edge", "Graph", "Leaf", "Unit", "meta_twin", "trace", "trace_units"]


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
    the bytes of one entry, by leaf, for the sample traced; `aliases` gives the leaf that is the
    same tensor, for leaves that are one given before. `inputs` names arguments of the denoiser that
    it descends from without a unit between them.
    """

    path: str
    flops: int
    params: int
    reads: frozenset[Leaf]
    inputs: frozenset[str]
    sizes: Mapping[int, int] = field(hash=False)
    itemsizes: Mapping[int, int] = field(hash=False)
    aliases: Mapping[int, int] = field(hash=False)


@dataclass(frozen=True)
class Graph:
    """A denoiser's units in order of execution, and what its output is made from.

    Where a unit gives one tensor in two places, both stand for the first of them. `mutated` are
    tensors that the denoiser changes in place after they have left their unit. `sample` names the
    argument that is denoised.
    """

    units: tuple[Unit, ...]
    sample: str
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

    def blind(self) -> frozenset[str]:
        """Name the units that nothing of the sample reaches: they make conditions of the rest."""
        sees: list[bool] = []
        for unit in self.units:
            sees.append(self.sample in unit.inputs or any(sees[leaf.unit] for leaf in unit.reads))
        return frozenset(u.path for u, seen in zip(self.units, sees, strict=True) if not seen)


def meta_twin(denoiser: Module) -> Module:
    """Copy a denoiser as it is, mixers and adapters with it, but for the memory of its tensors.

    Hooks stay behind: those of the host and those that move weights or narrow them between calls.
    """
    kind = getattr(denoiser, "dtype", None)
    meta: dict[int, Any] = {}  # what the copy has in place of what has this identity
    for tensor in (*denoiser.parameters(), *denoiser.buffers()):
        narrow = tensor.is_floating_point() and tensor.element_size() == 1
        like = torch.empty_like(tensor, device="meta", dtype=kind if narrow else None)
        if isinstance(tensor, torch.nn.Parameter):
            like = torch.nn.Parameter(like, requires_grad=False)
        meta[id(tensor)] = like
    for module in denoiser.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            meta[id(hooks)] = OrderedDict()
        meta |= {id(vars(module)[name]): None for name in _HOOKED if name in vars(module)}
    twin = copy.deepcopy(denoiser, meta)
    for module in twin.modules():
        for name in _HOOKED:
            vars(module).pop(name, None)
    return twin.to("meta").eval()


_HOOKED = ("forward", "_diffusers_hook", "_hf_hook", "_old_forward")  # by diffusers and accelerate


def trace_units(denoiser: Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Graph:
    """Trace a denoiser cut as finely as it can be.

    Modules that nothing of the sample reaches, embeddings of time and text, are no units: a stale
    one would belong to another call, so every rank computes its own.

    Raises GenHubError (GH407) like `trace`.
    """
    paths = find_units(denoiser)
    graph = trace(denoiser, args, kwargs, paths)
    blind = graph.blind()
    if not blind:
        return graph
    return trace(denoiser, args, kwargs, [path for path in paths if path not in blind])


def trace(
    denoiser: Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    paths: Sequence[str],
    *,
    count: bool = True,
) -> Graph:
    """Run a denoiser once and follow its tensors; `paths` are the units.

    Multiply-adds are counted in full on meta; on other devices fused attention may be left out.
    Without `count` they are not, which takes half of the time.

    Raises GenHubError (GH407) where units are nested, are not called exactly once, or change in
    place what another one reads, and where the denoiser cannot be run as asked.
    """
    _check_disjoint(paths)
    origins = _Origins(denoiser, paths)
    counter = FlopCounterMode(display=False)
    try:
        arguments = inspect.signature(denoiser.forward).bind(*args, **kwargs).arguments
        for name, value in arguments.items():
            origins.name(value, name)
        with torch.no_grad(), origins.hooks(), counter if count else nullcontext(), origins:
            output = denoiser(*args, **kwargs)
    except GenHubError:
        raise
    except Exception as error:  # any architecture may fail in its own way
        said = str(error).strip().splitlines()
        why = ": ".join([type(error).__name__, *said[:1]])
        raise _untraceable(
            denoiser, f"its forward fails on empty tensors ({why})", "leave asyncdiff out"
        ) from error
    calls = Counter(origins.order)
    wrong = next((path for path in paths if calls[path] != 1), None)
    if wrong is not None:
        raise _untraceable(denoiser, f"'{wrong}' is called {calls[wrong]} times in one forward")
    return _graph(denoiser, origins, counter, output)


class _Origins(TorchDispatchMode):
    """Follows tensors through a forward, and changes in place through their storages."""

    def __init__(self, denoiser: Module, paths: Sequence[str]) -> None:
        super().__init__()
        self._denoiser = denoiser
        self._paths = paths
        self._of: Any = WeakIdKeyDictionary()  # tensor -> origins: leaves, and names of arguments
        self._running = ""  # the unit that runs; inside it nothing is followed
        self._given: set[int] = set()  # storages of its inputs
        self._kept: list[Any] = []  # outputs, and what was changed: identities last as long
        self._leaves: dict[int, set[Leaf]] = {}  # by storage
        self._added: dict[int, frozenset[Any]] = {}  # origins that a storage got in place
        self._spoiled: dict[int, str] = {}  # storages that a unit has changed which got them
        self.order: list[str] = []
        self.reads: list[frozenset[Any]] = []
        self.made: list[dict[int, Tensor]] = []
        self.aliases: list[dict[int, int]] = []
        self.mutated: set[Leaf] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        found = frozenset() if self._running else self.all_of((args, kwargs))
        for x in _written(func, args, kwargs or {}):
            self._change(x, found)
        if not self._running:
            for x in _tensors(out):
                self._of[x] = found
        return out

    def _change(self, x: Tensor, found: frozenset[Any]) -> None:
        """Note that a tensor, and all that share its memory, are changed in place."""
        storage = _storage(x)
        self._kept.append(x)
        self.mutated |= self._leaves.get(storage, set())
        if not self._running:
            self._added[storage] = self._added.get(storage, frozenset()) | found
        elif storage in self._given:
            self._spoiled[storage] = self._running

    def of(self, x: Tensor) -> frozenset[Any]:
        """Give the origins of a tensor."""
        storage = _storage(x)
        if storage in self._spoiled:
            raise _untraceable(
                self._denoiser,
                f"'{self._spoiled[storage]}' changes in place what is read elsewhere, too",
            )
        return self._of.get(x, frozenset()) | self._added.get(storage, frozenset())

    def all_of(self, value: Any) -> frozenset[Any]:
        """Give the origins of all tensors inside a value."""
        return frozenset().union(*(self.of(x) for x in _tensors(value)))

    def name(self, value: Any, name: str) -> None:
        """Let tensors have an argument's name for their origin."""
        for x in _tensors(value):
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
        if self._running:
            raise _untraceable(self._denoiser, f"'{self._running}' calls '{path}'")
        self.reads.append(self.all_of((args, kwargs)))
        self.order.append(path)
        self._running = path
        self._given = {_storage(x) for x in _tensors((args, kwargs))}

    def _leave(self, module: Module, args: Any, output: Any) -> None:
        self._running = ""
        self._kept.append(output)
        number = len(self.made)
        first: dict[int, int] = {}
        made, aliases = {}, {}
        for i, x in enumerate(tree_leaves(output)):
            if not isinstance(x, Tensor):
                continue
            if id(x) in first:
                aliases[i] = first[id(x)]
                continue
            first[id(x)] = i
            made[i] = x
            self._of[x] = frozenset({Leaf(number, i)})
            self._leaves.setdefault(_storage(x), set()).add(Leaf(number, i))
            self._spoiled.pop(_storage(x), None)  # its own, given on
        self.made.append(made)
        self.aliases.append(aliases)


def _tensors(value: Any) -> list[Tensor]:
    return [x for x in tree_leaves(value) if isinstance(x, Tensor)]


def _storage(x: Tensor) -> int:
    return x.untyped_storage()._cdata


def _written(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Give the tensors that an operation changes in place."""
    if not func._schema.is_mutable:
        return []
    given = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | dict(kwargs)
    changed = (a.name for a in func._schema.arguments if a.alias_info and a.alias_info.is_write)
    return [x for name in changed for x in _tensors(given.get(name))]


def _graph(denoiser: Module, origins: _Origins, counter: Any, output: Any) -> Graph:
    flops = {path: sum(per_op.values()) for path, per_op in counter.get_flop_counts().items()}
    root = type(denoiser).__name__
    units = []
    seen = zip(origins.order, origins.reads, origins.made, origins.aliases, strict=True)
    for path, reads, made, aliases in seen:
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
                aliases,
            )
        )
    last = origins.all_of(output)
    tensor = _tensors(output)[0]
    outside = set(parameters_outside(denoiser, origins.order))
    replicated = sum(p.numel() for name, p in denoiser.named_parameters() if name in outside)
    return Graph(
        tuple(units),
        next(iter(inspect.signature(denoiser.forward).parameters)),
        frozenset(o for o in last if _is_leaf(o)),
        frozenset(o for o in last if not _is_leaf(o)),
        (tensor.numel(), tensor.element_size()),
        frozenset(origins.mutated),
        replicated,
        int(counter.get_total_flops()) - sum(unit.flops for unit in units),
    )


def _is_leaf(origin: Any) -> bool:
    return isinstance(origin, Leaf)


def _check_disjoint(paths: Sequence[str]) -> None:
    listed = sorted(paths, key=lambda path: path.split("."))  # what lies inside follows at once
    for outer, inner in pairwise(listed):
        if inner == outer or inner.startswith(f"{outer}."):
            raise GenHubError(
                "GH407",
                f"'{inner}' lies inside '{outer}': one rank cannot compute a module and another "
                "what is inside it",
                hint="name either the module or what is inside it",
            )


def _untraceable(
    denoiser: Module,
    why: str,
    hint: str = "give split: as lists of modules that are called once each, or leave asyncdiff out",
) -> GenHubError:
    return GenHubError(
        "GH407", f"{type(denoiser).__name__} cannot be cut for several ranks: {why}", hint=hint
    )
