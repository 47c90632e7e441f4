"""What a run has made so far, as its manifest and its hooks are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from genhub.api import Artifact
from genhub.execution.artifacts import artifact_json
from genhub.execution.phases import StepTimes

__all__ = ["Summary"]


@dataclass
class Summary:
    """What a run has made so far."""

    artifacts: list[Artifact] = field(default_factory=list)
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)  # by variant
    problems: list[str] = field(default_factory=list)
    steps: dict[str, StepTimes] = field(default_factory=dict)  # by variant
    stats: dict[str, Any] = field(default_factory=dict)  # by variant

    def to_json(self) -> dict[str, Any]:
        """Give the entries of the manifest."""
        return {
            "artifacts": [artifact_json(a) for a in self.artifacts],
            "metrics": self.metrics,
            "variants": {
                name: {
                    "steps": self.steps.get(name, StepTimes()).to_json(),
                    **self.stats.get(name, {}),
                }
                for name in dict.fromkeys((*self.steps, *self.stats))
            },
            "problems": list(self.problems),
        }
