"""Repair a run's pipeline in variants that are compared with litefocus, too; imports no torch."""

from __future__ import annotations

import logging
from typing import Any

from genhub.api import hookimpl

__all__ = ["genhub_attached"]

log = logging.getLogger("genhub")


@hookimpl
def genhub_attached(pipeline: Any, plan: Any) -> None:
    """Let a baseline, to which no mixer is attached that would do it, run on what is installed."""
    from genhub_litefocus.repair import repair_pipeline

    for told in repair_pipeline(pipeline):
        log.info("repaired %s: %s", type(pipeline).__name__, told)
