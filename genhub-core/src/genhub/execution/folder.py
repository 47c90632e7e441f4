"""The folder of one run: who made what, how, and how it ended, true at every moment.

manifest.json is written first, with status `running`, and replaced as a whole at every change: a
run that is killed leaves a manifest that can be read.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from genhub.api import Artifact, Sample
from genhub.config.files import read_bounded
from genhub.errors import GenHubError
from genhub.execution.faults import is_disk_full, refused, sentence
from genhub.execution.lock import FolderLock, this_process

__all__ = ["MANIFEST", "RunFolder", "made_sense_of", "read_manifest", "replace_file"]

MANIFEST = "manifest.json"
SCHEMA = 1
_RESERVE = ".reserve"
_RESERVED_BYTES = 256 * 1024

MOST_MANIFEST = 1 << 28  # bytes
_FORM = {
    "artifacts": list, "problems": list, "error": list, "sections": list, "plugins": list,
    "variants": dict, "metrics": dict, "phases": dict, "model": dict,
}  # fmt: skip
_OF_ARTIFACT = {field.name for field in fields(Artifact)}
_OF_SAMPLE = {field.name for field in fields(Sample)}

Redact = Callable[[str], str]


class RunFolder:
    """A run's files and its manifest.

    `manifest` is what manifest.json holds; `note` changes both. Texts in it pass through `redact`.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], redact: Redact = str) -> None:
        self.path = path
        self.logs = path  # folder of log.txt
        self.manifest = manifest
        self.kept = manifest.get("artifacts")  # of the run that is gone on with; None: it is new
        self._redact = redact
        self._lock: FolderLock | None = None

    @classmethod
    def create(
        cls,
        parent: Path,
        name: str,
        digest: str,
        redact: Redact = str,
        files: Mapping[str, str] | None = None,
    ) -> RunFolder:
        """Make a new folder `name-YYYYmmdd-HHMMSS-hash6` below `parent` that holds `files`.

        It appears under its name with all of that and a manifest in it, or not at all.
        Raises GH601 where that is refused and GH602 where no space is left.
        """
        now = datetime.now(UTC)
        stem = f"{_plain(name)}-{now.astimezone():%Y%m%d-%H%M%S}-{digest[:6]}"
        making = parent / f".{stem}-{secrets.token_hex(4)}.part"
        folder = cls(making, {"genhub": SCHEMA, "name": name, "config_sha256": digest}, redact)
        try:
            (making / "artifacts").mkdir(parents=True)
            for file, text in (files or {}).items():
                replace_file(making / file, text.encode())
            folder._begin(now)
            folder._appear(parent, stem)
        except OSError as error:
            folder.close()
            raise refused(parent / stem, error) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)
        _point_latest(parent, folder.path)
        return folder

    @classmethod
    def reopen(cls, path: Path, redact: Redact = str) -> RunFolder:
        """Go on in a folder that an unfinished run left.

        Raises GH610 while another process works in it.
        """
        _refuse_links(path)
        lock = FolderLock(path, read_manifest(path).get("process"))
        folder = cls(path, read_manifest(path), redact)  # anew: its holder may just have ended
        folder._lock = lock
        for stale in ("ended", "error", "report", "sections"):
            folder.manifest.pop(stale, None)
        try:
            for half in (*path.glob(".*.part"), *path.glob("artifacts/.*.part")):
                half.unlink(missing_ok=True)
            folder._begin(datetime.now(UTC))
        except OSError as error:
            folder.close()
            raise refused(path, error) from error
        return folder

    def _appear(self, parent: Path, stem: str) -> None:
        """Take the first name that is free; several runs may begin in one second."""
        for attempt in range(1, 1000):
            path = parent / (stem if attempt == 1 else f"{stem}-{attempt}")
            self.note(run=path.name)
            try:
                self.path = self.path.rename(path)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
            else:
                self.logs = self.path
                return
        raise FileExistsError(f"{parent / stem} exists a thousand times")

    @property
    def handles(self) -> tuple[int, ...]:
        """Give what a child inherits to keep other processes out for as long as it lives."""
        return () if self._lock is None else self._lock.handles

    def close(self) -> None:
        """Give the reserve back and let other processes work here."""
        self._give_reserve_back()
        if self._lock is not None:
            self._lock.release()

    def seen_by(self, rank: int) -> RunFolder:
        """Give the same folder for a rank other than 0: it writes its own log and nothing else."""
        seen = _Seen(self.path, dict(self.manifest), self._redact)
        seen.logs = self.path / "logs" / f"rank{rank}"
        seen.logs.mkdir(parents=True, exist_ok=True)
        return seen

    def _begin(self, now: datetime) -> None:
        self._lock = self._lock or FolderLock(self.path)
        # Space that is given back when the disk is full, so that the manifest can say so.
        (self.path / _RESERVE).write_bytes(b"\0" * _RESERVED_BYTES)
        self.note(status="running", started=_stamp(now), process=this_process(), problems=[])

    def note(self, **changes: Any) -> None:
        """Change entries of the manifest, in memory and on disk."""
        self.manifest.update(_each_text(changes, self._redact))
        text = json.dumps(self.manifest, indent=2, ensure_ascii=False, default=str)
        replace_file(self.path / MANIFEST, text.encode() + b"\n")

    def finish(self, status: str, **changes: Any) -> None:
        """Note how the run ended; on a full disk the reserve makes room for it."""
        changes |= {"status": status, "ended": _stamp(datetime.now(UTC))}
        try:
            self.note(**changes)
        except OSError as error:
            if not is_disk_full(error):
                raise
            self._give_reserve_back()
            self.note(**changes)

    def append(self, name: str, line: str) -> None:
        """Add one line to a file."""
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _give_reserve_back(self) -> None:
        with suppress(OSError):
            (self.path / _RESERVE).unlink(missing_ok=True)


class _Seen(RunFolder):
    """A folder whose files another rank writes; notes stay in memory."""

    def note(self, **changes: Any) -> None:
        self.manifest.update(changes)

    def append(self, name: str, line: str) -> None:
        """Leave it to rank 0."""

    def close(self) -> None:
        """Leave it to rank 0."""


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of a run folder; raises GH608 where there is none that can be read."""
    try:
        manifest = json.loads(read_bounded(str(path / MANIFEST), MOST_MANIFEST))
    except (FileNotFoundError, NotADirectoryError):
        raise GenHubError(
            "GH608", f"{path} is no run folder: it has no {MANIFEST}", hint="give a folder of runs/"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise GenHubError("GH608", f"{path / MANIFEST} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("genhub") != SCHEMA:
        raise GenHubError("GH608", f"{path / MANIFEST} is no manifest of this version of GenHub")
    wrong = [key for key, kind in _FORM.items() if not isinstance(manifest.get(key), kind | None)]
    if wrong or not all(map(_is_artifact, manifest.get("artifacts") or ())):
        what = wrong[0] if wrong else "artifacts"
        raise GenHubError("GH608", f"{path / MANIFEST} is damaged: its '{what}' make no sense")
    return manifest


@contextmanager
def made_sense_of(*folders: Path) -> Iterator[None]:
    """Raise GH608 where the block can make nothing of what a manifest holds."""
    try:
        yield
    except (GenHubError, OSError, MemoryError):
        raise
    except Exception as error:
        which = " or ".join(str(folder / MANIFEST) for folder in folders)
        said = f"{which} is damaged, its entries make no sense: {sentence(error)}"
        raise GenHubError("GH608", said) from error


def _is_artifact(entry: Any) -> bool:
    """Say whether an entry of the manifest is one that a run has written."""
    texts = ("path", "kind", "sha256")
    return (
        isinstance(entry, dict)
        and all(isinstance(entry.get(key), str) for key in texts)
        and isinstance(entry.get("info", {}), dict)
        and isinstance(entry.get("sample"), dict)
        and {"index", "seed"} <= set(entry["sample"]) <= _OF_SAMPLE
        and set(entry) <= _OF_ARTIFACT
    )


def replace_file(path: Path, content: bytes) -> str:
    """Write a file so that its name holds the old or the new content, never a part.

    Gives the sha256 of the content. Leaves nothing behind when it fails.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return sha256(content).hexdigest()


def _refuse_links(folder: Path) -> None:
    """Raise GH608 where writing into a folder would write elsewhere."""
    for path in (*folder.iterdir(), *folder.glob("artifacts/*")):
        if path.is_symlink():
            raise GenHubError(
                "GH608",
                f"{folder} cannot be gone on with: {path.name} in it is a link to somewhere else",
                hint="no run makes links in its folder; delete it, or begin anew from config.yaml",
            )


def _each_text(value: Any, change: Redact) -> Any:
    """Give the same data with every text changed, keys aside."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _each_text(held, change) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_each_text(held, change) for held in value]
    return value


def _point_latest(parent: Path, path: Path) -> None:
    """Make `latest` point to this run, where the file system has links."""
    temporary = parent / f".latest-{path.name}"
    try:
        temporary.symlink_to(path.name, target_is_directory=True)
        os.replace(temporary, parent / "latest")
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _plain(name: str) -> str:
    """Reduce a name to what every file system takes, inside one folder."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-")[:48] or "run"


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
