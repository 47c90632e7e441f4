"""`genhub new`: the package of a plugin that passes its checks, to begin one's own from."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from genhub.scaffold import SCAFFOLDS, write


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "kind", choices=list(SCAFFOLDS), metavar="KIND", help="one of: " + ", ".join(SCAFFOLDS)
    )
    parser.add_argument("name", metavar="NAME", help="name of the plugin: a-z 0-9 -")
    parser.add_argument(
        "--dir", type=Path, default=Path(), help="where the folder NAME is made (default: here)"
    )


def run(args: Namespace) -> int:
    """Write the package and say what to do next."""
    folder = write(args.kind, args.name, args.dir)
    sys.stdout.write(
        f"{folder} is a package with the {args.kind.replace('-', ' ')} '{args.name}'\n\n"
        f"  pip install -e {folder}\n"
        f"  genhub check {args.name}\n"
    )
    return 0
