"""The plan of a run: denoisers cut, and what follows for bytes, time and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any

from genhub.api import Context, Facts, GenHubError
from genhub_asyncdiff.cutting import Cutting
from genhub_asyncdiff.schedule import Form
from genhub_asyncdiff.timeline import STEPS, timeline

if TYPE_CHECKING:
    from torch.nn import Module

    from genhub_asyncdiff.graph import Graph
    from genhub_asyncdiff.plugin import AsyncDiffConfig

__all__ = ["AsyncPlan", "cores", "cut", "installed_plan", "make_plan", "traced", "written_config"]

_BRANCHES = 2  # a denoiser is called for the prompt and for what shall not be there


@dataclass(frozen=True)
class AsyncPlan:
    """Who computes what of each denoiser; equal on every rank.

    Figures are of the first denoiser; where there are two (Wan 2.2), they take turns.
    """

    form: Form
    cuttings: Mapping[str, Cutting]
    guidance_split: bool
    warmup_mode: str
    width: int = 0  # bytes of a number on the way, where it is narrowed
    looks_back: bool = False  # full calls before the last one of warm-up are read, too

    @property
    def first(self) -> Cutting:
        """Give the denoiser that a generation begins with."""
        return next(iter(self.cuttings.values()))

    @property
    def output_ranks(self) -> tuple[int, ...]:
        """Give the ranks that have the generation's latents."""
        exact = self.first.exact(self.form, len(self.cuttings) > 1)
        if not self.guidance_split:
            return exact
        return tuple(half * self.form.world + device for half in (0, 1) for device in exact)

    def timeline(self) -> str:
        """Draw the first calls of every device."""
        return timeline(self)

    def per_round(self, narrow: bool = True) -> int:
        """Give the bytes of one sample that pass the cut in a round, for one guidance branch."""
        first = self.first
        keys = (key for message in first.messages(self.form) for key in message.keys)
        return sum(self._size(key, narrow) for key in keys)

    def bytes(self, steps: int = 1, samples: int = 1) -> int:
        """Give the bytes that all ranks send in a generation of so many denoiser calls.

        Counted are both branches of guidance. Where every rank computes full calls (warmup_mode
        replicate) they send nothing, and the last round has nobody to publish for. What
        `refresh_threshold` adds is not known ahead.
        """
        first, form = self.first, self.form
        calls = list(form.calls(steps))
        rounds = [call for call in calls if call.phase == "parallel"]
        full = [call for call in calls if call.phase == "sync"]
        exact = first.exact(form, len(self.cuttings) > 1)
        eps = first.output[0] * first.output[1]
        published = sum(call.index + form.stride < steps for call in rounds)
        sent = published * self.per_round()
        for call in rounds:
            sent += eps * sum(dst != src for src in form.suppliers(call.covers) for dst in exact)
        mode = self.warmup_mode
        if mode == "cfg" and self.guidance_split and samples % 2:
            mode = "replicate"  # a batch of an odd number is not halved
        if mode == "pipeline":
            sent += len(full) * (self.per_round() + eps * sum(dst != form.tail for dst in exact))
        else:
            refreshed = sum(call.index >= form.warmup for call in full)
            sent += refreshed * (form.world - len(exact)) * eps
        total = _BRANCHES * sent
        if mode == "cfg":  # halves of both branches together, hence once
            read = sum(call.index >= form.warmup - 1 - self.looks_back for call in full)
            total += len(full) * form.world * eps + read * self.per_round(narrow=False)
        if self.guidance_split:  # every rank swaps its branch of every prediction
            total += _BRANCHES * form.world * steps * eps
        scales = 0
        if self.width == 1:  # every tensor goes with its scale, in one batch of all samples
            scales = 4 * published * sum(len(m.keys) for m in first.messages(form))
        return samples * total + scales

    def _size(self, key: Any, narrow: bool) -> int:
        entries, width = self.first.sizes[key]
        return entries * (min(width, self.width) if narrow and self.width else width)

    def speedup(self) -> float:
        """Give the bound T / (W w + R max f) for T = 50 calls, transfers not counted.

        f are the components' shares of the denoiser's cost and w is what a full call takes,
        relative to one on one device.
        """
        form = self.form
        rounds = sum(call.phase == "parallel" for call in form.calls(STEPS))
        full = sum(call.phase == "sync" for call in form.calls(STEPS))
        time = full * self.warmup_cost() + rounds * max(self.first.shares)
        return (2 if self.guidance_split else 1) * STEPS / time

    def warmup_cost(self) -> float:
        """Give what a full call takes on all devices together, relative to one device alone."""
        n = self.form.components
        if self.warmup_mode == "cfg":
            return 0.5
        return (n + 1) / (2 * n) if self.warmup_mode == "pipeline" else 1.0


def make_plan(
    config: AsyncDiffConfig, facts: Facts, denoisers: Mapping[str, Module], *, guidance_split: bool
) -> AsyncPlan:
    """Cut every denoiser of a pipeline as the config says.

    Raises GH408 where guidance is to be split and the model has none of its own, GH407 where a
    denoiser cannot be traced.
    """
    from genhub_asyncdiff.wires import WIRE_TYPES

    if guidance_split:
        for name, denoiser in denoisers.items():
            _check_guidance(name, denoiser)
    cuttings = {name: cut(config, facts, name, module) for name, module in denoisers.items()}
    narrow = WIRE_TYPES.get(config.comm_dtype)
    width = 0 if narrow is None else narrow.itemsize
    looks_back = config.extrapolate > 0 or config.refresh_threshold is not None
    return AsyncPlan(config.form, cuttings, guidance_split, config.warmup_mode, width, looks_back)


def cut(
    config: AsyncDiffConfig, facts: Facts, name: str, denoiser: Module, costs: Any = None
) -> Cutting:
    """Cut one denoiser; `costs` are measured times per unit, in place of multiply-adds.

    What was cut lately is remembered: variants of a run, and ranks that are threads, plan at once.
    """
    args, kwargs = _example(facts, name, denoiser)
    asked = (config.components, config.split, config.wrap, costs)
    key = _digest(repr(asked), _architecture(denoiser), _shapes((args, kwargs)))
    with _PLANNING:
        if key not in _CUT:
            while len(_CUT) >= _REMEMBERED:
                _CUT.pop(next(iter(_CUT)))
            _CUT[key] = _cut(config, denoiser, args, kwargs, costs)
        return _CUT[key]


_CUT: dict[str, Cutting] = {}
_REMEMBERED = 64
_PLANNING = Lock()


def traced(facts: Facts, name: str, denoiser: Module) -> Graph:
    """Follow the tensors of one call of a denoiser, at the size of the run."""
    from genhub_asyncdiff.graph import meta_twin, trace_units

    return trace_units(meta_twin(denoiser), *_example(facts, name, denoiser))


def installed_plan(config: AsyncDiffConfig, ctx: Context, plan: AsyncPlan) -> AsyncPlan:
    """Cut the denoisers as they are now: mixers may have changed what their units cost.

    With `split_metric: time` rank 0 times the units, and all ranks take its figures.
    """
    cuttings = {}
    for name, denoiser in cores(ctx).items():
        costs = _times(ctx, name, denoiser) if config.split_metric == "time" else None
        cuttings[name] = cut(config, ctx.facts, name, denoiser, costs)
    return replace(plan, cuttings=cuttings)


def cores(ctx: Context) -> dict[str, Module]:
    """Give the denoisers themselves where `torch.compile` has wrapped them."""
    return {name: getattr(d, "_orig_mod", d) for name, d in ctx.denoisers.items()}


def _times(ctx: Context, name: str, denoiser: Module) -> tuple[float, ...]:
    from genhub_asyncdiff.profile import example_batch, profile

    graph = traced(ctx.facts, name, denoiser)
    times: list[float] = []
    if ctx.comm.rank == 0:
        parameter = next(denoiser.parameters())
        call = example_batch(
            ctx.facts.example_call(name), _BRANCHES, parameter.device, parameter.dtype
        )
        found = profile(denoiser, *call, [unit.path for unit in graph.units])
        times = list(found.units)
    return tuple(ctx.comm.gather_objects(times)[0])


def _example(facts: Facts, name: str, denoiser: Module) -> Any:
    try:
        return facts.example_call(name)
    except LookupError as error:
        raise GenHubError(
            "GH407",
            f"{name} cannot be cut: nothing is known of how {type(denoiser).__name__} is called",
            hint="attach to a pipeline that runs, so that one step of it can be watched",
        ) from error


def _cut(config: AsyncDiffConfig, denoiser: Module, args: Any, kwargs: Any, costs: Any) -> Cutting:
    from genhub_asyncdiff.graph import meta_twin, trace, trace_units
    from genhub_asyncdiff.published import published_split
    from genhub_asyncdiff.split import auto_split, given_split, owners, shares
    from genhub_asyncdiff.units import collapse

    twin = meta_twin(denoiser)
    graph = trace_units(twin, args, kwargs)
    if isinstance(config.split, list):
        split = given_split(graph, config.split)
    elif config.split == "published":
        split = published_split(denoiser, graph, config.components)
    else:
        wrap = None if config.wrap == "auto" else config.wrap
        split = auto_split(graph, config.components, wrap=wrap, costs=costs)
    owner = dict(zip((u.path for u in graph.units), owners(graph, split), strict=True))
    parts = collapse(twin, owner)
    of_parts = trace(twin, args, kwargs, list(parts), count=False)
    return Cutting.of(of_parts, split, parts, shares(graph, split, costs))


def _architecture(denoiser: Module) -> str:
    """Describe what a trace depends on: modules, their kinds, and the shapes of their weights."""
    modules = "".join(f"{path}:{type(m).__name__};" for path, m in denoiser.named_modules())
    weights = "".join(f"{tuple(p.shape)}{p.dtype};" for p in denoiser.parameters())
    return f"{modules}{weights}{written_config(denoiser)}"


def written_config(denoiser: Module) -> str:
    """Write a denoiser's config down, the same in every process.

    Private entries are left out: diffusers lists defaults there, in the order of a set.
    """
    config = dict(getattr(denoiser, "config", {}))
    return str(sorted((key, value) for key, value in config.items() if not key.startswith("_")))


def _shapes(call: Any) -> str:
    from torch.utils._pytree import tree_flatten

    leaves, spec = tree_flatten(call)
    shown = [(tuple(x.shape), x.dtype) if hasattr(x, "shape") else x for x in leaves]
    return f"{spec}{shown}"


def _digest(*texts: str) -> str:
    return sha256("\n".join(texts).encode()).hexdigest()


def _check_guidance(name: str, denoiser: Any) -> None:
    if getattr(denoiser, "config", {}).get("time_cond_proj_dim") is not None:
        raise GenHubError(
            "GH408",
            f"guidance cannot be split: it is built into {name}, which computes one branch",
            hint="set cfg_parallel: false and half the ranks",
        )
