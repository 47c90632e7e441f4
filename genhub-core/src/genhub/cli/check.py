"""`genhub check`: what an installed plugin does that a plugin of its kind must not do."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from dataclasses import asdict
from difflib import get_close_matches
from textwrap import wrap

from genhub.errors import EXIT_RUN_FAILED, GenHubError
from genhub.kinds import KINDS, noun
from genhub.registry import default

WIDTH = 100


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", metavar="NAME", help="name of an installed plugin")
    parser.add_argument(
        "--kind",
        type=lambda word: word.replace("-", "_"),
        choices=list(KINDS),
        metavar="KIND",
        help="where several kinds have the name; one of: " + ", ".join(KINDS),
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(args: Namespace) -> int:
    """Check one plugin; the status is 1 when a check fails, 3 when it cannot be loaded."""
    kind = args.kind or _kind_of(args.name)
    registry = default().get(kind)
    entry = registry.find(args.name)
    registry.load(args.name)
    from genhub.testing.runner import check

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are too small for more
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    outcomes = check(kind, entry.qualified)
    failed = [each for each in outcomes if each.status == "failed"]
    if args.json:
        found = {"plugin": entry.qualified, "kind": kind, "ok": not failed}
        found["checks"] = [asdict(each) for each in outcomes]
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return EXIT_RUN_FAILED if failed else 0
    width = max(len(each.check) for each in outcomes)
    for each in outcomes:
        sys.stdout.write(f"{each.check:<{width}}  {each.status}\n")
        for line in wrap(each.message, WIDTH - 4):
            sys.stdout.write(f"    {line}\n")
    count = Counter(each.status for each in outcomes)
    told = ", ".join(f"{n} {status}" for status, n in sorted(count.items()))
    sys.stdout.write(f"\n{entry}: {told}\n")
    return EXIT_RUN_FAILED if failed else 0


def _kind_of(name: str) -> str:
    """Find the one kind that has a plugin of this name."""
    found = []
    absent: GenHubError | None = None
    for registry in default():
        try:
            registry.find(name)
        except GenHubError as error:
            if error.code not in ("GH201", "GH202"):
                raise
            absent = error if error.code == "GH202" else absent
        else:
            found.append(registry.kind)
    if len(found) == 1:
        return found[0]
    if found:
        raise GenHubError(
            "GH201",
            f"'{name}' is the name of {' and of '.join(f'a {noun(kind)}' for kind in found)}",
            hint=" or ".join(f"--kind {kind}" for kind in found),
        )
    raise absent or GenHubError("GH201", f"no plugin is called '{name}'", hint=_meant(name))


def _meant(name: str) -> str:
    """Say what may have been meant: kernels of an operation, or a name that is close."""
    known = [name for registry in default() for name in registry.names()]
    kernels = [each for each in known if each.startswith(name.replace("-", "_") + ".")]
    if kernels:
        return f"'{name}' is an operation; its kernels are {', '.join(kernels)}"
    close = get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else "`genhub plugins` lists what is installed"
