"""Names for gymnasium.make and gymnasium.make_vec."""

from __future__ import annotations

import gymnasium

from genhub_cprocgen import _engine

__all__ = ["register_games"]


def register_games() -> None:
    """Register `CProcgen/<game>-v0` for every game of the engine."""
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
