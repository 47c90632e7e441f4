"""What reaches the terminal: texts of others without control sequences, and only in its place."""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress

__all__ = ["aligned", "others_on_stderr", "printable"]

# What moves the cursor, colours, or turns the direction of a line: C0 and C1, delete, overrides.
_COMMANDS = {*range(32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_ESCAPES = {c: f"\\x{c:02x}" if c < 256 else f"\\u{c:04x}" for c in _COMMANDS - {9, 10}}


def printable(text: str) -> str:
    r"""Write the characters that a terminal would obey as escapes; line breaks and tabs stay.

    >>> printable("\x1b[31mred")
    '\\x1b[31mred'
    """
    return text.translate(_ESCAPES)


@contextmanager
def others_on_stderr(*, by_any_means: bool = False) -> Iterator[None]:
    """Send what plugins print to stderr, so that stdout holds results alone.

    `by_any_means` also catches children and libraries that write past `sys.stdout`.
    """
    with ExitStack() as stack:
        if by_any_means:
            with suppress(OSError, ValueError):  # a stream that is closed, or no file
                sys.stdout.flush()
                kept = os.dup(1)
                stack.callback(os.close, kept)
                os.dup2(2, 1)
                stack.callback(os.dup2, kept, 1)
        stack.enter_context(redirect_stdout(sys.stderr))
        yield


def aligned(rows: Sequence[Sequence[object]], right: Container[int] = ()) -> list[str]:
    """Pad columns to equal width; those whose numbers are in `right` stand at its right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
