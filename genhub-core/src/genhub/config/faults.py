"""Say whose fault it is when the code of a plugin fails while a config is checked."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from genhub.config.names import Used
from genhub.errors import Problem
from genhub.kinds import noun

__all__ = ["culprit", "of_fault"]


def of_fault(used: Used, error: BaseException) -> Problem:
    """Put into words that a driver cannot work with its block."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return Problem(
        "GH203",
        f"the {noun(used.kind)} '{used.name}' fails with this block: {text[:300]}",
        f"this is a fault of {used.entry.dist}, or of the block's values",
    )


def culprit(drivers: Sequence[Used], error: BaseException) -> Used | None:
    """Give the driver in whose package the innermost frame of a traceback lies."""
    packages = {used.cls.__module__.split(".")[0]: used for used in drivers}
    packages.pop("genhub", None)
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        used = packages.get(str(frame.f_globals.get("__name__")).split(".")[0])
        if used is not None:
            return used
    return None
