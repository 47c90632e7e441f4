from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rundrivers
import tinypipe

from genhub.registry import Registries

STAR = "a large red star in the center on white"
RING = "a small blue ring on the left on black"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a complete pipeline of random weights."""
    import torch

    torch.set_num_threads(1)  # tensors this small gain nothing from threads that wait for others
    return tinypipe.save(tmp_path_factory.mktemp("models") / "tiny")


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


@pytest.fixture
def registries() -> Registries:
    """The drivers of rundrivers.py beside whatever is installed."""
    return toy_registries()


@pytest.fixture
def config(model: Path, tmp_path: Path) -> dict[str, Any]:
    """Two prompts, two steps, in a folder of the test's own."""
    return small_config(model, tmp_path)
