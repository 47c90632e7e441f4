"""What `genhub run` is pointed at: a config, an earlier run, or a picture that a run made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from genhub.api import GenHubError
from genhub.config import Loaded, load
from genhub.execution.artifacts import read_embedded
from genhub.execution.checkpoint import FileCheckpoint
from genhub.execution.folder import MANIFEST, read_manifest
from genhub.registry import Registries

__all__ = ["RESOLVED", "Target", "find_target"]

RESOLVED = "resolved.yaml"
TRIALS = "trials.jsonl"  # of a search
Overrides = Mapping[str, Any] | Sequence[str]


@dataclass(frozen=True)
class Target:
    """A config to run, and the folder to go on in where a run was cut short."""

    loaded: Loaded
    unfinished: Path | None = None
    repeats: str | None = None  # the run or picture that this one repeats
    needs_pipeline: bool = False  # it was made with a pipeline given in Python


def find_target(
    config: str | PathLike[str] | Mapping[str, Any],
    set: Overrides,
    registries: Registries,
) -> Target:
    """Read a YAML file or a map, the config of a run folder, or the one inside a picture.

    A folder whose run left a checkpoint, or trials of a search, and did not end well is gone on
    with; with overrides it would be another run, so it begins anew. Raises GH608 for a folder or
    picture of another kind.
    """
    if isinstance(config, Mapping):
        return Target(load(config, set=set, registries=registries))
    path = Path(config)
    if path.is_dir():
        return _of_folder(path, set, registries)
    if path.suffix.lower() == ".png":
        return _of_picture(path, set, registries)
    return Target(load(path, set=set, registries=registries))


def _of_folder(path: Path, set: Overrides, registries: Registries) -> Target:
    manifest = read_manifest(path)
    if not (path / RESOLVED).is_file():
        raise GenHubError(
            "GH608",
            f"{path} cannot be repeated: it holds {MANIFEST} but no {RESOLVED}",
            hint="the run ended before its config was written",
        )
    loaded = load(path / RESOLVED, set=set, registries=registries)
    left = FileCheckpoint(path).path.exists() or (path / TRIALS).exists()
    cut_short = manifest.get("status") != "done" and left
    given = bool(manifest.get("pipeline_given"))
    return Target(loaded, path if cut_short and not set else None, path.name, given)


def _of_picture(path: Path, set: Overrides, registries: Registries) -> Target:
    payload = read_embedded(path)
    loaded = load(payload["config"], set=set, registries=registries)
    return Target(loaded, None, path.name, bool(payload.get("pipeline_given")))
