"""Drivers that exist only in these tests, in registries that see nothing installed."""

from __future__ import annotations

from importlib import metadata
from typing import ClassVar, Literal
from unittest.mock import patch

from pydantic import Field, field_validator, model_validator

from genhub.api import (
    AttentionMixer,
    Decoder,
    EnvironmentFactory,
    Kernel,
    Metric,
    ModelSource,
    Needs,
    ParallelScheduler,
    PluginConfig,
    SearchSpace,
    SearchStrategy,
    Task,
)
from genhub.registry import Registries


class ScaleConfig(PluginConfig):
    factor: float = Field(1.0, gt=0, le=10, description="what the output is multiplied by")
    mode: Literal["mean", "max"] = Field("mean", description="how tokens are pooled")
    scale: int | None = Field(None, ge=1, description="a field with the name of its driver")


class Scale(AttentionMixer):
    Config = ScaleConfig
    summary = "scales attention"


class FocusConfig(PluginConfig):
    rank: int = Field(ge=1, description="rows that are kept")
    window: tuple[int, int] = Field((1, 1), description="rows and columns of a window")
    chunk: int | None = Field(None, multiple_of=8, description="tokens at a time")
    sizes: list[int] = Field(default_factory=list, min_length=0, max_length=3, description="sizes")
    parts: frozenset[str] = Field(frozenset({"all"}), description="what is focussed")

    @field_validator("parts")
    @classmethod
    def _known(cls, parts: frozenset[str]) -> frozenset[str]:
        if "none" in parts:
            raise ValueError("'none' is no part")
        return parts

    @model_validator(mode="after")
    def _fits(self) -> FocusConfig:
        if self.rank > 100:
            raise ValueError(f"rank {self.rank} does not fit the window; use 100 or less")
        return self


class Focus(AttentionMixer):
    Config = FocusConfig
    summary = "focusses attention"

    def needs(self) -> Needs:
        return Needs(owns=frozenset({"vae-decode"} if self.config.chunk else ()))


class Faulty(AttentionMixer):
    def needs(self) -> Needs:
        raise ZeroDivisionError("a mistake of its author")


class Halves(ParallelScheduler):
    def needs(self) -> Needs:
        return Needs(world=(2, 4))


class SoloConfig(PluginConfig):
    stride: int = Field(1, ge=1, le=4, description="steps between exchanges")


class Solo(ParallelScheduler):
    Config = SoloConfig

    def needs(self) -> Needs:
        return Needs(owns=frozenset({"vae-decode"}))


class Linear(Decoder):
    pass


class MazeConfig(PluginConfig):
    size: int = Field(8, ge=2, description="cells along one side")


class Maze(EnvironmentFactory):
    Config = MazeConfig


class Grid(SearchSpace):
    pass


class RandomConfig(PluginConfig):
    trials: int = Field(ge=1, description="points that are tried")


class Random(SearchStrategy):
    Config = RandomConfig


EVERY = {"model", "attention", "parallel", "kernels", "input", "sampling", "compare", "metrics"}


class Generate(Task):
    reads = frozenset(EVERY)


class Reconstruct(Task):
    reads = frozenset({*EVERY, "decoder"})


class RolloutConfig(PluginConfig):
    steps: int = Field(100, ge=1, description="steps of each episode")
    policy: str = Field("random", min_length=3, description="who acts")


class Rollout(Task):
    Config = RolloutConfig
    reads = frozenset({"environment"})


class Search(Task):
    reads = frozenset({*EVERY, "search"})


class Fast(Kernel):
    pass


class Shapes(ModelSource):
    pass


class Accuracy(Metric):
    needs: ClassVar[frozenset[str]] = frozenset({"captions"})


DRIVERS = {
    "attention_mixers": {"scale": Scale, "focus": Focus, "faulty": Faulty, "two-words": Scale},
    "parallel_schedulers": {"halves": Halves, "solo": Solo},
    "decoders": {"linear": Linear},
    "environments": {"maze": Maze},
    "search_spaces": {"grid": Grid},
    "search_strategies": {"random": Random},
    "tasks": {
        "generate": Generate,
        "reconstruct": Reconstruct,
        "rollout": Rollout,
        "search": Search,
    },
    "kernels": {"mix.fast": Fast, "mix.reference": Fast},
    "models": {"shapes": Shapes},
    "metrics": {"caption-accuracy": Accuracy, "psnr": Accuracy},
    "hooks": {"report": object(), "notes": object()},
}


def toy_registries() -> Registries:
    """Give registries that hold the drivers above and no installed ones."""
    registries = Registries()
    with patch.object(metadata, "entry_points", lambda: metadata.EntryPoints([])):
        for kind, drivers in DRIVERS.items():
            for name, cls in drivers.items():
                registries.get(kind).add(name, cls)
    return registries
