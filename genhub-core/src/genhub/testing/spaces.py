"""What holds for every search space, and for every strategy that walks through one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from genhub.api import Decision, GenHubError, Genotype, SearchSpace, SpaceDescription, Trial
from genhub.testing.guards import dice
from genhub.testing.plugins import PluginTests, complain, one_line

__all__ = ["SearchSpaceTests", "SearchStrategyTests"]

_MOST_TRIALS = 500


class SearchSpaceTests(PluginTests):
    """Checks of a search space; a space that has to look at a model first overrides `opened`."""

    kind: ClassVar[str] = "search_spaces"

    @classmethod
    def opened(cls, config: Any) -> Any:
        """Give the space, ready to be asked."""
        return cls.driver_class()(config)

    def test_describes_its_decisions(self) -> None:
        """Decisions have ids of their own, and choices that differ."""
        for settings, config in self.valid():
            try:
                decisions = self.opened(config).describe().decisions
            except Exception as error:
                complain(f"describe() raised {one_line(error)} ({settings})")
            ids = [decision.id for decision in decisions]
            if not ids or len(set(ids)) < len(ids):
                complain(f"the ids of the decisions are {ids}: at least one, each once")
            for decision in decisions:
                if not decision.choices or len(set(decision.choices)) < len(decision.choices):
                    complain(f"the choices of {decision.id} are {decision.choices}: each once")

    def test_samples_are_valid(self) -> None:
        """Drawn genotypes keep the constraints, and follow from the generator alone."""
        for space in self._spaces():
            drawn, again = space.sample(_rng(), 8), space.sample(_rng(), 8)
            self._hold(space, drawn, "sample()")
            if drawn != again:
                complain("sample() gives others from an equal generator: draw from `rng` alone")

    def test_offspring_is_valid(self) -> None:
        """Mutants, children and neighbours keep the constraints; a mutant differs."""
        for space in self._spaces():
            a, b = space.sample(_rng(), 2)
            mutant = space.mutate(a, _rng())
            self._hold(space, [mutant], "mutate()")
            if mutant == a:
                complain("mutate() gives the genotype it was given")
            self._hold(space, [space.crossover(a, b, _rng())], "crossover()")
            self._hold(space, islice(space.neighbours(a), 20), "neighbours()")

    def test_genotypes_survive_json(self) -> None:
        """What `encode` writes, `decode` reads, by names of choices."""
        for space in self._spaces():
            for g in space.sample(_rng(), 8):
                if space.decode(json.loads(json.dumps(space.encode(g)))) != g:
                    complain(f"{g.roles} comes back from encode() and decode() as another one")

    def test_foreign_genotypes_are_told(self) -> None:
        """`decode` refuses in words what belongs to another space."""
        for space in self._spaces():
            try:
                space.decode({"space": "elsewhere", "version": 0, "roles": {}})
            except GenHubError:
                continue
            except Exception as error:
                complain(f"decode() raised {one_line(error)}: raise GenHubError")
            complain("decode() takes a genotype of another space")

    def test_canonical_form_is_one(self) -> None:
        """The canonical form of a canonical form is itself, with the same fingerprint."""
        for space in self._spaces():
            for g in space.sample(_rng(), 8):
                one = space.canonical(g)
                if space.canonical(one) != one or space.fingerprint(one) != space.fingerprint(g):
                    complain(f"canonical() of {g.roles} is not canonical")

    def test_global_dice_stay_put(self) -> None:
        """Drawing leaves the shared random generators as they were."""
        for space in self._spaces():
            before = dice()
            space.mutate(space.sample(_rng(), 1)[0], _rng())
            if dice() != before:
                complain("a global random generator is used: draw from `rng`")

    def _spaces(self) -> list[Any]:
        found = []
        for _, config in self.valid():
            try:
                space = self.opened(config)
                space.describe()
            except Exception:
                continue
            found.append(space)
        return found or pytest.skip("no space describes itself: see test_describes_its_decisions")

    def _hold(self, space: Any, genotypes: Iterable[Genotype], by: str) -> None:
        for g in genotypes:
            if wrong := space.validate(g):
                complain(f"{by} gives {g.roles}: {wrong[0].message}")


class SearchStrategyTests(PluginTests):
    """Checks of a search strategy, on a space of 81 points whose best one has the highest codes."""

    kind: ClassVar[str] = "search_strategies"

    def test_trials_are_what_was_evaluated(self) -> None:
        """Each trial is a valid genotype, with the figures that `evaluate` gave for it."""
        space = _Sum()
        for trial in self._searched(0):
            if not isinstance(trial, Trial) or space.validate(trial.genotype):
                complain(f"search() gave {trial!r}: a Trial with a genotype of the space")
            if dict(trial.metrics) != _score(trial.genotype):
                complain(f"a trial says {dict(trial.metrics)}, not {_score(trial.genotype)}")

    def test_search_ends(self) -> None:
        """There is a last trial, and at least one."""
        count = len(self._searched(0))
        if not 0 < count < _MOST_TRIALS:
            complain(f"search() gave {count} trials on a space of 81 points, and may never end")

    def test_same_seed_gives_the_same_trials(self) -> None:
        """The sequence follows from the seed: a search that was cut short is repeated."""
        first, second = ([t.genotype for t in self._searched(0)] for _ in range(2))
        if first != second:
            complain("a second search from the same seed differs: draw from run.config.seed")

    def test_failed_evaluations_are_survived(self) -> None:
        """An evaluation without figures is a trial like any other."""
        try:
            trials = self._searched(0, fails=True)
        except Exception as error:
            complain(f"evaluate() that gives no figures ends the search: {one_line(error)}")
        if not trials:
            complain("evaluate() that gives no figures leaves no trials")

    def test_global_dice_stay_put(self) -> None:
        """Searching leaves the shared random generators as they were."""
        before = dice()
        self._searched(0)
        if dice() != before:
            complain("a global random generator is used: make one from run.config.seed")

    def _searched(self, seed: int, fails: bool = False) -> list[Any]:
        (_, config), *_ = self.valid()
        strategy = self.driver_class()(config)
        if strategy.requires:
            pytest.skip(f"it needs a space that is {', '.join(sorted(strategy.requires))}")
        objective = SimpleNamespace(metric="score", goal="max", weight=1.0)
        search = SimpleNamespace(objective=[objective])
        run = SimpleNamespace(config=SimpleNamespace(seed=seed, search=search))

        def evaluate(g: Genotype, budget: int, seed: int) -> dict[str, float]:
            return {} if fails and sum(g.roles["net"]) % 3 == 0 else _score(g)

        return list(islice(strategy.search(_Sum(), evaluate, run), _MOST_TRIALS))


class _Sum(SearchSpace):
    """Four decisions among three."""

    name = "sum"
    capabilities = frozenset({"enumerable"})

    def describe(self) -> SpaceDescription:
        ids = ("a", "b", "c", "d")
        return SpaceDescription(
            tuple(Decision(id=i, choices=("low", "mid", "high"), role="net") for i in ids)
        )


def _score(g: Genotype) -> dict[str, float]:
    return {"score": float(sum(g.roles["net"]))}


def _rng() -> Any:
    import numpy as np

    return np.random.default_rng(0)
