"""Strategies that need no gradient: random draws, and evolution with aging."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from genhub.api import (
    Evaluate,
    Genotype,
    PluginConfig,
    Run,
    SearchSpace,
    SearchStrategy,
    Trial,
    crowding,
    fronts,
    point_of,
)

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["Evolution", "Random"]

MOST_REPEATS = 50  # children per trial, most of which were met before

log = logging.getLogger("genhub")


class RandomConfig(PluginConfig):
    """Block `strategy: {type: random}`."""

    trials: int = Field(20, ge=1, le=1_000_000, description="genotypes to evaluate, all distinct")


class Random(SearchStrategy):
    """Evaluate genotypes drawn uniformly, each once: the yardstick of every other strategy."""

    Config = RandomConfig
    summary = "distinct genotypes, drawn uniformly"

    def search(self, space: SearchSpace, evaluate: Evaluate, run: Run) -> Iterator[Trial]:
        """Draw all genotypes, then evaluate one after the other."""
        import numpy as np

        seed = run.config.seed
        drawn = space.sample(np.random.default_rng(seed), self.config.trials, distinct=True)
        if len(drawn) < self.config.trials:
            log.info("the space has only %d distinct genotypes; all are evaluated", len(drawn))
        for genotype in drawn:
            yield Trial(genotype, evaluate(genotype, 0, seed), seed=seed)


class EvolutionConfig(PluginConfig):
    """Block `strategy: {type: evolution}`."""

    trials: int = Field(
        40, ge=1, le=1_000_000, description="genotypes to evaluate; one met before does not count"
    )
    population: int = Field(10, ge=2, le=10_000, description="genotypes that live at a time")
    tournament: int = Field(
        3, ge=1, le=10_000, description="drawn from the population; the best has a child"
    )
    mutations: int = Field(1, ge=1, description="decisions in which a child differs")

    @model_validator(mode="after")
    def _fits(self) -> EvolutionConfig:
        if self.tournament > self.population:
            raise ValueError(f"a tournament of {self.tournament} is larger than the population")
        return self


class Evolution(SearchStrategy):
    """Regularised evolution: the best of a tournament has a child, and the oldest dies.

    Every genotype dies of age, also a good one: what was only lucky does not stay. With several
    objectives, better means an earlier non-dominated front of the population, and within a front
    a larger crowding distance (as in NSGA-II): scales and weights of objectives play no part, and
    the population spreads along the whole Pareto front.
    """

    Config = EvolutionConfig
    summary = "aging evolution: tournaments, mutation, the oldest dies"
    paper = "Regularized Evolution for Image Classifier Architecture Search (arXiv 1802.01548)"

    def search(self, space: SearchSpace, evaluate: Evaluate, run: Run) -> Iterator[Trial]:
        """Fill the population at random, then replace its oldest by a child again and again."""
        import numpy as np

        config, seed = self.config, run.config.seed
        objectives = run.config.search.objective
        rng = np.random.default_rng(seed)
        alive: deque[tuple[Genotype, tuple[float, ...]]] = deque(maxlen=config.population)
        met: set[str] = set()

        def born(genotype: Genotype) -> Trial:
            met.add(space.fingerprint(genotype))
            figures = evaluate(genotype, 0, seed)
            alive.append((genotype, point_of(figures, objectives)))
            return Trial(genotype, figures, seed=seed)

        for genotype in space.sample(rng, min(config.population, config.trials), distinct=True):
            yield born(genotype)
        children = 0
        while len(met) < config.trials and children < MOST_REPEATS * config.trials:
            children += 1
            yield born(self._child(space, list(alive), rng))

    def _child(self, space: SearchSpace, alive: list[Any], rng: Generator) -> Genotype:
        size = min(self.config.tournament, len(alive))
        drawn = sorted(int(i) for i in rng.choice(len(alive), size=size, replace=False))
        rank = _ranks([point for _, point in alive])
        parent = alive[min(drawn, key=lambda i: rank[i])][0]
        try:
            return space.mutate(parent, rng, self.config.mutations)
        except LookupError:  # constraints leave no such child
            return space.sample(rng)[0]


def _ranks(points: list[tuple[float, ...]]) -> list[tuple[int, float]]:
    """Give every point its front and how lonely it is there; lower is better."""
    rank = [(0, 0.0)] * len(points)
    for number, front in enumerate(fronts(points)):
        distances = crowding([points[i] for i in front])
        for i, distance in zip(front, distances, strict=True):
            rank[i] = (number, -distance)
    return rank
