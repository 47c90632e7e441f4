"""Evaluate genotypes: costs, and figures of the pictures that they make."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from genhub.api import COSTS, Cost, GenHubError, Genotype, SearchSpace, Trial
from genhub.execution.faults import explain
from genhub.execution.inner import inner_run
from genhub.execution.log import write_traceback
from genhub.search.book import TrialBook
from genhub.search.objectives import metrics_of

__all__ = ["Evaluator", "SearchOver", "overrides_of"]

MOST_FAILURES = 5  # in a row
FOLDER = "trials"
GENERATES: Mapping[str, Any] = {"task": {"type": "generate"}, "search": None}

log = logging.getLogger("genhub")


class SearchOver(Exception):
    """No further trial may begin."""


class Evaluator:
    """What a strategy calls: gives the figures of a genotype, none where it fails.

    What the book knows is not evaluated again. Raises SearchOver where the time is up, and
    GenHubError where one trial after the other fails.
    """

    def __init__(self, run: Any, space: SearchSpace, book: TrialBook) -> None:
        self._run = run
        self._space = space
        self._book = book
        self.metrics = metrics_of(run.config, space)
        self._costs_matter = any(o.metric in COSTS for o in run.config.search.objective)
        self._failures = 0
        self._baseline: tuple[Any, ...] = ()
        self._spent = sum(trial.seconds for trial in book)
        self._began = time.monotonic()

    def __call__(self, genotype: Genotype, budget: int = 0, seed: int = 0) -> dict[str, float]:
        """Evaluate, or remember."""
        trial = self._book.find(genotype, budget, seed)
        if trial is None:
            self.check_time()
            trial = self._tried(genotype, budget, seed)
            self.keep(trial)
        return dict(trial.metrics)

    def keep(self, trial: Trial) -> None:
        """Write a trial down and tell of it; one that is known already changes nothing."""
        kept = self._book.add(trial)
        if kept is None:
            return
        config = self._run.config.search.strategy
        done = len(self._book)
        self._run.progress(done, max(done, getattr(config, "trials", 0)), "trials")
        self._failures = self._failures + 1 if kept.state == "failed" else 0
        if kept.state == "failed":
            log.warning("trial %d failed: %s", kept.index, kept.error)
        if self._failures >= MOST_FAILURES:
            raise GenHubError(
                "GH611",
                f"{self._failures} trials in a row failed; the last: {kept.error}",
                hint="mend the cause, then `genhub run RUN_DIR` goes on with the trials so far",
            )

    def check_time(self) -> None:
        """Raise SearchOver where `budget_s` is spent, trials of earlier sessions included."""
        budget_s = self._run.config.search.budget_s
        if budget_s is not None and self._spent + time.monotonic() - self._began > budget_s:
            raise SearchOver

    def compare(self) -> None:
        """Make the variants that the config compares with, the baseline first."""
        for variant in sorted(self._run.config.compare, key=lambda name: name != "baseline"):
            with self._run.pipeline(variant, set={**GENERATES, "metrics": self.metrics}):
                requests = self._run.requests(variant)
                made = tuple(a for request in requests for a in self._run.generate(request))
                self._run.measure(made, self._baseline)
            if variant == "baseline":
                self._baseline = made

    def best(self, genotype: Genotype) -> None:
        """Make the pictures of the best genotype with the run's own name and metrics."""
        overrides = overrides_of(self._space, genotype)
        with self._run.pipeline(set={**overrides, "metrics": self.metrics}):
            made = [a for r in self._run.requests() for a in self._run.generate(r)]
            self._run.measure(made, self._baseline)

    @property
    def makes_pictures(self) -> bool:
        """Say whether trials are judged by what the run's model makes."""
        own = type(self._space).evaluate is not SearchSpace.evaluate
        return bool(self.metrics) and not own

    def _folder(self, index: int) -> Path:
        """Give where the pictures of a trial lie, while they are kept."""
        path: Path = self._run.folder / FOLDER / f"{index:04d}"
        return path

    def discard(self, trials: Iterable[Trial]) -> None:
        """Delete the pictures of trials."""
        for trial in trials:
            shutil.rmtree(self._folder(trial.index), ignore_errors=True)

    def _tried(self, genotype: Genotype, budget: int, seed: int) -> Trial:
        began = time.perf_counter()
        figures: dict[str, float] = {}
        try:
            error = "; ".join(v.message for v in self._space.validate(genotype))
            if not error:
                figures = self._figures(genotype, budget, seed)
                error = self._missing(figures)
        except Exception as caught:  # whatever a genotype does, the search goes on without it
            write_traceback(self._run.folder, caught, self._run.redact)
            explained = explain(caught, during="a trial", drivers=self._run.drivers)
            error = self._run.redact(explained.problems[0].message)
        seconds = time.perf_counter() - began
        if error:
            return Trial(genotype, {}, "failed", error, budget, seed, seconds)
        kept = {name: value for name, value in figures.items() if math.isfinite(value)}
        return Trial(genotype, kept, "done", "", budget, seed, seconds)

    def _figures(self, genotype: Genotype, budget: int, seed: int) -> dict[str, float]:
        figures: dict[str, float] = {}
        with nullcontext() if self._costs_matter else suppress(GenHubError):
            figures |= costs_of(self._space, genotype)
        own = self._space.evaluate(genotype, budget, seed, self._run)
        if own is not None:
            return figures | own
        return figures | self._measured(genotype, budget, seed) if self.metrics else figures

    def _measured(self, genotype: Genotype, budget: int, seed: int) -> dict[str, float]:
        """Make the configured samples with a genotype, beside the run's own; budget is samples."""
        from genhub.metrics.measure import figures_of

        folder = self._folder(len(self._book))
        shutil.rmtree(folder, ignore_errors=True)  # of a trial that was cut short
        overrides: dict[str, Any] = {
            **overrides_of(self._space, genotype),
            **{"compare": [], "seed": seed},
        }
        below = folder.relative_to(self._run.folder).as_posix()
        inner = inner_run(self._run, below, overrides)
        figures: dict[str, float] = {}
        with inner.pipeline():
            made: list[Any] = []
            for request in inner.requests():
                artifacts = inner.generate(request)
                made += [replace(a, path=f"{below}/{a.path}") for a in artifacts]
                if 0 < budget <= len(made):
                    break
            registry = self._run.registries.get("metrics")
            for name in self.metrics:
                found = figures_of(registry, name, self._run, made, self._baseline)
                # By contract the first figure is the one that is maximised or minimised.
                figures |= {name: next(iter(found.values()))} if found else {}
                figures |= found
        return figures

    def _missing(self, figures: Mapping[str, float]) -> str:
        """Say which objective has no value."""
        for objective in self._run.config.search.objective:
            value = figures.get(objective.metric)
            if value is None:
                return f"its evaluation gives no '{objective.metric}'"
            if not math.isfinite(value):
                return f"its '{objective.metric}' is {value}"
        return ""


def costs_of(space: SearchSpace, genotype: Genotype) -> dict[str, float]:
    """Give the costs of a genotype, added up over roles; nothing where the space has none."""
    if type(space).cost is SearchSpace.cost:
        return {}
    costs = (space.cost(genotype, role) for role in space.describe().roles)
    total = sum(costs, Cost(0, 0))
    return {name: getattr(total, name) for name in COSTS}


def overrides_of(space: SearchSpace, genotype: Genotype) -> dict[str, Any]:
    """Give what makes the run's config one that generates with a genotype."""
    overrides = dict(GENERATES)
    for role in space.describe().roles:
        built = space.build(genotype, role)
        if not isinstance(built, Mapping):
            raise GenHubError(
                "GH606",
                f"the search space '{type(space).__name__}' builds a {type(built).__name__} for "
                f"'{role}': such a space must evaluate its genotypes itself",
                hint="this is a fault of the plugin",
            )
        overrides |= built
    return overrides
