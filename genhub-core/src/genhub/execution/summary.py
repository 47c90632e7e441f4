"""What a run has made so far, as its manifest and its hooks are told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from genhub.api import Artifact
from genhub.execution.artifacts import artifact_json
from genhub.execution.phases import StepTimes

__all__ = ["Summary", "finite"]


@dataclass
class Summary:
    """What a run has made so far."""

    artifacts: list[Artifact] = field(default_factory=list)
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)  # by variant
    problems: list[str] = field(default_factory=list)
    steps: dict[str, StepTimes] = field(default_factory=dict)  # by variant
    stats: dict[str, Any] = field(default_factory=dict)  # by variant
    earlier: dict[str, Any] = field(default_factory=dict)  # steps that were timed before a break
    timing: dict[str, Any] = field(default_factory=dict)  # what `time: true` found

    def to_json(self, unseen: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
        """Give the entries of the manifest; `unseen` are artifacts from before a break."""
        return {
            "artifacts": [*map(artifact_json, self.artifacts), *unseen],
            "metrics": self.metrics,
            "variants": {
                name: {
                    "steps": self._steps_of(name),
                    **self.stats.get(name, {}),
                }
                for name in dict.fromkeys((*self.steps, *self.stats))
            },
            **({"timing": self.timing} if self.timing else {}),
            "problems": list(self.problems),
        }

    def _steps_of(self, variant: str) -> dict[str, Any]:
        """Give the times of steps; those from before a break only where none came after it."""
        times = self.steps.get(variant, StepTimes()).to_json()
        return times if times["count"] else self.earlier.get(variant, times)


def finite(value: float) -> float | None:
    """JSON has no NaN and no infinity: a figure that is neither becomes null."""
    number = value if isinstance(value, int) else float(value)
    return number if math.isfinite(number) else None
