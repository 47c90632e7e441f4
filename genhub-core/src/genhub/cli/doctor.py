"""`genhub doctor`: look this installation over; the status is 3 when anything is broken."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from genhub.doctor import examine
from genhub.errors import EXIT_PLUGIN_TROUBLE
from genhub.registry import default


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--verify", action="store_true", help="compare kernels with their references and time them"
    )
    parser.add_argument("--json", action="store_true", help="print all findings as JSON")


def run(args: Namespace) -> int:
    """Print what was found, problems last."""
    found = examine(default(), verify=args.verify)
    if args.json:
        sys.stdout.write(json.dumps({"ok": not found["problems"], **found}, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(found)) + "\n")
    return EXIT_PLUGIN_TROUBLE if found["problems"] else 0


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"GenHub {found['genhub']}, Python {found['python']}, {found['system']}"
    there = [f"{name} {version}" for name, version in found["libraries"].items() if version]
    yield from _wrapped("libraries", there)
    yield from _wrapped("devices", list(_devices(found["torch"], found["cores"])))
    yield from _wrapped("plugins", _plugins(found["plugins"]))
    yield from _kernels(found["kernels"])
    yield from ("", *(f"note: {note}" for note in found["notes"])) if found["notes"] else ()
    for problem in found["problems"]:
        yield f"\nerror[{problem['code']}] {problem['message']}"
        if problem["hint"]:
            yield f"  {problem['hint']}"
    count = len(found["problems"])
    yield f"\n{count} broken" if count else "\nnothing is broken"


def _devices(torch: Mapping[str, Any], cores: int) -> Iterator[str]:
    threads = f", torch uses {torch['threads']}" if "threads" in torch else ""
    yield f"cpu ({cores} cores{threads})"
    for index, gpu in enumerate(torch.get("gpus", ())):
        yield f"cuda:{index} ({gpu['name']}, {gpu['memory_bytes'] / 2**30:.0f} GiB)"
    if torch.get("mps"):
        yield "mps"


def _plugins(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Count the plugins of each package, by what can be done with them."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        of = counts.setdefault(f"{row['dist']} {row['version']}".strip(), {})
        of[row["status"]] = of.get(row["status"], 0) + 1
    return [
        f"{dist} ({', '.join(f'{n} {status}' for status, n in sorted(of.items()))})"
        for dist, of in counts.items()
    ]


def _kernels(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for op in dict.fromkeys(row["op"] for row in rows):
        yield f"kernels    {op}"
        of_op = [row for row in rows if row["op"] == op]
        width = max(len(row["impl"]) for row in of_op)
        for row in of_op:
            yield f"             {row['impl']:<{width}}  {'; '.join(_standing(row))}"
            if row.get("ratio") is not None:
                yield f"             {'':<{width}}  {'; '.join(_trial(row))}"


def _standing(row: Mapping[str, Any]) -> Iterator[str]:
    if "priority" in row:
        yield "reference" if row["reference"] else f"priority {row['priority']}"
    if row["chosen"]:
        yield "chosen here"
    elif row["reason"]:
        yield f"not used: {row['reason']}"


def _trial(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"{row['ms']:.3g} ms on {row['on']}"
    if not row["reference"]:
        yield f"{row['ratio']:.2f} times the reference's speed"
        yield f"{row['cases']} cases, off by {row['worst']:.0%} of what is allowed"


def _wrapped(label: str, words: Sequence[str]) -> Iterator[str]:
    """Give a label and its list, broken into lines that fit a terminal."""
    line = f"{label:<10}"
    for index, word in enumerate(words):
        text = word if index == len(words) - 1 else f"{word},"
        if len(line) + 1 + len(text) > 79 and line.strip() not in ("", label):
            yield line
            line = " " * 10
        line = f"{line} {text}"
    yield line.rstrip()
