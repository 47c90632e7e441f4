"""`genhub validate`: every check that needs neither torch nor a model."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from genhub.config import load
from genhub.errors import GenHubError
from genhub.execution.checks import check_config
from genhub.kinds import noun
from genhub.registry import default
from genhub.streams import others_on_stderr, printable


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="YAML file of a run")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a field"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: Namespace) -> int:
    """Check all files, tell what is wrong in each, and give the gravest status."""
    findings, status = [], 0
    for file in args.files:
        finding: dict[str, Any] = {"file": file, "ok": True, "drivers": [], "problems": []}
        findings.append(finding)
        try:
            with others_on_stderr():
                loaded = load(file, set=args.set)
                check_config(loaded, default())
        except GenHubError as error:
            finding.update(ok=False, problems=[problem.to_json() for problem in error.problems])
            status = max(status, error.exit_code)
            if not args.json:
                sys.stderr.write(f"{error}\n\n")
            continue
        finding["drivers"] = [
            {"kind": used.kind, "name": used.name, "dist": used.entry.dist}
            for used in loaded.drivers
        ]
        if not args.json:
            drivers = ", ".join(f"{noun(used.kind)} {used.name}" for used in loaded.drivers)
            sys.stdout.write(printable(f"{file}: valid ({drivers})\n"))
    if args.json:
        sys.stdout.write(json.dumps(findings, indent=2) + "\n")
    return status
