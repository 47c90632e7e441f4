"""Configs of runs that take a moment, and the drivers of rundrivers.py beside what is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rundrivers

from genhub.registry import Registries

STAR = "a large red star in the center on white"
RING = "a small blue ring on the left on black"


def toy_registries() -> Registries:
    found = Registries()
    for name, cls in {
        "gain": rundrivers.Gain,
        "late": rundrivers.Late,
        "greedy": rundrivers.Greedy,
        "clumsy": rundrivers.Clumsy,
        "unready": rundrivers.Unready,
    }.items():
        found.get("attention_mixers").add(name, cls, origin="toy-dist")
    found.get("parallel_schedulers").add("own-loop", rundrivers.OwnLoop, origin="toy-dist")
    found.get("tasks").add("count", rundrivers.Count)
    found.get("metrics").add("broken", rundrivers.Broken, origin="toy-dist")
    return found


def small_config(model: Path, folder: Path) -> dict[str, Any]:
    return {
        "genhub": 1,
        "name": "try",
        "model": {"source": str(model)},
        "input": {"prompts": [STAR, RING]},
        "sampling": {"steps": 2, "guidance": 3.0},
        "output": {"dir": str(folder / "runs"), "report": False},
    }
