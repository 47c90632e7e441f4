"""`genhub show`: how a run or a picture was made, read from what it carries."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from genhub.execution.artifacts import read_embedded
from genhub.execution.folder import read_manifest
from genhub.execution.show import describe


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("what", metavar="RUN|PICTURE", help="folder of a run, or a picture of one")
    parser.add_argument("--json", action="store_true", help="print all that is recorded as JSON")


def run(args: Namespace) -> int:
    """Print it."""
    if args.json:
        path = Path(args.what)
        recorded = read_manifest(path) if path.is_dir() else read_embedded(path)
        text = json.dumps(recorded, indent=2, ensure_ascii=False)
    else:
        text = describe(args.what)
    sys.stdout.write(text.rstrip("\n") + "\n")
    return 0
