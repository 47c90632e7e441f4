"""`genhub plan`: what would be attached where, without running it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from genhub.config import load
from genhub.execution.load import require_libraries


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="YAML file of a run")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a field"
    )


def run(args: Namespace) -> int:
    """Load the model on the meta device where that is possible, plan, and print the plan."""
    loaded = load(args.file, set=args.set)
    require_libraries()

    from genhub.execution import plan_text

    sys.stdout.write(plan_text(loaded).rstrip("\n") + "\n")
    return 0
