"""Read a config file and those it extends into one tree; positions remember their file."""

from __future__ import annotations

import os
from difflib import get_close_matches

from genhub.config.messages import shown
from genhub.config.reader import MOST_BYTES, read
from genhub.config.references import substitute
from genhub.config.tree import Node, merge
from genhub.errors import GenHubError, Mark, Problem

__all__ = ["MOST_PROMPTS", "expand", "read_bounded", "read_file", "task_as_block"]

MOST_PROMPTS = 1 << 26  # bytes of a file of prompts
MOST_BASES = 8  # files in a row that extend one another


def read_file(path: str, problems: list[Problem]) -> tuple[Node, str]:
    """Give the merged tree of a file and the file's own text.

    Raises GenHubError where the file cannot be read (GH106) or parsed; what can be told beside
    other problems is added to `problems`.
    """
    text = _text_of(path)
    root, found = read(text, path, os.path.dirname(path) or ".")
    problems += found
    return expand(root, problems, (os.path.realpath(path),)), text


def expand(root: Node, problems: list[Problem], chain: tuple[str, ...] = ()) -> Node:
    """Replace references and lay the tree over those that it extends."""
    if not isinstance(root.value, dict):
        raise GenHubError(
            "GH303",
            f"a config is a map of keys, but this is {shown(root)}",
            hint="begin with 'genhub: 1'",
            mark=root.mark,
        )
    root = task_as_block(substitute(root, problems))
    named = root.map.get("extends")
    if named is None:
        return root
    listed = named.value if isinstance(named.value, list) else [named]
    merged = Node({})
    for base in listed:
        merged = merge(merged, _base(base, problems, chain))
    return merge(merged, root.without("extends"))


def task_as_block(root: Node) -> Node:
    """Write `task: name` as the block it stands for."""
    task = root.map.get("task")
    if task is None or not isinstance(task.value, str):
        return root
    block = Node({"type": task}, task.mark, {"type": task.mark}, folder=task.folder)
    return root.with_("task", block, root.keys.get("task"))


def _base(named: Node, problems: list[Problem], chain: tuple[str, ...]) -> Node:
    if not isinstance(named.value, str) or not named.value:
        raise _trouble(f"extends is the path of a file, not {shown(named)}", named.mark)
    path = os.path.normpath(os.path.join(named.folder, named.value))
    real = os.path.realpath(path) if "\0" not in path else path
    if real in chain:
        raise _trouble(f"'{named.value}' extends itself by way of this file", named.mark)
    if len(chain) > MOST_BASES:
        raise _trouble(f"more than {MOST_BASES} files extend one another", named.mark)
    try:
        text = _text_of(path)
    except GenHubError as error:
        cause = error.problems[0]
        message = f"cannot extend '{named.value}': {cause.message}"
        raise _trouble(message, named.mark, cause.hint) from None
    root, found = read(text, path, os.path.dirname(path) or ".")
    problems += found
    return expand(root, problems, (*chain, real))


def read_bounded(path: str, most: int) -> bytes:
    """Give the first `most` bytes of a file; a pipe that nobody writes to is empty.

    Raises OSError, and ValueError for what is no name of a file.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:  # opening a pipe would wait for a writer, reading does not
        os.set_blocking(handle, True)
        return file.read(most)


def _trouble(message: str, mark: Mark | None, hint: str = "") -> GenHubError:
    return GenHubError("GH108", message, hint=hint, mark=mark)


def _text_of(path: str) -> str:
    try:
        data = read_bounded(path, MOST_BYTES + 4)  # a byte order mark does not count
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) > MOST_BYTES:  # a character cut in two says nothing
            return data.decode("utf-8-sig", "replace")
        line = data[: error.start].count(b"\n") + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise GenHubError(
            "GH101",
            f"the byte 0x{data[error.start]:02x} is not UTF-8",
            hint="save the file as UTF-8",
            mark=Mark(path, line, column),
        ) from None


def _unreadable(path: str, error: Exception) -> GenHubError:
    shown, hint = path.replace("\0", "\\0"), ""
    if isinstance(error, FileNotFoundError):
        message = f"there is no file {shown}"
        folder, name = os.path.split(path)
        if os.path.isdir(folder or "."):
            close = get_close_matches(name, os.listdir(folder or "."), n=1)
            hint = f"did you mean {os.path.join(folder, close[0])}?" if close else ""
    elif isinstance(error, IsADirectoryError):
        message = f"{shown} is a folder, not a config"
    elif isinstance(error, OSError):
        message = f"cannot read {shown}: {(error.strerror or str(error)).lower()}"
    else:
        message = f"{shown} is no name of a file"
    return GenHubError("GH106", message, hint=hint)
