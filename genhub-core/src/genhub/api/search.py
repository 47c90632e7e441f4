"""The contracts of architecture search: spaces, genotypes, strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from genhub.api.plugins import Plugin
from genhub.api.runtime import Context, Run

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Cost",
    "CountUnavailable",
    "Decision",
    "Evaluate",
    "Genotype",
    "SearchSpace",
    "SearchStrategy",
    "SpaceDescription",
    "Trial",
    "Violation",
]


class Decision(BaseModel):
    """One categorical choice; a code is an index into `choices`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str  # stable and unique: "G.cell2.n0->n3"
    choices: tuple[str, ...]
    role: str  # generator, discriminator, denoiser, ...
    group: str | None = None  # cell or block, for crossover and drawing


class Genotype(BaseModel):
    """One point of a space: the codes of each role's decisions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: str
    space_version: int
    roles: dict[str, tuple[int, ...]]
    meta: dict[str, Any] = {}


@dataclass(frozen=True)
class SpaceDescription:
    """A space in words and decisions."""

    decisions: tuple[Decision, ...]
    constraints: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Violation:
    """A constraint that a genotype breaks."""

    message: str
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """Analytic cost of a genotype: no forward pass."""

    params: int
    macs: int
    activation_bytes: int = 0


@dataclass(frozen=True)
class Trial:
    """One evaluated genotype; finished trials are appended to trials.jsonl by the host."""

    index: int
    genotype: Genotype
    metrics: Mapping[str, float] = field(default_factory=dict)
    state: Literal["done", "failed", "pruned"] = "done"
    seconds: float = 0.0


class CountUnavailable(Exception):
    """The space cannot count points of this kind."""


Evaluate = Callable[[Genotype, int, int], dict[str, float]]  # (genotype, budget, seed)


class SearchSpace(Plugin):
    """A finite space of architectures."""

    version: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset()
    # subset of {"differentiable", "enumerable", "weight_inheritance"}

    def describe(self) -> SpaceDescription:
        """Give decisions, roles, constraints in words, and references."""
        raise TypeError(f"{type(self).__name__} does not define describe()")

    def count(self, kind: Literal["raw", "valid", "distinct"] = "raw") -> int:
        """Count points exactly; raises CountUnavailable."""
        raise CountUnavailable(kind)

    def sample(
        self, rng: np.random.Generator, n: int = 1, distinct: bool = False
    ) -> list[Genotype]:
        """Draw `n` valid genotypes, uniformly over the valid ones."""
        raise TypeError(f"{type(self).__name__} does not define sample()")

    def validate(self, g: Genotype) -> list[Violation]:
        """List the constraints that `g` breaks."""
        raise TypeError(f"{type(self).__name__} does not define validate()")

    def mutate(self, g: Genotype, rng: np.random.Generator, n_edges: int = 1) -> Genotype:
        """Change `n_edges` decisions and give a valid genotype."""
        raise TypeError(f"{type(self).__name__} does not define mutate()")

    def crossover(self, a: Genotype, b: Genotype, rng: np.random.Generator) -> Genotype:
        """Combine two genotypes into a valid one."""
        raise TypeError(f"{type(self).__name__} does not define crossover()")

    def neighbours(self, g: Genotype) -> Iterator[Genotype]:
        """Give the valid genotypes one decision away."""
        raise TypeError(f"{type(self).__name__} does not define neighbours()")

    def canonical(self, g: Genotype) -> Genotype:
        """Give the representative of all genotypes that build the same network."""
        return g

    def encode(self, g: Genotype) -> dict[str, Any]:
        """Write `g` as JSON with names of operations, not codes."""
        raise TypeError(f"{type(self).__name__} does not define encode()")

    def decode(self, d: Mapping[str, Any]) -> Genotype:
        """Read what `encode` wrote."""
        raise TypeError(f"{type(self).__name__} does not define decode()")

    def build(self, g: Genotype, role: str, *, ctx: Context | None = None, **dims: Any) -> Any:
        """Give the module of `role`, or overrides of the config that make it."""
        raise TypeError(f"{type(self).__name__} does not define build()")

    def cost(self, g: Genotype, role: str, **dims: Any) -> Cost:
        """Give the analytic cost of `role`."""
        raise TypeError(f"{type(self).__name__} does not define cost()")


class SearchStrategy(Plugin):
    """A way through a space.

    `requires` names capabilities of the space: a strategy that trains (`differentiable`) is given
    the run, not only an evaluator.
    """

    requires: ClassVar[frozenset[str]] = frozenset()

    def search(self, space: SearchSpace, evaluate: Evaluate, run: Run) -> Iterator[Trial]:
        """Yield trials as they finish; the same seed gives the same sequence."""
        raise TypeError(f"{type(self).__name__} does not define search()")
