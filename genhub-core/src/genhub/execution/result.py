"""What a run gives back to whoever started it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genhub.api import Artifact, Sample

__all__ = ["REPORT", "RunResult", "artifact_of", "result_of"]

REPORT = "report.html"


@dataclass(frozen=True)
class RunResult:
    """What a run made: `metrics` by variant, `report` where one was written.

    `timing` is what `time: true` found, as in manifest.json.
    """

    folder: Path
    status: str
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    report: Path | None = None
    problems: tuple[str, ...] = ()
    timing: dict[str, Any] = field(default_factory=dict)


def result_of(folder: Path, manifest: Mapping[str, Any]) -> RunResult:
    """Read the result of a run from what its manifest holds."""
    report = folder / REPORT
    return RunResult(
        folder,
        str(manifest["status"]),
        manifest.get("metrics", {}),
        tuple(artifact_of(entry) for entry in manifest.get("artifacts", ())),
        report if report.is_file() else None,
        tuple(manifest.get("problems", ())),
        manifest.get("timing", {}),
    )


def artifact_of(entry: Mapping[str, Any]) -> Artifact:
    """Give an artifact back from the form in which the manifest lists it."""
    return Artifact(**{**entry, "sample": Sample(**entry["sample"])})
