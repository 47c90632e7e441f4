"""Turn whatever ends a run into one sentence: what happened, to whom, and what to do."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from traceback import walk_tb
from typing import Any

from genhub.errors import GenHubError

__all__ = ["explain", "is_disk_full", "refused", "sentence"]

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Libraries written in Rust or C++ put the number of the system's error into their text.
_NO_SPACE_TEXT = re.compile(r"os error (28|122|27)\b|No space left on device")
_NO_MEMORY_TEXT = re.compile(r"out of memory|can't allocate memory|not enough memory", re.I)

OUT_OF_MEMORY_HINT = """make the run smaller, for example one of
    sampling: {batch: 1}
    sampling: {height: 512, width: 512}
    model: {dtype: fp16}  (on a GPU)"""


def explain(error: BaseException, *, during: str, drivers: Iterable[Any] = ()) -> GenHubError:
    """Give the error that a user is shown for `error`, which ended the phase `during`.

    `drivers` are the plugins in use (`genhub.config.Used`): the innermost frame of the traceback
    that lies in one of their packages says whose fault it is.
    """
    if isinstance(error, GenHubError):
        cause = error.__cause__  # a driver may have met the end of the disk or of the memory
        if error.code != "GH606" or cause is None:
            return error
        known = explain(cause, during=during, drivers=drivers)
        return error if known.code == "GH606" else known
    if isinstance(error, KeyboardInterrupt):
        return GenHubError(
            "GH603", f"interrupted during {during}", hint="what was finished by then is kept"
        )
    if is_disk_full(error):
        return GenHubError(
            "GH602",
            f"no space is left to write to during {during}: {sentence(error)}",
            hint="free some space, or write elsewhere: output: {dir: /another/disk}",
        )
    if _is_out_of_memory(error):
        return GenHubError(
            "GH605", f"out of memory during {during}: {sentence(error)}", hint=OUT_OF_MEMORY_HINT
        )
    who = _culprit(error, drivers)
    return GenHubError(
        "GH606",
        f"{who} failed during {during}: {type(error).__name__}: {sentence(error)}",
        hint="log.txt in the run folder has the traceback",
    )


def refused(folder: object, error: OSError) -> GenHubError:
    """Give the error for a run folder that cannot be made."""
    if is_disk_full(error):
        return explain(error, during="preparing the run folder")
    reason = error.strerror or str(error)
    return GenHubError(
        "GH601",
        f"the run folder cannot be made at {folder}: {reason.lower()}",
        hint="choose a folder that can be written to: output: {dir: ...}",
    )


def is_disk_full(error: BaseException) -> bool:
    """Say whether a lack of space (or quota, or a limit on file sizes) lies behind `error`."""
    return any(
        (isinstance(e, OSError) and e.errno in _NO_SPACE)
        or (not isinstance(e, GenHubError) and _NO_SPACE_TEXT.search(str(e)) is not None)
        for e in _chain(error)
    )


def sentence(error: BaseException, limit: int = 300) -> str:
    """Give the first paragraph of an exception's text on one line."""
    text = " ".join(str(error).strip().split("\n\n")[0].split())
    text = text or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _is_out_of_memory(error: BaseException) -> bool:
    # torch.OutOfMemoryError and what the CPU allocator raises are both RuntimeErrors.
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _NO_MEMORY_TEXT.search(str(error)) is not None
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _culprit(error: BaseException, drivers: Iterable[Any]) -> str:
    from genhub.config.faults import culprit

    used = culprit(tuple(drivers), error)
    if used is not None:
        return f"'{used.name}' of {f'{used.entry.dist} {used.entry.version}'.strip()}"
    modules = (frame.f_globals.get("__name__") for frame, _ in walk_tb(error.__traceback__))
    return "the pipeline" if any("diffusers.pipelines" in str(m) for m in modules) else "the run"
