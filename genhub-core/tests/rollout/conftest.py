from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("torch")

from rolling import Roll, with_rooms

import genhub
from genhub.registry import Registries


@pytest.fixture
def registries() -> Registries:
    """Toy rooms beside whatever is installed."""
    return with_rooms()


@pytest.fixture
def roll(tmp_path: Path, registries: Registries) -> Roll:
    """Roll out in rooms: `roll({task}, {environment})` gives the result of the run."""

    def rolled(task: dict[str, Any], rooms: dict[str, Any] | None = None, **blocks: Any) -> Any:
        config = {
            "genhub": 1,
            "name": "rooms",
            "task": {"type": "rollout", "num_envs": 4, "steps": 20, "films": 0, **task},
            "environment": {"type": "rooms", **(rooms or {})},
            "output": {"report": False, "video": "webp"},
            **blocks,
        }
        return genhub.run(config, output=tmp_path / "runs", registries=registries)

    return rolled
