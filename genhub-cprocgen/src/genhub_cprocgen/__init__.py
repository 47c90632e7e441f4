"""The games of the Procgen benchmark with controllable contexts, in an engine of their own.

`make_vec("coinrun", num_envs=64)` gives a gymnasium vector environment; importing this package also
registers `CProcgen/<game>-v0` with gymnasium.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genhub_cprocgen.registration import register_games

if TYPE_CHECKING:
    from genhub_cprocgen.context_spaces import context_space
    from genhub_cprocgen.contexts import cprocgen_defaults
    from genhub_cprocgen.errors import (
        ActionError,
        ClosedError,
        ContextError,
        LevelGenerationError,
        OptionError,
        SkinError,
        StateError,
    )
    from genhub_cprocgen.scores import normalised_return
    from genhub_cprocgen.shims import CProcgenEnv, ProcgenEnv
    from genhub_cprocgen.vector import CProcgenVectorEnv

__all__ = [
    "ActionError",
    "CProcgenEnv",
    "CProcgenVectorEnv",
    "ClosedError",
    "ContextError",
    "LevelGenerationError",
    "OptionError",
    "ProcgenEnv",
    "SkinError",
    "StateError",
    "context_space",
    "cprocgen_defaults",
    "games",
    "make_vec",
    "normalised_return",
]

HOMES = {
    "ActionError": "errors",
    "CProcgenEnv": "shims",
    "CProcgenVectorEnv": "vector",
    "ClosedError": "errors",
    "ContextError": "errors",
    "LevelGenerationError": "errors",
    "OptionError": "errors",
    "ProcgenEnv": "shims",
    "SkinError": "errors",
    "StateError": "errors",
    "context_space": "context_spaces",
    "cprocgen_defaults": "contexts",
    "normalised_return": "scores",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def games() -> list[str]:
    """List the games that the engine has."""
    from genhub_cprocgen import _engine

    return _engine.games()


def make_vec(game: Any = None, **fields: Any) -> CProcgenVectorEnv:
    """Make a vector environment; fields as in `genhub_cprocgen.options.Options`.

    Raises OptionError, ContextError or SkinError, which are ValueErrors.
    """
    from genhub_cprocgen.vector import CProcgenVectorEnv

    return CProcgenVectorEnv(game, **fields)


register_games()
