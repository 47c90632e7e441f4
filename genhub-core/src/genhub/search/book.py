"""The record of a search, trials.jsonl: one line per finished trial, complete after every kill."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from genhub.api import GenHubError, Genotype, SearchSpace, Trial

__all__ = ["TRIALS", "TrialBook"]

TRIALS = "trials.jsonl"
Key = tuple[str, int, int]  # fingerprint, budget, seed


class TrialBook:
    """The trials of a search by what was evaluated.

    A genotype that builds the same network as an earlier one, with equal budget and seed, is the
    same trial. Opening drops a last line that a kill cut short; raises GenHubError (GH608) where
    another line is damaged, or was written for another space.
    """

    def __init__(self, path: Path, space: SearchSpace) -> None:
        self._path = path
        self._space = space
        self._trials: dict[Key, Trial] = {}
        for number, line in enumerate(_whole_lines(path), start=1):
            try:
                trial = self._read(json.loads(line))
            except (GenHubError, ValueError, KeyError, TypeError) as error:
                told = error.problems[0].message if isinstance(error, GenHubError) else error
                raise GenHubError(
                    "GH608",
                    f"line {number} of {path} cannot be used: {told}",
                    hint="a search goes on only with the config and the model it began with",
                ) from error
            self._trials[self._key(trial)] = trial

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._trials.values())

    def find(self, genotype: Genotype, budget: int, seed: int) -> Trial | None:
        """Give what is known of a genotype."""
        return self._trials.get((self._space.fingerprint(genotype), budget, seed))

    def add(self, trial: Trial) -> Trial | None:
        """Number a trial and write it down; gives None for one that is known already."""
        key = self._key(trial)
        if key in self._trials:
            return None
        trial = replace(trial, index=len(self._trials))
        # One write of a whole line, on the disk before anything builds on it.
        with self._path.open("ab") as file:
            file.write(json.dumps(self._to_json(trial), ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._trials[key] = trial
        return trial

    def _key(self, trial: Trial) -> Key:
        return self._space.fingerprint(trial.genotype), trial.budget, trial.seed

    def _to_json(self, trial: Trial) -> dict[str, Any]:
        return {
            "index": trial.index,
            "state": trial.state,
            "metrics": dict(trial.metrics),
            "error": trial.error,
            "budget": trial.budget,
            "seed": trial.seed,
            "seconds": round(trial.seconds, 3),
            "fingerprint": self._space.fingerprint(trial.genotype),
            "genotype": self._space.encode(trial.genotype),
        }

    def _read(self, line: dict[str, Any]) -> Trial:
        return Trial(
            self._space.decode(line["genotype"]),
            line["metrics"], line["state"], line["error"], line["budget"], line["seed"],
            line["seconds"], line["index"],
        )  # fmt: skip


def _whole_lines(path: Path) -> list[bytes]:
    """Give the lines of the file; what stands behind the last line break is cut off."""
    if not path.exists():
        return []
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        os.truncate(path, end)
    return content[:end].splitlines()
