"""Names for gymnasium.make and gymnasium.make_vec, without importing gymnasium."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["register_games", "register_when_imported"]

GYMNASIUM = "gymnasium"


def register_games() -> None:
    """Register `CProcgen/<game>-v0` for every game of the engine."""
    import gymnasium

    from genhub_cprocgen import _engine

    for game in _engine.games():
        name = f"CProcgen/{game}-v0"
        if name in gymnasium.registry:
            continue
        gymnasium.register(
            id=name,
            entry_point="genhub_cprocgen.single:CProcgenEnv",
            vector_entry_point="genhub_cprocgen.vector:CProcgenVectorEnv",
            kwargs={"game": game},
        )


def register_when_imported() -> None:
    """Register the games now, or as soon as somebody imports gymnasium.

    Importing it here would make everybody wait who only asks what this package offers.
    """
    if hasattr(sys.modules.get(GYMNASIUM), "register"):
        register_games()
    elif not any(isinstance(finder, _Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())


class _Watch(MetaPathFinder):
    """Waits for gymnasium, and is gone once it is being imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != GYMNASIUM:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Then(spec.loader)
        return spec


class _Then(Loader):
    """Executes a module as its own loader does, and registers the games afterwards."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        register_games()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
