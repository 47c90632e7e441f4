"""Names for gymnasium.make and gymnasium.make_vec, known as soon as gymnasium is imported.

Importing this package must stay cheap, since a host that only asks for a name imports it; so
gymnasium is not imported here, but watched for.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any

__all__ = ["register_games"]

REGISTRY = "gymnasium.envs.registration"


def register_games() -> None:
    """Register `CProcgen/<game>-v0` for every game, now or when gymnasium is imported."""
    if REGISTRY in sys.modules:
        _register(sys.modules[REGISTRY])
    elif not any(isinstance(finder, _Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())


class _Watch(MetaPathFinder):
    """Sees gymnasium's registry being imported, and registers when that is done."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> Any:
        if name != REGISTRY:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register(module)

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def _register(registration: Any) -> None:
    from genhub_cprocgen import _engine

    for game in _engine.games():
        name = f"CProcgen/{game}-v0"
        if name in registration.registry:
            continue
        registration.register(
            id=name,
            entry_point="genhub_cprocgen.single:CProcgenSingleEnv",
            vector_entry_point="genhub_cprocgen.vector:CProcgenVectorEnv",
            kwargs={"game": game},
        )
