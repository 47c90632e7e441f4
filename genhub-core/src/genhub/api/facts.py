"""What is known of a model before it runs: attention sites, the latent, and how to select sites."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, create_model, model_validator

__all__ = ["ANY", "Facts", "Latent", "Needs", "Range", "Site", "Where"]

Modality = Literal["image", "audio", "video"]
Kind = Literal["self", "cross"]
Axis = Literal["spatial", "temporal", "joint"]
Stage = Literal["down", "mid", "up", "blocks"]

ANY: frozenset[str] = frozenset()  # no restriction

# For its first model pydantic reads the entry points of all that is installed. One distribution
# with an unreadable file fails that model; those after it are made with what was found.
with suppress(Exception):
    create_model("First")


@dataclass(frozen=True)
class Needs:
    """What a driver asks of a run, known from its config alone: no torch, no model.

    `modalities` and `families` equal to `ANY` mean no restriction. `owns` names resources that
    one driver at a time may hold: `scheduler-step`, `denoiser-forward`, `vae-decode`; `disown` is
    what its block has to hold for it to own nothing, as messages tell it: `decode: pipeline`.
    """

    world: tuple[int, int] = (1, 10**9)  # ranks, lowest and highest
    modalities: frozenset[str] = ANY
    families: frozenset[str] = ANY
    sequence: Literal["any", "whole"] = "any"  # must one call see all tokens / frames?
    owns: frozenset[str] = frozenset()
    disown: str = ""

    def __post_init__(self) -> None:
        """Raise TypeError for what no run could be held against."""
        world = self.world
        if not isinstance(world, tuple) or [type(ranks) for ranks in world] != [int, int]:
            raise TypeError(f"Needs.world is {world!r}, not the lowest and highest number of ranks")
        for name in ("modalities", "families", "owns"):
            named = getattr(self, name)
            if not isinstance(named, frozenset | set) or not all(type(n) is str for n in named):
                raise TypeError(f"Needs.{name} is {named!r}, not a set of names")
        if self.sequence not in ("any", "whole"):
            raise TypeError(f"Needs.sequence is {self.sequence!r}, neither 'any' nor 'whole'")


@dataclass(frozen=True)
class Site:
    """One attention module of a denoiser, as one denoiser call at this run's size meets it.

    `kind` is what the probe saw: `self` when the module was called without
    `encoder_hidden_states`. A module that the call never reached has `index` -1, no tokens, and
    the kind that its class declares.
    """

    path: str  # "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    component: str  # "unet" | "transformer" | ...
    kind: Kind
    axis: Axis
    stage: Stage
    index: int  # order of execution
    channels: int  # width of the queries' input
    heads: int
    head_dim: int
    tokens: int | None  # queries per sample
    context_tokens: int | None  # keys per sample when they come from elsewhere
    level: int | None = None  # 0 = latent resolution, 1 = half of it, ...
    grid: tuple[int, int] | None = None  # rows, cols when tokens are a picture

    @property
    def module_path(self) -> str:
        """Give the path inside the component: `path` without its first word."""
        return self.path.split(".", 1)[1]


@dataclass(frozen=True)
class Latent:
    """The tensor that the denoiser refines: axes, shape for one sample, autoencoder's factor."""

    axes: Literal["BCHW", "BCTF", "BCFHW", "BFCHW"]
    shape: tuple[int, ...]  # with batch 1
    factor: int  # pixels per latent cell along one side


@dataclass(frozen=True)
class Facts:
    """What is known of a loaded (or meta) pipeline; built once by the host."""

    modality: Modality
    family: str  # unet2d unet3d motion svd audioldm audioldm2 sd3 flux wan qwenimage other
    latent: Latent
    sites: tuple[Site, ...]
    probed_by: Literal["meta", "real step", "declaration"] = "meta"
    note: str = ""  # what the probe could not find out, in one sentence
    _example: Callable[[str], tuple[tuple[Any, ...], dict[str, Any]]] | None = field(
        default=None, repr=False, compare=False
    )

    def example_call(self, component: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give arguments of one denoiser call as meta tensors, `(args, kwargs)`, batch 1."""
        if self._example is None:
            raise LookupError(f"no example call is known for component '{component}'")
        return self._example(component)


class Range(BaseModel):
    """An inclusive range; a side that is left out is open."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    min: int | None = Field(None, ge=0, description="lowest value that matches")
    max: int | None = Field(None, ge=0, description="highest value that matches")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self

    def holds(self, value: int | None) -> bool:
        """Say whether `value` lies inside; an unknown value lies in no bounded range."""
        if value is None:
            return self.min is None and self.max is None
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


class Where(BaseModel):
    """Select attention sites; every field given must hold, a field left out holds for all.

    >>> Where(kind="self", tokens=Range(min=64))
    Where(kind='self', tokens=Range(min=64, max=None))
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    kind: Kind | None = Field(None, description="self- or cross-attention")
    axis: Axis | None = Field(None, description="spatial, temporal or joint (DiT) attention")
    stage: Stage | None = Field(None, description="part of the denoiser")
    component: str | None = Field(None, description="unet, transformer, ...")
    name: str | list[str] | None = Field(None, description="glob pattern(s) of the site's path")
    not_name: str | list[str] | None = Field(None, description="glob pattern(s) to leave out")
    level: NonNegativeInt | Range | Literal["first", "all"] | None = Field(
        None,
        description="0 = latent resolution, 1 = half of it; first: the finest that has a site for "
        "which the rest holds; all: any",
    )
    channels: NonNegativeInt | Range | None = Field(None, description="width of the site")
    tokens: Range | None = Field(None, description="queries at this run's size")
    index: NonNegativeInt | Range | None = Field(None, description="order of execution, from 0")

    def __repr_args__(self) -> Any:
        """Show only the fields that select something."""
        return [(key, value) for key, value in super().__repr_args__() if value is not None]

    def among(self, sites: Iterable[Site]) -> Where:
        """Give this selection with the words for `level` resolved for a model with these sites.

        A model without levels has one: there `first` is all of it.
        """
        if not isinstance(self.level, str):
            return self
        rest = self.model_copy(update={"level": None})
        if self.level == "all":
            return rest
        levels = [s.level for s in sites if s.level is not None and rest.why_not(s) is None]
        return rest.model_copy(update={"level": min(levels, default=None)})

    def why_not(self, site: Site) -> str | None:
        """Give None where the site matches, else the condition that fails, as `where.axis=...`.

        Raises ValueError for `level: first`, which one site alone does not tell: see `among`.
        """
        if self.level == "first":
            raise ValueError("where.level is 'first': resolve it with among(sites)")
        for key in ("kind", "axis", "stage", "component"):
            wanted = getattr(self, key)
            if wanted is not None and getattr(site, key) != wanted:
                return f"where.{key}={wanted}"
        for key in ("level", "channels", "tokens", "index"):
            wanted = getattr(self, key)
            if wanted is None or wanted == "all":
                continue
            span = Range(min=wanted, max=wanted) if isinstance(wanted, int) else wanted
            if not span.holds(getattr(site, key)):
                shown = wanted if isinstance(wanted, int) else f"{span.min}..{span.max}"
                return f"where.{key}={shown}"
        if self.name is not None and not _matches(site.path, self.name):
            return f"where.name={self.name}"
        if self.not_name is not None and _matches(site.path, self.not_name):
            return f"where.not_name={self.not_name}"
        return None


def _matches(path: str, patterns: str | list[str]) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(path, pattern) for pattern in listed)
