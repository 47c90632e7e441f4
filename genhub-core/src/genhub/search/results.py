"""What a search has found: its Pareto front, the best of it, and both as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from genhub.api import CountUnavailable, SearchSpace, Trial, dominates, point_of
from genhub.streams import aligned

__all__ = ["Results", "front_lines", "front_table"]


class Results:
    """The trials of a search so far, ordered by its objectives.

    `front` are those that no other dominates, equal ones too, by the first objective. Trials that
    were evaluated with a smaller budget than others stand back.
    """

    def __init__(self, config: Any, space: SearchSpace, trials: Iterable[Trial]) -> None:
        self.front: list[Trial] = []
        self._objectives = config.search.objective
        self._names = (config.search.type, config.search.strategy.type)
        self._space = space
        self._trials = trials
        self._seen = 0
        self._points = {kind: self._count(kind) for kind in ("raw", "valid", "distinct")}

    def catch_up(self) -> list[Trial]:
        """Take in the trials that are new; gives those that are not on the front, or no more."""
        new = list(self._trials)[self._seen :]
        self._seen += len(new)
        known = [*self.front, *(trial for trial in new if trial.state == "done")]
        whole = max((_budget(trial) for trial in known), default=0)
        known = [trial for trial in known if _budget(trial) == whole]
        points = [self._point(trial) for trial in known]
        before = {trial.index: trial for trial in (*self.front, *new)}
        front = [t for t, p in zip(known, points, strict=True)
                 if not any(dominates(q, p) for q in points)]  # fmt: skip
        self.front = sorted(front, key=lambda t: (self._point(t), t.index))
        kept = {trial.index for trial in front}
        return [trial for index, trial in before.items() if index not in kept]

    @property
    def best(self) -> Trial | None:
        """Give the trial of the front with the least weighted sum, objectives scaled to the front.

        Each objective runs from 0, its best value on the front, to 1, its worst.
        """
        front = self.front
        points = [self._point(t) for t in front]
        lows = [min(axis) for axis in zip(*points, strict=True)]
        spans = [(max(axis) - min(axis)) or 1.0 for axis in zip(*points, strict=True)]
        weights = [o.weight for o in self._objectives]

        def loss(trial: Trial) -> float:
            parts = zip(self._point(trial), lows, spans, weights, strict=True)
            return sum(weight * (x - low) / span for x, low, span, weight in parts)

        return min(front, key=lambda t: (loss(t), t.index), default=None)

    def to_json(self) -> dict[str, Any]:
        """Give what the manifest says of the search."""
        trials, best = islice(self._trials, self._seen), self.best
        return {
            "space": self._names[0],
            "strategy": self._names[1],
            "decisions": len(self._space.describe().decisions),
            "points": self._points,
            "objectives": [
                {"metric": o.metric, "goal": o.goal, "weight": o.weight} for o in self._objectives
            ],
            "trials": [self._row(t) for t in trials],
            "front": [t.index for t in self.front],
            "best": None if best is None else best.index,
        }

    def _point(self, trial: Trial) -> tuple[float, ...]:
        return point_of(trial.metrics, self._objectives)

    def _count(self, kind: Any) -> int | None:
        try:
            return self._space.count(kind)
        except CountUnavailable:
            return None

    def _row(self, trial: Trial) -> dict[str, Any]:
        return {
            "index": trial.index,
            "state": trial.state,
            "figures": {o.metric: trial.metrics.get(o.metric) for o in self._objectives},
            "seconds": round(trial.seconds, 3),
            "choices": _in_words(self._space, trial),
        }


def front_table(search: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Lay the front out as header and rows, from what the manifest says; * marks the best."""
    metrics = [o["metric"] for o in search["objectives"]]
    arrows = {"max": "higher", "min": "lower"}
    header = ["trial", *(f"{o['metric']} ({arrows[o['goal']]})" for o in search["objectives"])]
    rows = []
    for index in search["front"]:
        trial = search["trials"][index]
        figures = [f"{trial['figures'][name]:.4g}" for name in metrics]
        mark = f"{index} *" if index == search["best"] else str(index)
        rows.append([mark, *figures, f"{trial['seconds']:.1f}", trial["choices"]])
    return [*header, "seconds", "choices"], rows


def front_lines(search: Mapping[str, Any]) -> list[str]:
    """Write the front for a terminal."""
    header, rows = front_table(search)
    if not rows:
        return []
    tried = len(search["trials"])
    found = f"{len(rows)} of {tried} trials are on the Pareto front; * is the best by weights"
    return [found, *aligned([header, *rows])]


def _budget(trial: Trial) -> float:
    """Give a trial's budget; 0 is the whole evaluation."""
    return trial.budget or float("inf")


def _in_words(space: SearchSpace, trial: Trial) -> str:
    """Count how often each choice was made: `linfusion 3, none 4`."""
    decisions: Sequence[Any] = space.describe().decisions
    codes = space.codes(trial.genotype)
    made = Counter(d.choices[code] for d, code in zip(decisions, codes, strict=True))
    return ", ".join(f"{choice} {times}" for choice, times in sorted(made.items()))
