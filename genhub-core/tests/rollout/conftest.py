from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toyenvs

from genhub.registry import Registries


@pytest.fixture
def registries() -> Iterator[Registries]:
    found = Registries()
    found.get("environments").add("toys", toyenvs.Toys, origin="toy-dist")
    toyenvs.Toys.closed = 0
    yield found


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    return {
        "genhub": 1,
        "name": "toys",
        "seed": 11,
        "task": {"type": "rollout", "policy": "script", "actions": [1, 0], "steps": 15},
        "environment": {"type": "toys"},
        "output": {"dir": str(tmp_path / "runs")},
    }
