"""One process at a time works in a run folder: a lock that dies with its holder."""

from __future__ import annotations

import logging
import os
import platform
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genhub.errors import GenHubError

try:
    import fcntl
except ImportError:  # Windows, where folders cannot be locked
    fcntl = None  # type: ignore[assignment]

__all__ = ["FolderLock", "this_process"]

log = logging.getLogger("genhub")


class FolderLock:
    """A lock on a folder itself, which leaves no file behind and is gone when its holder dies."""

    def __init__(self, folder: Path, holder: Any = None) -> None:
        """Take it; raises GH610, naming `holder`, while another process has it.

        Where the file system has no such locks, that is logged and the run goes on without.
        """
        self.release: Callable[[], object] = lambda: None  # also called when it is not kept
        self.handles: tuple[int, ...] = ()  # a child that inherits them holds the lock as well
        if fcntl is None:
            return
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise _taken(folder, holder) from None
        except OSError as error:
            os.close(handle)
            log.info("%s cannot be locked: %s", folder, error.strerror)
        else:
            self.handles = (handle,)
            self.release = weakref.finalize(self, os.close, handle)


def this_process() -> dict[str, Any]:
    """Say who works in a folder, as the manifest holds it."""
    return {"pid": os.getpid(), "host": platform.node()}


def _taken(folder: Path, holder: Any) -> GenHubError:
    who = "another process"
    if isinstance(holder, dict) and {"pid", "host"} <= set(holder):
        who = f"process {holder['pid']} on {holder['host']}"
    return GenHubError(
        "GH610",
        f"{folder} is being worked in by {who}",
        hint="wait until it has ended, or end it; with --set a new run is begun",
    )
