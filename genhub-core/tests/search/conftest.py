from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genhub.registry import Registries

sys.path.append(str(Path(__file__).parent.parent / "execution"))  # the tiny pipeline of the runs

import rundrivers
import tinypipe
import toyspaces


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a complete pipeline of random weights."""
    import torch

    torch.set_num_threads(1)
    return tinypipe.save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def registries() -> Iterator[Registries]:
    """Toy spaces and mixers beside whatever is installed."""
    found = Registries()
    found.get("search_spaces").add("scored", toyspaces.Scored, origin="toy-dist")
    found.get("search_strategies").add("greedy", toyspaces.Greedy, origin="toy-dist")
    found.get("attention_mixers").add("gain", rundrivers.Gain, origin="toy-dist")
    found.get("attention_mixers").add("half", toyspaces.Half, origin="toy-dist")
    toyspaces.Scored.calls.clear()
    yield found
    toyspaces.Scored.falls_at, toyspaces.Scored.fails = None, frozenset()


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """A search of the scored space by random draws."""
    return {
        "genhub": 1,
        "name": "find",
        "task": "search",
        "search": {
            "type": "scored",
            "strategy": {"type": "random", "trials": 12},
            "objective": [
                {"metric": "score", "goal": "max"},
                {"metric": "macs", "goal": "min"},
            ],
        },
        "output": {"dir": str(tmp_path / "runs"), "report": False},
    }
