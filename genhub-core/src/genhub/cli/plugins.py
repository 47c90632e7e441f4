"""`genhub plugins`: what the installed packages offer, from their metadata alone."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from genhub.errors import EXIT_PLUGIN_TROUBLE, GenHubError
from genhub.kinds import KINDS
from genhub.registry import Entry, Registry, default
from genhub.streams import aligned, printable

COLUMNS = ("kind", "name", "dist", "version", "status")


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "kind",
        nargs="?",
        type=lambda word: word.replace("-", "_"),
        choices=list(KINDS),
        metavar="KIND",
        help="one of: " + ", ".join(KINDS),
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument(
        "--check", action="store_true", help="import every plugin and tell which are broken"
    )


def run(args: Namespace) -> int:
    """List the plugins; with `--check` the status is 3 when one cannot be used."""
    rows = [
        _row(registry, entry, args.check)
        for registry in default()
        if args.kind in (None, registry.kind)
        for entry in registry.entries()
    ]
    if args.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        sys.stdout.write(printable(_table(rows) if rows else "no plugins are installed\n"))
    troubled = any(row["status"] in ("broken", "duplicate") for row in rows)
    return EXIT_PLUGIN_TROUBLE if args.check and troubled else 0


def _row(registry: Registry, entry: Entry, check: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "kind": entry.kind,
        "name": entry.name,
        "dist": entry.dist,
        "version": entry.version,
        "entry_point": entry.value,
        "status": entry.status,
    }
    if not check:
        return row
    row.update(summary="", problem=None)
    if entry.status == "disabled":
        return row
    from genhub.doctor.packages import use

    try:
        row["summary"] = str(getattr(use(registry, entry), "summary", ""))
    except GenHubError as error:
        row.update(status="broken", problem=error.problems[0].message)
    return row


def _table(rows: list[dict[str, Any]]) -> str:
    """Align the columns; what `--check` found out follows in a line of its own."""
    cells = [
        ["KIND", "NAME", "PACKAGE", "VERSION", "STATUS"],
        *([str(r[c]) for c in COLUMNS] for r in rows),
    ]
    head, *lines = aligned(cells)
    shown = [head]
    for row, line in zip(rows, lines, strict=True):
        shown.append(line)
        if note := row.get("problem") or row.get("summary"):
            shown.append(f"    {note}")
    return "\n".join(shown) + "\n"
