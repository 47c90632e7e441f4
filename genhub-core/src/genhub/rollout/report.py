"""The hook `rollout`: the sections of a rollout in the report."""

from __future__ import annotations

from typing import Any

from genhub.api import Section, hookimpl

__all__ = ["genhub_report"]


@hookimpl
def genhub_report(run: Any) -> list[Section] | None:
    """Give the returns by context as a table, and the first picture of every context."""
    rollout = run.manifest.get("rollout")
    if rollout is None:
        return None
    table = rollout["table"]
    text = (
        f"{rollout['episodes']} episodes ended. Returns are means with their standard errors; a row "
        "holds the episodes of one context."
        if rollout["episodes"]
        else "No episode ended: more steps would let some."
    )
    sections = [Section("Returns", text, (table["header"], table["rows"]), order=5)]
    pictures = run.manifest.get("rollout_pictures") or ()
    if pictures:
        shown = tuple((path, label) for path, label in pictures)
        sections.append(Section("Contexts", "The first frame of each.", pictures=shown, order=6))
    return sections
