"""`genhub run`: make what a file describes, or repeat a run or one of its files."""

from __future__ import annotations

import json
import signal
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import Any

from genhub.config import to_yaml
from genhub.execution.load import require_libraries
from genhub.execution.order import Order
from genhub.execution.start import begin
from genhub.launch.world import place_here
from genhub.registry import default
from genhub.streams import others_on_stderr


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "what", metavar="FILE", help="YAML file, the folder of an earlier run, or a file it made"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a field, such as sampling.steps=10; may be given several times",
    )
    parser.add_argument("--output", metavar="DIR", help="folder to make the run's folder in")
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything, print the full config and stop"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(args: Namespace) -> int:
    """Run it; the hook `progress` tells where the results are."""
    order = Order(args.what, args.set, None, args.quiet or args.json, args.output, default())
    place = place_here()
    if place is None or args.dry_run:
        # A wrong config and a missing library are told before seconds go into importing torch;
        # of several ranks one shall tell them, and for that they must have met.
        with others_on_stderr():
            config = order.found.loaded.config
        if args.dry_run:
            as_json = json.dumps(config.model_dump(mode="json"), indent=2) + "\n"
            sys.stdout.write(as_json if args.json else to_yaml(config))
            return 0
    require_libraries()

    stdout = others_on_stderr(by_any_means=True) if args.json else nullcontext()
    with stdout, _sigterm_interrupts():
        result = begin(order)
    if args.json and (place is None or place.rank == 0):
        sys.stdout.write(json.dumps(_results(result), indent=2) + "\n")
    return 0


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM, which schedulers of jobs send, end a run as Ctrl-C does."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _results(result: Any) -> dict[str, Any]:
    return {
        "ok": True,
        "status": result.status,
        "folder": str(result.folder),
        "report": str(result.report) if result.report else None,
        "metrics": result.metrics,
        "timing": result.timing,
        "artifacts": [asdict(artifact) for artifact in result.artifacts],
        "problems": list(result.problems),
    }
