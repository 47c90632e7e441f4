"""Texts that users read or code relies on, compared with files that someone has reviewed."""

from __future__ import annotations

import os
from difflib import unified_diff
from pathlib import Path

UPDATE = os.environ.get("GENHUB_UPDATE", "0") not in ("", "0")


def compare(text: str, path: Path) -> None:
    """Hold a text against a reviewed file; with GENHUB_UPDATE=1, write the file instead."""
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    reviewed = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = unified_diff(
        reviewed.splitlines(), text.splitlines(), f"reviewed {path.name}", "now", lineterm="", n=2
    )
    changes = "\n".join(lines)
    assert not changes, (
        f"{changes}\n\nRead the difference as a user would. Where the new text is what you want, "
        f"run this test again with GENHUB_UPDATE=1 and commit {path.name} with your change."
    )


def sections(texts: dict[str, str]) -> str:
    """Write texts one below the other, each under its name."""
    return "\n".join(f"=== {name}\n{text.rstrip()}\n" for name, text in texts.items())
