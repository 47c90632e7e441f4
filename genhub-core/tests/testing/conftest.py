from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toys import ToySite

HERE = Path(__file__).parent / "wrong"


@pytest.fixture(scope="session")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToySite]:
    """The deliberately wrong plugins, installed."""
    import torch

    torch.set_num_threads(1)
    site = ToySite(tmp_path_factory.mktemp("wrong") / "site")
    points: dict[str, dict[str, str]] = {}
    for kind, name, value in _offers():
        points.setdefault(kind, {})[name] = value
    modules = {path.stem: path.read_text() for path in HERE.glob("*.py")}
    site.install("wrong-plugins", points, modules)
    sys.path.insert(0, str(site.folder))
    yield site
    sys.path.remove(str(site.folder))


def _offers() -> Iterator[tuple[str, str, str]]:
    """Read `class Name(Base)` as the entry point `name` of the kind that the module is about."""
    for module, kind in KINDS.items():
        for line in (HERE / f"{module}.py").read_text().splitlines():
            name = line.removeprefix("class ").partition("(")[0].rstrip(":")
            if line.startswith("class ") and not name.endswith(HELPING):
                yield kind, name.lower(), f"{module}:{name}"


HELPING = ("Config", "Processor", "Plan")  # what the plugins are made of
KINDS = {
    "wrong_mixers": "attention_mixers",
    "wrong_heavy": "attention_mixers",
    "wrong_once": "attention_mixers",
    "wrong_schedulers": "parallel_schedulers",
    "wrong_tasks": "tasks",
    "wrong_environments": "environments",
}
