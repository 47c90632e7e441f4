"""The hook `report`: write report.html when a run has ended."""

from __future__ import annotations

from typing import Any

from genhub.api import hookimpl

__all__ = ["genhub_finished"]


@hookimpl
def genhub_finished(run: Any, error: BaseException | None) -> None:
    """Write the page, also of a run that was cut short and has something to show."""
    if not run.config.output.report or (error is not None and not run.summary.artifacts):
        return
    from genhub.report.page import write_report

    write_report(run.folder)
