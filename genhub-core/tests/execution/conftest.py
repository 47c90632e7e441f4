from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tinypipe
from smallruns import small_config, toy_registries

from genhub.registry import Registries


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a complete pipeline of random weights."""
    import torch

    torch.set_num_threads(1)  # tensors this small gain nothing from threads that wait for others
    return tinypipe.save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def registries() -> Registries:
    """The drivers of rundrivers.py beside whatever is installed."""
    return toy_registries()


@pytest.fixture
def config(model: Path, tmp_path: Path) -> dict[str, Any]:
    """Two prompts, two steps, in a folder of the test's own."""
    return small_config(model, tmp_path)
