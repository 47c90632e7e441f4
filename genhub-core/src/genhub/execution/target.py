"""What `genhub run` is pointed at: a config, an earlier run, or a file that a run made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

from genhub.api import GenHubError
from genhub.config import Loaded, load
from genhub.execution.artifacts import SUFFIXES, read_embedded
from genhub.execution.folder import MANIFEST, read_manifest
from genhub.registry import Registries

__all__ = ["RESOLVED", "Target", "find_target"]

RESOLVED = "resolved.yaml"
Overrides = Mapping[str, Any] | Sequence[str]


@dataclass(frozen=True)
class Target:
    """A config to run, and the folder to go on in where a run was cut short."""

    loaded: Loaded
    unfinished: Path | None = None
    repeats: str | None = None  # the run or file that this one repeats
    needs_pipeline: bool = False  # it was made with a pipeline given in Python


def find_target(
    config: str | PathLike[str] | Mapping[str, Any],
    set: Overrides,
    registries: Registries,
) -> Target:
    """Read a YAML file or a map, the config of a run folder, or the one in a file of results.

    A folder whose run did not end well is gone on with; with overrides of more than `launch`, or
    where its config was changed, it would be another run, so it begins anew. Raises GH608 for a
    folder or file of another kind.
    """
    if isinstance(config, Mapping):
        return Target(load(config, set=set, registries=registries))
    path = Path(config)
    if path.is_dir():
        return _of_folder(path, set, registries)
    if path.suffix.lower() in SUFFIXES:
        return _of_artifact(path, set, registries)
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
    # The report is noted last: without it the run was killed between its results and its end.
    whole = manifest.get("status") == "done" and "report" in manifest
    digest = sha256((path / RESOLVED).read_bytes()).hexdigest()
    goes_on = not whole and not _changes(set) and manifest.get("config_sha256") == digest
    given = bool(manifest.get("pipeline_given"))
    return Target(loaded, path if goes_on else None, path.name, given)


def _changes(set: Overrides) -> bool:
    """Say whether overrides change what is made, and not only where it is computed."""
    keys = set if isinstance(set, Mapping) else (entry.partition("=")[0] for entry in set)
    return any(key.strip().partition(".")[0] != "launch" for key in keys)


def _of_artifact(path: Path, set: Overrides, registries: Registries) -> Target:
    payload = read_embedded(path)
    loaded = load(payload["config"], set=set, registries=registries)
    return Target(loaded, None, path.name, bool(payload.get("pipeline_given")))
