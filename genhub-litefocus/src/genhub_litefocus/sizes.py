"""Numbers in words: bytes, FLOP, and tables of text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["bytes_in_words", "flop_in_words", "table"]


def bytes_in_words(count: float) -> str:
    """Write bytes with a binary prefix.

    >>> bytes_in_words(1536), bytes_in_words(3 * 2**30)
    ('1.5 KiB', '3.0 GiB')
    """
    for prefix in ("", "Ki", "Mi", "Gi"):
        if count < 1024:
            return f"{count:.1f} {prefix}B" if prefix else f"{count:.0f} B"
        count /= 1024
    return f"{count:.1f} TiB"


def flop_in_words(count: float) -> str:
    """Write FLOP with a prefix.

    >>> flop_in_words(1626e9)
    '1626 GFLOP'
    """
    for prefix in ("", "k", "M"):
        if count < 1000:
            return f"{count:.3g} {prefix}FLOP"
        count /= 1000
    return f"{count:.0f} GFLOP" if count >= 100 else f"{count:.3g} GFLOP"


def table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Align columns: the first `left` to the left, figures to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
