"""`genhub schema`: the JSON Schema of the files that `genhub run` reads."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace

from genhub.config import json_schema
from genhub.kinds import KINDS
from genhub.registry import default


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--kind",
        choices=list(KINDS),
        metavar="KIND",
        help="only blocks of this kind: " + ", ".join(KINDS),
    )


def run(args: Namespace) -> int:
    """Print the schema of everything that is installed."""
    sys.stdout.write(json.dumps(json_schema(default(), args.kind), indent=2) + "\n")
    return 0
