"""A run inside a run: what a search makes with each of its trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genhub.execution.folder import RunFolder
from genhub.execution.process import ProcessRun

__all__ = ["inner_run"]


def inner_run(run: ProcessRun, name: str, set: Mapping[str, Any]) -> ProcessRun:
    """Give a run in the folder `name` below that of `run`: its model and ranks, other settings.

    Hooks do not hear of its steps and artifacts, and its summary is its own.
    """
    path = run.folder / name
    (path / "artifacts").mkdir(parents=True)
    files = RunFolder(path, {}, run.redact)
    loaded = run.loaded.overridden(set)
    inner = ProcessRun(loaded, files, run.hooks, run.registries, run.models, run.comm)
    inner.phases, inner.tells = run.phases, False
    return inner
