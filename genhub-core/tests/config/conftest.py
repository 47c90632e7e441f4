from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from toydrivers import toy_registries

from genhub.registry import Registries


@pytest.fixture(scope="session")
def registries() -> Registries:
    return toy_registries()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a config file and give its path."""

    def written(text: str, name: str = "c.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return written
