"""What an unfinished run has done already: read back, and cut to where it goes on from."""

from __future__ import annotations

import json
from contextlib import suppress

from genhub.execution.checkpoint import FileCheckpoint
from genhub.execution.folder import RunFolder
from genhub.execution.phases import Phases
from genhub.execution.summary import Summary

__all__ = ["METRICS", "take_up"]

METRICS = "metrics.jsonl"


def take_up(files: RunFolder, summary: Summary, phases: Phases) -> None:
    """Fill `summary` and `phases` from a folder that is gone on with; of a new one, nothing.

    What was logged after the last checkpoint is taken out of metrics.jsonl, since it will be logged
    again; without a checkpoint that is all of it.
    """
    path = files.path / METRICS
    if path.is_file():
        with path.open("r+b") as file:
            file.truncate(min(path.stat().st_size, FileCheckpoint(files.path).logged()))
        for line in path.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                figures = json.loads(line)
                summary.metrics.setdefault(figures.pop("variant"), {}).update(figures)
    for phase, spent in files.manifest.get("phases", {}).items():
        phases.add(phase, spent["wall"], spent["cpu"])
    for name, about in files.manifest.get("variants", {}).items():
        summary.earlier[name] = about.get("steps", {})
