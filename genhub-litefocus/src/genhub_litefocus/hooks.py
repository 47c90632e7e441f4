"""Repair a run's pipeline in variants that are compared with litefocus, too; imports no torch."""

from __future__ import annotations

from typing import Any

from genhub.api import hookimpl

__all__ = ["genhub_attached"]


@hookimpl
def genhub_attached(pipeline: Any, attached: Any) -> None:
    """Let a baseline, to which no mixer is attached that would do it, run on what is installed."""
    from genhub_litefocus.repair import repaired

    for told in attached.enter(repaired(pipeline)):
        attached.tell(f"repaired: {told}")
