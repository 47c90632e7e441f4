"""`genhub asyncdiff plan` and `genhub asyncdiff simulate`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from tempfile import TemporaryDirectory
from typing import Any

from genhub.api import Command, GenHubError

__all__ = ["AsyncDiffCommand"]

_SCHEDULES = ("components=2", "components=2,stride=2", "components=3,stride=2")


class AsyncDiffCommand(Command):
    """What to choose, and what it would look like, before there is more than one device."""

    summary = "plan schedules of asyncdiff, or try them on one device"

    def arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments of both."""
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        plan = actions.add_parser("plan", help="compare schedules for a number of devices")
        plan.add_argument("--devices", type=int, default=4, metavar="N", help="so many at most")
        plan.add_argument(
            "--bandwidth", type=float, metavar="GB/S", help="of the link between them"
        )
        plan.add_argument("--latency", type=float, metavar="US", help="microseconds of a message")
        simulate = actions.add_parser("simulate", help="draw with schedules, on one device")
        simulate.add_argument(
            "--try", action="append", dest="schedules", default=[], metavar="FIELD=VALUE,...",
            help=f"a schedule, may be repeated; else {' and '.join(_SCHEDULES)}",
        )  # fmt: skip
        simulate.add_argument("--output", metavar="DIR", help="where the run's folder is made")
        for action in (plan, simulate):
            action.add_argument("file", metavar="FILE", help="YAML file of a run")
            action.add_argument(
                "--set", action="append", default=[], metavar="KEY=VALUE", help="override a field"
            )

    def run(self, args: Namespace) -> int:
        """Do it and give the exit status."""
        return _plan(args) if args.action == "plan" else _simulate(args)


def _plan(args: Namespace) -> int:
    import genhub
    from genhub_asyncdiff.advice import Advice, PlanTask
    from genhub_asyncdiff.simulation import registries

    if args.devices < 1:
        raise _bad("--devices", args.devices, "1 or more")
    for name in ("bandwidth", "latency"):
        value = getattr(args, name)
        if value is not None and value <= 0:
            raise _bad(f"--{name}", value, "a number above 0")
    found = registries()
    found.get("tasks").add("asyncdiff-plan", PlanTask)
    advice = Advice(args.devices, args.bandwidth, args.latency)
    changes = {
        **_changes(args.set),
        "parallel": None,
        "launch.processes": 1,
        "launch.simulate": False,
        "compare": [],
        "metrics": [],
        "task": {"type": "asyncdiff-plan", **advice.settings()},
    }
    with TemporaryDirectory() as folder:
        result = genhub.run(args.file, set=changes, output=folder, registries=found)
        text = (result.folder / "advice.txt").read_text(encoding="utf-8")
    sys.stdout.write(text)
    return 0


def _simulate(args: Namespace) -> int:
    from genhub_asyncdiff.simulation import simulate

    schedules = [_schedule(text) for text in args.schedules or _SCHEDULES]
    named = {_name(schedule): schedule for schedule in schedules}
    result = simulate(args.file, named, set=_changes(args.set), output=args.output, quiet=False)
    sys.stdout.write(_table(result.metrics) + f"\nreport: {result.folder / 'report.html'}\n")
    return 0


def _schedule(text: str) -> dict[str, Any]:
    """Read `components=2,stride=2`."""
    import yaml

    schedule = {}
    for setting in text.split(","):
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise _bad(
                "--try", text, "FIELD=VALUE, with commas between, as in components=2,stride=2"
            )
        schedule[key.strip()] = yaml.safe_load(value)
    return schedule


def _name(schedule: dict[str, Any]) -> str:
    """Give a variant's name: `components-2-stride-2`."""
    text = "-".join(f"{key}-{value}" for key, value in schedule.items())
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in text).lower()


def _changes(settings: list[str]) -> dict[str, Any]:
    import yaml

    changes = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise _bad("--set", setting, "KEY=VALUE")
        changes[key] = yaml.safe_load(value)
    return changes


def _table(metrics: dict[str, dict[str, float]]) -> str:
    """Lay figures out, one row per variant."""
    columns = list(dict.fromkeys(name for row in metrics.values() for name in row))
    rows = [["", *columns]]
    for variant, figures in metrics.items():
        name = "serial" if variant == "baseline" else variant
        rows.append([name, *(f"{figures[c]:.4g}" if c in figures else "" for c in columns)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _bad(option: str, value: Any, wanted: str) -> GenHubError:
    return GenHubError("GH201", f"{option} is {value!r}", hint=f"give {wanted}")
