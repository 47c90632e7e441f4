"""Let the task of a run work, and write down its beginning and its end truthfully."""

from __future__ import annotations

import logging
import shlex
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from genhub.api import GenHubError
from genhub.execution.checks import task_of
from genhub.execution.faults import explain
from genhub.execution.folder import RunFolder
from genhub.execution.log import write_traceback
from genhub.execution.machine import about_machine, about_repository
from genhub.execution.phases import peak_memory
from genhub.execution.process import ProcessRun
from genhub.execution.ranks import note_ranks
from genhub.execution.result import REPORT
from genhub.execution.target import Target

__all__ = ["conclude", "work"]

log = logging.getLogger("genhub")

STATUS = {"GH603": "interrupted"}  # of a run that an error ended; failed for all others


def work(under_way: ProcessRun, files: RunFolder, target: Target) -> GenHubError | None:
    """Write down what is known beforehand and run the task; gives what ended it."""
    loaded = target.loaded
    try:
        if under_way.comm.rank == 0:
            log.info("run %s begins", files.path.name)
            files.note(**_beforehand(under_way, target))
        task = task_of(loaded)
        task.cls(loaded.config.task).run(under_way)
        if loaded.config.time:
            under_way.time_variants()
        note_ranks(under_way)
        with under_way.phases.measure("metrics"):
            for figures in under_way.hooks.call("genhub_metrics", run=under_way):
                under_way.log_for("main", figures)
    except BaseException as error:  # plugins raise what they like
        with suppress(OSError):  # the disk may be what is full
            write_traceback(files.logs, error, under_way.redact)
        return explain(error, during=under_way.phases.current, drivers=under_way.drivers)
    return None


def _beforehand(under_way: ProcessRun, target: Target) -> dict[str, Any]:
    loaded = target.loaded
    home = loaded.path.resolve().parent if loaded.path is not None else Path.cwd()
    facts: dict[str, Any] = {
        "task": loaded.config.task.type,
        "command": shlex.join(sys.argv),
        "seed": loaded.config.seed,
        "machine": about_machine(),
        "repository": about_repository(home),
        "hooks": under_way.hooks.names(),
    }
    if target.repeats not in (None, under_way.folder.name):
        facts["repeats"] = target.repeats
    if under_way.is_given:
        facts["pipeline_given"] = True
    return facts


def conclude(
    under_way: ProcessRun, files: RunFolder, error: GenHubError | None
) -> GenHubError | None:
    """Note the end, let hooks have their last word, and give what the run ends with."""
    try:
        _note_end(under_way, files, error)
        sections = under_way.hooks.call("genhub_report", run=under_way)
        files.note(sections=[asdict(s) for listed in sections for s in listed])
        under_way.hooks.call("genhub_finished", run=under_way, error=error)
        report = files.path / REPORT
        files.note(
            problems=list(under_way.summary.problems),
            report=REPORT if report.is_file() else None,
        )
    except BaseException as late:
        if error is None:
            error = explain(late, during="the report", drivers=under_way.drivers)
            with suppress(OSError, GenHubError):
                write_traceback(files.logs, late, under_way.redact)
                _note_end(under_way, files, error)
    return error


def _note_end(under_way: ProcessRun, files: RunFolder, error: GenHubError | None) -> None:
    status = "done" if error is None else STATUS.get(error.code, "failed")
    log.info("run %s is %s", files.path.name, status)
    problems = None if error is None else [problem.to_json() for problem in error.problems]
    files.finish(status, **under_way.state(), error=problems, peak_memory_bytes=peak_memory())
