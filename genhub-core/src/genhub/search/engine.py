"""The loop of the task `search`."""

from __future__ import annotations

import logging
import time
from typing import Any

from genhub.api import SearchSpace, SearchStrategy
from genhub.config import to_yaml
from genhub.execution.folder import replace_file
from genhub.search.book import TRIALS, TrialBook
from genhub.search.evaluation import Evaluator, SearchOver, overrides_of
from genhub.search.results import Results

__all__ = ["BEST", "search"]

BEST = "best.yaml"
NOTE_EVERY = 1.0  # seconds

log = logging.getLogger("genhub")


def search(run: Any) -> None:
    """Try what the strategy proposes until it ends or `budget_s` is spent, and keep the results."""
    drivers = {used.kind: used for used in run.drivers}
    block = run.config.search
    space: SearchSpace = drivers["search_spaces"].cls(block)
    strategy: SearchStrategy = drivers["search_strategies"].cls(block.strategy)
    with space.open(run):
        book = TrialBook(run.folder / TRIALS, space)
        if len(book):
            log.info("the search goes on after %d trials", len(book))
        evaluator = Evaluator(run, space, book)
        if evaluator.makes_pictures:
            evaluator.compare()
        results = Results(run.config, space, book)
        noted = time.monotonic()
        try:
            for trial in strategy.search(space, evaluator, run):
                evaluator.keep(trial)
                evaluator.discard(results.catch_up())
                if time.monotonic() > noted + NOTE_EVERY:
                    run.note(search=results.to_json())
                    noted = time.monotonic()
                evaluator.check_time()
        except SearchOver:
            log.info("budget_s is spent after %d trials", len(book))
        finally:
            evaluator.discard(results.catch_up())
            run.note(search=results.to_json())
        _conclude(run, space, evaluator, results)


def _conclude(run: Any, space: SearchSpace, evaluator: Evaluator, results: Results) -> None:
    """Write down the best as a config, and make its pictures the run's own."""
    best = results.best
    if best is None:
        log.warning("the search found nothing: no trial was evaluated")
        return
    if type(space).evaluate is SearchSpace.evaluate:
        overrides = overrides_of(space, best.genotype)
        name = f"{run.config.name or 'search'}-best"
        config = run.loaded.overridden(
            {**overrides, "metrics": evaluator.metrics, "name": name}
        ).config
        told = f"# Trial {best.index} of the search {run.folder.name}"
        told += ", made with a pipeline given in Python" if run.is_given else ""
        text = f"{told}\n{to_yaml(config)}"
        replace_file(run.folder / BEST, run.redact(text).encode())
    if evaluator.makes_pictures:
        evaluator.best(best.genotype)
    measured = evaluator.metrics if evaluator.makes_pictures else ()
    goals = (o.metric for o in run.config.search.objective if o.metric not in measured)
    run.log(**{name: best.metrics[name] for name in goals})
