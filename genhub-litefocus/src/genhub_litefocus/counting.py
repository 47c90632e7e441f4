"""The counting behind `estimate`: a call on the meta device, sites with and without the mixer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import genhub
from genhub.api import Cost, Facts, GenHubError, Site
from genhub_litefocus.advice import advice
from genhub_litefocus.bench import Shape
from genhub_litefocus.estimate import Estimate, Level, Memory, Option
from genhub_litefocus.focus import TRAINED_SECONDS
from genhub_litefocus.grid import count_drawn
from genhub_litefocus.skeleton import Skeleton, skeleton_of
from genhub_litefocus.spill import MEMORY

if TYPE_CHECKING:
    from genhub_litefocus.plugin import LiteFocusConfig

__all__ = ["counted", "finest"]

Block = Mapping[str, Any]
FLOAT = 4  # bytes
FEW_SHARED = 256  # shared tokens that a cost linear in time proposes


@dataclass(frozen=True)
class Planned:
    """What one block of the mixer gives at one size."""

    facts: Facts
    config: LiteFocusConfig
    before: Mapping[str, Cost | None]
    after: Mapping[str, Cost | None]
    taken: frozenset[str]
    drawn: Mapping[str, int]  # shared tokens of a site

    @property
    def saved(self) -> float:
        """Give the FLOP that a call has less."""
        pairs = ((self.before[path], self.after[path]) for path in self.taken)
        return sum(2.0 * (a.macs - b.macs) for a, b in pairs if a is not None and b is not None)


@dataclass
class Seen:
    """What a call on meta held: bytes of the largest layer, and of what waits for later ones."""

    flops: float = 0.0
    layer: int = 0
    waiting: int = 0
    handles: list[Any] = field(default_factory=list)


def counted(source: Any, seconds: float, block: Block) -> Estimate:
    """Count one call of `seconds` under a block's fields; see `estimate`."""
    skeleton = skeleton_of(source)
    plan = _planned(skeleton, seconds, block)
    call = _called(skeleton, plan.facts)
    scores = _scores(plan)
    made = Estimate(
        model=skeleton.name, seconds=seconds, rate=skeleton.rate / skeleton.factor,
        levels=tuple(_levels(plan)), full=call.flops, focus=call.flops - plan.saved,
        options=_options(skeleton, seconds, block, call.flops, plan),
        memory=_memory(skeleton, plan, call),
        quadratic_from=_crossing(seconds, scores, call.flops),
        quadratic_from_focus=_crossing(seconds, _sparse_scores(plan), call.flops - plan.saved),
    )  # fmt: skip
    return replace(made, advice=advice(made, plan.config, skeleton.note))


def _planned(skeleton: Skeleton, seconds: float, block: Block) -> Planned:
    """Attach the mixer to the skeleton for a moment; the host checks block and model."""
    layout = block.get("layout", "tf")
    frames, bins = skeleton.size(seconds, block.get("freq_bins"))
    rows, cols = (bins, frames) if layout == "ft" else (frames, bins)
    sizes: dict[str, Any] = {"height": rows * skeleton.factor, "width": cols * skeleton.factor}
    if skeleton.timed(layout):
        sizes = {"seconds": seconds}
    pipeline = skeleton.pipeline(layout)
    attached = genhub.attach(pipeline, [{"type": "litefocus", **block}], **sizes)
    try:
        mixer = attached.driver("litefocus")
        focus = mixer.focus[skeleton.component]
        facts = attached.context.facts
        paths = {f"{skeleton.component}.{p.path}" for p in focus.processors}
        drawn = {s.path: count_drawn(focus.settings, s.tokens or 0) for s in facts.sites}
        before, after = attached.costs_before(), attached.costs()
    finally:
        attached.detach()
    return Planned(facts, mixer.config, before, after, frozenset(paths), drawn)


def _called(skeleton: Skeleton, facts: Facts) -> Seen:
    """Call the denoiser on meta, counting its arithmetic and what it holds."""
    try:
        args, kwargs = facts.example_call(skeleton.component)
    except LookupError as error:
        raise GenHubError("GH407", f"{skeleton.name} cannot be estimated: {error}") from error
    with torch.no_grad(), _watched(skeleton.denoiser) as seen, FlopCounterMode(display=False) as c:
        skeleton.denoiser(*args, **kwargs)
    seen.flops = float(c.get_total_flops())
    return seen


@contextmanager
def _watched(module: nn.Module) -> Iterator[Seen]:
    seen = Seen()

    def layer(of: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        # A residual layer holds what it was given, what is inside and what it makes.
        inner = 2 if isinstance(of, ResnetBlock2D) else 1
        seen.layer = max(seen.layer, _bytes(args[:1]) + inner * _bytes(out))

    def skips(of: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        seen.waiting += _bytes(out[1]) if isinstance(out, tuple) else 0

    for part in module.modules():
        if isinstance(part, ResnetBlock2D | nn.Conv2d):
            seen.handles.append(part.register_forward_hook(layer))
    for part in getattr(module, "down_blocks", ()):
        seen.handles.append(part.register_forward_hook(skips))
    try:
        yield seen
    finally:
        for handle in seen.handles:
            handle.remove()


def _bytes(thing: Any) -> int:
    if isinstance(thing, Tensor):
        return thing.numel() * FLOAT
    return sum(_bytes(one) for one in thing) if isinstance(thing, tuple | list) else 0


def _levels(plan: Planned) -> Iterator[Level]:
    for number in sorted({s.level for s in _spatial(plan) if s.level is not None}):
        sites = [site for site in _spatial(plan) if site.level == number]
        rows, cols = sites[0].grid or (0, 0)
        flipped = plan.config.layout == "ft"
        yield Level(
            level=number, frames=cols if flipped else rows, freq_bins=rows if flipped else cols,
            attentions=len(sites), sparse=sum(site.path in plan.taken for site in sites),
            full=sum(_flops(plan.before[site.path]) for site in sites),
            focus=sum(_flops(plan.after[site.path]) for site in sites),
        )  # fmt: skip


def _spatial(plan: Planned) -> list[Site]:
    """List the self-attentions over the picture."""
    return [s for s in plan.facts.sites if s.kind == "self" and s.axis == "spatial" and s.tokens]


def _flops(cost: Cost | None) -> float:
    return 0.0 if cost is None else 2.0 * cost.macs


def _scores(plan: Planned) -> float:
    """Count what grows with the square of the length, as the model is: Q K^T and its use."""
    return sum(4.0 * (s.tokens or 0) ** 2 * s.heads * s.head_dim for s in _spatial(plan))


def _sparse_scores(plan: Planned) -> float:
    """Count the same with the mixer in place; a band in time and a bound on C make it linear."""
    config = plan.config
    saved = plan.saved if config.time_window is None or config.max_compensation is None else 0.0
    if config.time_window is not None and config.max_compensation is not None:
        taken = [s for s in _spatial(plan) if s.path in plan.taken]
        saved = sum(4.0 * (s.tokens or 0) ** 2 * s.heads * s.head_dim for s in taken)
    return max(0.0, _scores(plan) - saved)


def _crossing(seconds: float, scores: float, total: float) -> float:
    """Give the length at which the scores cost as much as all the rest, which grows linearly."""
    return seconds * (total - scores) / scores if scores > 0 else math.inf


def _first(plan: Planned) -> Site:
    sites = [site for site in plan.facts.sites if site.path in plan.taken]
    return max(sites, key=lambda site: site.tokens or 0)


def _memory(skeleton: Skeleton, plan: Planned, call: Seen) -> Memory:
    site = _first(plan)
    tokens, width = site.tokens or 0, site.heads * site.head_dim
    bins = min(site.grid or (1, 1)) if plan.config.freq_bins is None else plan.config.freq_bins
    frames = plan.facts.latent.shape
    streamed = plan.config.streams
    picture, scores = _decoding(skeleton, frames)
    copied = 2 * (tokens + plan.drawn[site.path] * bins) + 2 * tokens  # keys, values; queries, out
    return Memory(
        weights=sum(p.numel() for p in skeleton.denoiser.parameters()) * FLOAT,
        latent=math.prod(frames) * FLOAT,
        activations=call.layer + call.waiting,
        scores=site.heads * tokens**2 * FLOAT,
        fused=4 * tokens * width * FLOAT,
        focus=(4 * tokens + copied) * width * FLOAT,
        picture=picture,
        picture_scores=scores,
        decoding=min(picture, MEMORY) if streamed else picture,
        # A decoder without norms over the length needs no files: it is walked through once.
        files=max(0, picture - MEMORY) if streamed and scores else 0,
    )


def _decoding(skeleton: Skeleton, shape: tuple[int, ...]) -> tuple[int, int]:
    """Give what one layer of the autoencoder holds, and the scores of its attention unfused."""
    vae: Any = skeleton.vae
    if vae is None or not hasattr(vae, "decoder"):
        return 0, 0
    latents = torch.empty(shape, device="meta")
    with torch.no_grad(), _watched(vae) as seen:
        vae.decode(latents)
    attends = bool(getattr(getattr(vae.decoder, "mid_block", None), "attentions", None))
    return seen.layer, (shape[2] * shape[3]) ** 2 * FLOAT if attends else 0


def _options(
    skeleton: Skeleton, seconds: float, block: Block, full: float, plan: Planned
) -> tuple[Option, ...]:
    """Count what fields would change that are not set: all levels, and a cost linear in time."""
    window = _window(skeleton, plan)
    others = any(s.path not in plan.taken for s in _spatial(plan))
    everywhere: Block = {"where": {"level": "all"}} if "where" not in block and others else {}
    linear: Block = {}
    if (
        not block.keys() & {"time_window", "max_compensation", "indices"}
        and _first_frames(plan) > 2 * window
    ):
        linear = {"time_window": window, "max_compensation": FEW_SHARED}
    made: list[Option] = []
    for extra in (everywhere, linear, {**everywhere, **linear}):
        text = ", ".join(f"{key}: {_yaml(value)}" for key, value in extra.items())
        if extra and all(text != option.settings for option in made):
            flops = full - _planned(skeleton, seconds, {**block, **extra}).saved
            made.append(Option(text, flops, full / flops))
    return tuple(made)


def _window(skeleton: Skeleton, plan: Planned) -> int:
    """Give a block of time as long as the clips of the training."""
    return math.ceil(TRAINED_SECONDS * skeleton.rate / skeleton.factor / 2 ** (_first(plan).level
                                                                              or 0))  # fmt: skip


def _first_frames(plan: Planned) -> int:
    rows, cols = _first(plan).grid or (0, 0)
    return cols if plan.config.layout == "ft" else rows


def _yaml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(one)}" for key, one in value.items()) + "}"
    return str(value)


def finest(source: Any) -> Shape:
    """Give the shape of the largest attention that LiteFocus takes, for a benchmark."""
    skeleton = skeleton_of(source)
    site = _first(_planned(skeleton, TRAINED_SECONDS, {}))
    half = 1 << (site.level or 0)
    return Shape(
        f"{skeleton.name}, level {site.level}", site.heads, site.head_dim, (site.grid or (1, 1))[1],
        skeleton.rate / skeleton.factor / half,
    )  # fmt: skip
