"""`genhub report`: write the page of a run again, or one page about several runs."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from genhub.api import GenHubError
from genhub.execution.folder import made_sense_of
from genhub.execution.load import require_libraries

SIDE_BY_SIDE = "side-by-side.html"


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("runs", metavar="RUN", nargs="+", help="folder of a run")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help=f"page about several runs; left out: {SIDE_BY_SIDE} in this folder",
    )


def run(args: Namespace) -> int:
    """Write the page and print where it is."""
    folders = [Path(name) for name in args.runs]
    if len(folders) == 1 and args.output is not None:
        raise GenHubError(
            "GH608",
            "the page of one run belongs into its folder, where its links lead from",
            hint="leave -o out, or give several runs",
        )
    require_libraries()
    with made_sense_of(*folders):
        page = _written(folders, Path(args.output or SIDE_BY_SIDE))
    sys.stdout.write(f"{page}\n")
    return 0


def _written(folders: list[Path], out: Path) -> Path:
    if len(folders) == 1:
        from genhub.report.page import write_report

        return write_report(folders[0])
    from genhub.report.side_by_side import write_side_by_side

    return write_side_by_side(folders, out)
