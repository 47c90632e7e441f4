"""What a search is about: decisions, genotypes, their cost, and trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = [
    "COSTS",
    "Cost",
    "CountUnavailable",
    "Decision",
    "Evaluate",
    "Genotype",
    "SpaceDescription",
    "Trial",
    "Violation",
]


COSTS = ("params", "macs", "flops", "activation_bytes")  # figures that a Cost has


class Decision(BaseModel):
    """One categorical choice; a code is an index into `choices`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str  # stable and unique: "G.cell2.n0->n3"
    choices: tuple[str, ...]
    role: str  # generator, discriminator, denoiser, ...
    group: str | None = None  # cell or block, for crossover and drawing


class Genotype(BaseModel):
    """One point of a space: the codes of each role's decisions, in the order of `describe()`.

    `meta` is for notes: it takes no part in fingerprints.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: str
    space_version: int
    roles: dict[str, tuple[int, ...]]
    meta: dict[str, Any] = {}


@dataclass(frozen=True)
class SpaceDescription:
    """A space in decisions and words."""

    decisions: tuple[Decision, ...]
    constraints: tuple[str, ...] = ()
    references: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """Name the roles, in order of their first decision."""
        return tuple(dict.fromkeys(decision.role for decision in self.decisions))


@dataclass(frozen=True)
class Violation:
    """A constraint that a genotype breaks."""

    message: str
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """Analytic cost of a genotype: no forward pass."""

    params: int
    macs: int  # multiply-adds
    activation_bytes: int = 0

    @property
    def flops(self) -> int:
        """Give floating-point operations: a multiply-add is two."""
        return 2 * self.macs

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.params + other.params,
            self.macs + other.macs,
            self.activation_bytes + other.activation_bytes,
        )


@dataclass(frozen=True)
class Trial:
    """One evaluated genotype.

    A strategy gives the genotype and its figures; the host numbers trials and keeps them in
    trials.jsonl. A failed trial has no figures, and `error` is a sentence.
    """

    genotype: Genotype
    metrics: Mapping[str, float] = field(default_factory=dict)
    state: Literal["done", "failed", "pruned"] = "done"
    error: str = ""
    budget: int = 0
    seed: int = 0
    seconds: float = 0.0
    index: int = -1


class CountUnavailable(Exception):
    """The space cannot count points of this kind."""


# (genotype, budget, seed) -> figures by name, none where the evaluation failed. Budget 0 is the
# whole evaluation; what a smaller one means is the space's: samples, steps, epochs.
Evaluate = Callable[[Genotype, int, int], dict[str, float]]
