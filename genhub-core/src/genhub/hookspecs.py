"""The moments of a run that plugins can listen to.

A plugin marks functions of the same name with `genhub.api.hookimpl` and takes those arguments it
wants. `@hookimpl(tryfirst=True)` and `trylast=True` order them, `@hookimpl(wrapper=True)` on a
generator with one `yield` surrounds the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genhub.api.markers import hookspec

if TYPE_CHECKING:
    from genhub.api import Artifact, Run, Section, Step


@hookspec
def genhub_plan(plan: Any) -> None:
    """After planning, before anything is attached; raising `PlanRejected` vetoes the run."""


@hookspec
def genhub_attached(pipeline: Any, plan: Any, attached: Any) -> None:
    """After mixers and the parallel scheduler are in place, in every rank.

    What `attached.enter(manager)` enters is left when they are taken off, and `attached.tell(text)`
    adds a note to the run's manifest and report.
    """


@hookspec
def genhub_step(step: Step) -> None:
    """After every denoising, environment or search step; keep it short."""


@hookspec
def genhub_artifact(artifact: Artifact, run: Run) -> None:
    """After a file of results is written, on rank 0."""


@hookspec
def genhub_metrics(run: Run) -> Mapping[str, float] | None:
    """At the end of the task: figures to add to the run's metrics."""


@hookspec
def genhub_report(run: Run) -> list[Section] | None:
    """While the report is put together, on rank 0: sections to add."""


@hookspec
def genhub_finished(run: Run, error: BaseException | None) -> None:
    """At the very end, also after a failure or Ctrl-C; `error` is what ended the run, or None."""
