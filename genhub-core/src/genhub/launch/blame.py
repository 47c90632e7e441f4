"""Who failed first: one error is told, by the rank that had it, and not its echoes on others."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from genhub.errors import GenHubError, Mark, Problem, ToldElsewhere

__all__ = ["Blame", "from_json", "of_rank", "to_json"]

KEY = "genhub/first-error"
OF_ALL = ("GH603", "GH609")  # an interruption, and a disagreement that names the ranks itself


class Blame:
    """Keeps the first error of a run where all ranks see it: in the store of their group."""

    def __init__(self, store: Any, rank: int) -> None:
        self._store = store
        self._rank = rank

    def first(self, error: GenHubError) -> GenHubError:
        """Give the error that ended the run: `error`, unless another rank had one before.

        Then it is ToldElsewhere, with `error` as its cause.
        """
        if isinstance(error, ToldElsewhere):
            return error
        mine = of_rank(self._rank, error)
        entry = {"rank": self._rank, "problems": to_json(mine)}
        try:
            held = json.loads(self._store.compare_set(KEY, "", json.dumps(entry)))
        except RuntimeError:  # the store went with the rank that kept it
            return mine
        if held["rank"] == self._rank:
            return mine
        told = from_json(held["problems"], ToldElsewhere)
        told.__cause__ = error
        return told


def of_rank(rank: int, error: GenHubError) -> GenHubError:
    """Say whose error it is."""
    if error.code in OF_ALL:
        return error
    log = "log.txt in the run folder"
    where = log if rank == 0 else f"logs/rank{rank}/{log}"
    named = [
        replace(p, message=f"rank {rank}: {p.message}", hint=p.hint.replace(log, where))
        for p in error.problems
        if not p.message.startswith(f"rank {rank}: ")
    ]
    if not named:
        return error
    told = GenHubError.several(named)
    told.__cause__ = error
    return told


def to_json(error: GenHubError) -> list[dict[str, Any]]:
    """Write all that an error shows, to be read by another process."""
    return [asdict(problem) for problem in error.problems]


def from_json(problems: list[dict[str, Any]], cls: type[GenHubError] = GenHubError) -> GenHubError:
    """Read what `to_json` wrote."""
    return cls.several(
        Problem(**{**p, "mark": None if p["mark"] is None else Mark(**p["mark"])}) for p in problems
    )
