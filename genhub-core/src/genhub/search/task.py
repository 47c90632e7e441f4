"""The task `search`: let a strategy try points of a space, and keep the best of them."""

from __future__ import annotations

from typing import ClassVar

from genhub.api import Needs, Run, Task

__all__ = ["Search"]


class Search(Task):
    """Evaluate what the strategy proposes; the Pareto front and a config of the best remain."""

    summary = "architectures by several objectives, such as accuracy against cost"
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("model", "attention", "parallel", "kernels", "input", "sampling", "compare"),
            *("metrics", "search"),
        }
    )

    def needs(self) -> Needs:
        """Ask for one process: trials follow one another."""
        return Needs(world=(1, 1))

    def run(self, run: Run) -> None:
        """Search, or go on with a search that was cut short."""
        from genhub.search.engine import search

        search(run)
