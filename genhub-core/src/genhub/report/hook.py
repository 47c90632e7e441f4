"""The hook `report`: write report.html when a run has ended."""

from __future__ import annotations

from typing import Any

from genhub.api import hookimpl

__all__ = ["genhub_finished"]


@hookimpl
def genhub_finished(run: Any, error: BaseException | None) -> None:
    """Write the page, also of a run that failed or was cut short: it says why."""
    if not run.config.output.report:
        return
    from genhub.report.page import write_report

    write_report(run.folder)
