"""Show how far a run is: a bar on a terminal, plain lines elsewhere, the results at the end."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genhub.api import hookimpl
from genhub.errors import EXIT_CONFIG_WRONG, EXIT_PLUGIN_TROUBLE, EXIT_RUN_FAILED
from genhub.execution.speedup import timing_rows
from genhub.search.results import front_lines
from genhub.streams import aligned, printable

if TYPE_CHECKING:
    from genhub.api import Step

__all__ = ["Progress", "figures_table"]

MOST_COLUMNS = 5  # of variants, in a table for a terminal


class Progress:
    """The hook `progress` of one run; it speaks on stderr, and of results on stdout."""

    def __init__(self) -> None:
        self._shown: _Bar | _Lines | None = None

    @hookimpl
    def genhub_step(self, step: Step) -> None:
        """Move on by one step."""
        if self._shown is None:
            self._shown = _Bar() if sys.stderr.isatty() else _Lines()
        self._shown.move(step)

    @hookimpl(wrapper=True, tryfirst=True)
    def genhub_finished(self, run: Any, error: BaseException | None) -> Generator[None, Any, Any]:
        """Stop the bar, let all others finish, and tell last where everything lies.

        A wrapper, so that it has the last word also where writing the report fails.
        """
        if self._shown is not None:
            self._shown.end()
        try:
            return (yield)
        finally:
            self._tell(run, error)

    def _tell(self, run: Any, error: BaseException | None) -> None:
        for problem in run.summary.problems:
            sys.stderr.write(printable(f"warning: {problem}\n"))
        sys.stderr.flush()
        manifest = run.manifest
        table = figures_table(
            manifest.get("variants", {}), run.summary.metrics, manifest.get("timing")
        )
        lines = [*table, ""] if table else []
        if "search" in run.manifest:
            lines += [*front_lines(run.manifest["search"]), ""]
        lines.append(_where(run.folder, len(run.summary.artifacts), error))
        sys.stdout.write(printable("\n".join(lines) + "\n"))
        sys.stdout.flush()


class _Bar:
    """One bar with rate and time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
            console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._task = self._bars.add_task("", total=None, rate="")
        self._bars.start()

    def move(self, step: Step) -> None:
        rate = f"{1 / step.seconds:.1f} steps/s" if step.seconds > 0 else ""
        memory = _peak_gib()
        self._bars.update(
            self._task, description=step.variant, completed=step.done, total=step.total,
            rate=f"{rate}{memory}",
        )  # fmt: skip

    def end(self) -> None:
        self._bars.stop()


class _Lines:
    """One line per tenth of the run."""

    def __init__(self) -> None:
        self._tenth = 0

    def move(self, step: Step) -> None:
        tenth = step.done * 10 // step.total if step.total else 0
        if tenth > self._tenth:
            what = "" if step.variant == "main" else f"{step.variant}, "
            sys.stderr.write(f"{tenth * 10:3d} %  {what}step {step.done} of {step.total}\n")
            sys.stderr.flush()
        self._tenth = tenth

    def end(self) -> None:
        """Leave the lines as they are."""


def figures_table(
    variants: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, float | None]],
    timing: Mapping[str, Any] | None = None,
) -> list[str]:
    """Lay out metrics and times, one row per figure and one column per variant.

    Many variants have a row each, and every figure a column. Times of variants that took turns
    stand in place of those of one after the other.
    """
    columns = list(dict.fromkeys((*variants, *metrics)))
    rows: dict[str, list[str]] = {}
    for name in dict.fromkeys(key for figures in metrics.values() for key in figures):
        rows[name] = [_number(metrics.get(column, {}).get(name)) for column in columns]
    times = [variants.get(column, {}).get("steps", {}).get("p50_ms") for column in columns]
    if timing:
        for name, row in timing_rows(timing).items():
            rows[name] = [row.get(column, "-") for column in columns]
    elif any(time is not None for time in times):
        rows["ms per step (median)"] = [_number(time) for time in times]
    if not rows:
        return []
    cells = [["", *columns], *([name, *listed] for name, listed in rows.items())]
    if len(columns) > MOST_COLUMNS:
        cells = [list(row) for row in zip(*cells, strict=True)]
    return aligned(cells, range(1, len(cells[0])))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _where(folder: Path, count: int, error: BaseException | None) -> str:
    report = folder / "report.html"
    made = f"{count} artifact{'' if count == 1 else 's'} in" if count else ""
    text = f"{made} {folder / 'artifacts' if count else folder}".strip()
    if report.is_file():
        text += f", report: {report}"
    if error is None:
        return f"results: {text}"
    wrong = getattr(error, "exit_code", EXIT_RUN_FAILED) in (EXIT_CONFIG_WRONG, EXIT_PLUGIN_TROUBLE)
    text += "" if wrong else f"; genhub run {folder} goes on"
    return f"ended early, kept: {text}"


def _peak_gib() -> str:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return ""
    return f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
