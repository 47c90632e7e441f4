"""Tell in words how a run or a picture came about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from genhub.config.resolved import as_written
from genhub.execution.artifacts import read_embedded
from genhub.execution.folder import read_manifest
from genhub.execution.progress import figures_table

__all__ = ["describe"]


def describe(path: str | PathLike[str]) -> str:
    """Describe a run folder, or give the config inside a picture as YAML that can be run.

    Raises GH608 for anything else. Reads no model and imports no torch.
    """
    given = Path(path)
    return "\n".join(_of_run(given) if given.is_dir() else _of_picture(given))


def _of_run(folder: Path) -> Iterator[str]:
    manifest = read_manifest(folder)
    yield f"{folder}: {manifest['status']}"
    rows = {key: manifest.get(key) for key in ("task", "started", "ended", "command", "device")}
    rows |= {
        "model": manifest.get("model", {}).get("source"),
        "seed": manifest.get("seed"),
        "plugins": ", ".join(
            f"{p['name']} ({p['dist']} {p['version']})" for p in manifest.get("plugins", [])
        ),
        "artifacts": len(manifest.get("artifacts", [])),
        "report": folder / manifest["report"] if manifest.get("report") else None,
    }
    yield from (f"  {name:<10}{value}" for name, value in rows.items() if value not in (None, ""))
    for problem in manifest.get("error") or []:
        yield f"error[{problem['code']}] {problem['message']}"
    yield from (f"warning: {problem}" for problem in manifest.get("problems", []))
    table = figures_table(manifest.get("variants", {}), manifest.get("metrics", {}))
    yield from ["", *table] if table else []


def _of_picture(path: Path) -> Iterator[str]:
    payload: Mapping[str, Any] = read_embedded(path)
    yield f"# {path.name}: variant {payload.get('variant')}, sample {payload.get('sample')}"
    yield as_written(payload["config"]).rstrip()
