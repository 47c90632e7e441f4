"""`genhub show`: how a run or one of its files was made, read from what it carries."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genhub.config.resolved import as_written
from genhub.execution.artifacts import read_embedded
from genhub.execution.folder import made_sense_of, read_manifest
from genhub.execution.progress import figures_table
from genhub.streams import printable


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("what", metavar="RUN|FILE", help="folder of a run, or a file that one made")
    parser.add_argument("--json", action="store_true", help="print all that is recorded as JSON")


def run(args: Namespace) -> int:
    """Print the summary of a run, or the config inside a file, which can be run as it is."""
    path = Path(args.what)
    recorded = read_manifest(path) if path.is_dir() else read_embedded(path)
    if args.json:
        text = json.dumps(recorded, indent=2)
    elif path.is_dir():
        with made_sense_of(path):
            text = "\n".join(_summary(path, recorded))
    else:
        text = _artifact(path, recorded)
    sys.stdout.write(printable(text.rstrip("\n") + "\n"))
    return 0


def _artifact(path: Path, payload: Mapping[str, Any]) -> str:
    """Give the config as YAML, with where it came from as a comment."""
    known = [key for key in ("run", "variant", "sample", "seed") if key in payload]
    origin = ", ".join(f"{key} {payload[key]}" for key in known)
    return f"# {path.name}: {origin}\n{as_written(payload['config'])}"


def _summary(path: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    yield f"{path}: {manifest.get('status', 'unknown')}"
    for label, value in _facts(path, manifest):
        yield f"  {label:<11}{value}"
    for problem in manifest.get("error") or ():
        yield f"error[{problem['code']}] {problem['message']}"
    for problem in manifest.get("problems") or ():
        yield f"warning: {problem}"
    table = figures_table(
        manifest.get("variants") or {}, manifest.get("metrics") or {}, manifest.get("timing")
    )
    yield from ["", *table] if table else []


def _facts(path: Path, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the rows that this run has something to say in."""
    for key in ("task", "command", "started", "ended", "device", "seed"):
        if manifest.get(key) is not None:
            yield key, str(manifest[key])
    if model := manifest.get("model"):
        revision = f" at {model['revision']}" if model.get("revision") else ""
        yield "model", f"{model.get('source')}{revision} ({model.get('pipeline')})"
    for plugin in manifest.get("plugins") or ():
        yield "plugin", f"{plugin['name']} of {plugin['dist']} {plugin['version']}"
    if artifacts := manifest.get("artifacts"):
        yield "artifacts", f"{len(artifacts)} in {path / 'artifacts'}"
    if manifest.get("report"):
        yield "report", str(path / manifest["report"])
