"""Golden data of the benchmark, and makers of small environments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genhub_cprocgen as cp
from genhub_cprocgen.contexts import parameters_of

GOLDEN = Path(__file__).with_name("golden")


def modes(game: str) -> list[str]:
    """The modes whose rules differ: exploration plays by those of hard."""
    return [mode for mode in parameters_of(game).modes if mode != "exploration"]


IDLE = 4
GIVE_UP = -1


def idle(count: int) -> np.ndarray:
    """The action that does nothing, for every environment."""
    return np.full(count, IDLE)


def actions_of(seed: int, steps: int, count: int) -> Iterator[np.ndarray]:
    """Random actions, step after step."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        yield rng.integers(0, 15, count)


GAMES = cp.games()
GAME_MODES = [(game, mode) for game in GAMES for mode in modes(game)]


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Any]:
    """Read a golden file by its name."""

    def read(name: str) -> Any:
        if name.endswith(".json"):
            return json.loads((GOLDEN / name).read_text(encoding="utf-8"))
        return np.load(GOLDEN / name, allow_pickle=False)

    return read


@pytest.fixture
def make() -> Iterator[Callable[..., cp.CProcgenVectorEnv]]:
    """Make vector environments that are closed after the test; dynamics only unless asked."""
    made: list[cp.CProcgenVectorEnv] = []

    def build(game: Any, num_envs: int = 1, **fields: Any) -> cp.CProcgenVectorEnv:
        fields = {"observation": "none", "rand_seed": 7, "distribution_mode": "easy", **fields}
        made.append(cp.make_vec(game, num_envs=num_envs, **fields))
        return made[-1]

    yield build
    for env in made:
        env.close()


def uniform_actions(seed: int, steps: int) -> list[int]:
    """The golden data's sequence of all fifteen actions."""
    return [(x >> 16) % 15 for x in _congruential(seed, steps)]


def rightward_actions(seed: int, steps: int) -> list[int]:
    """The golden data's sequence that mostly walks to the right."""
    actions = []
    for x in _congruential(seed, steps):
        part = x >> 28
        actions.append(7 if part < 6 else 8 if part < 10 else (x >> 12) % 15)
    return actions


def _congruential(seed: int, steps: int) -> list[int]:
    values, x = [], seed % 2**32
    for _ in range(steps):
        x = (1664525 * x + 1013904223) % 2**32
        values.append(x)
    return values
