"""Generate pictures from prompts, and the same ones with other drivers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from genhub.api import Artifact, Run, Task

__all__ = ["Generate"]


class Generate(Task):
    """Make every sample with the config's drivers and with those of each variant compared.

    Variants are paired: sample i has the same prompt and the same seed in all of them.
    """

    summary = "pictures from prompts, also with other drivers beside them"
    reads: ClassVar[frozenset[str]] = frozenset(
        {"model", "attention", "parallel", "kernels", "input", "sampling", "compare", "metrics"}
    )

    def run(self, run: Run) -> None:
        """Generate the baseline first: figures of every other variant may need it."""
        baseline: Sequence[Artifact] = ()
        for variant in sorted(["main", *run.config.compare], key=lambda name: name != "baseline"):
            with run.pipeline(variant):
                made = [a for request in run.requests(variant) for a in run.generate(request)]
                run.measure(made, baseline)
            if variant == "baseline":
                baseline = made
