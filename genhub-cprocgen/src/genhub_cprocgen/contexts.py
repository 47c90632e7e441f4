"""The parameters of every game: typed, range-checked, with defaults per mode.

`data/contexts.json` is the only place where they are written down; the engine's tables are made
from the same file. A *row* is a context as the engine takes it: one float64 per parameter in the
file's order, not-a-number where the mode's own rule decides.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from genhub_cprocgen.errors import ContextError, closest

__all__ = [
    "EXPLORATION_LEVELS",
    "Parameter",
    "Parameters",
    "cprocgen_defaults",
    "documented_games",
    "parameters_of",
    "rules",
    "table",
]

Value = float | int | bool | None

# The one level of each game's exploration mode, which plays by the rules of mode hard.
EXPLORATION_LEVELS = {
    "coinrun": 1949448038,
    "caveflyer": 1259048185,
    "leaper": 1318677581,
    "jumper": 1434825276,
    "maze": 158988835,
    "heist": 876640971,
    "climber": 1561126160,
    "ninja": 1123500215,
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of one game."""

    game: str
    name: str
    type: Literal["int", "float", "bool"]
    default: Mapping[str, Value]  # by mode; None: the game's own rule, as `meaning` says
    min: float | None
    max: float | None
    unit: str
    meaning: str
    origin: Literal["cprocgen", "extension"]
    odd: bool = False
    aliases: tuple[str, ...] = ()
    cprocgen_default: Value = None

    def number(self, value: Any, mode: str) -> float:
        """Check a value and give it as the engine takes it; raises ContextError."""
        if value is None and self.default[mode] is None:
            return math.nan
        if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
            value = value.item()
        number = self._typed(value)
        if self.type != "bool":
            self._check_range(value, number)
        return math.nan if number == self.default[mode] else number

    def _typed(self, value: Any) -> float:
        if self.type == "bool":
            if not isinstance(value, bool):
                self._refuse(value, "true or false")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(value, "a whole number" if self.type == "int" else "a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf  # out of every range
        if self.type == "int" and math.isfinite(number) and not number.is_integer():
            self._refuse(value, "a whole number")
        return number

    def _check_range(self, value: Any, number: float) -> None:
        assert self.min is not None and self.max is not None
        if not self.min <= number <= self.max:
            self._refuse(value, f"from {self.min:g} to {self.max:g}")
        if self.odd and number % 2 == 0:
            self._refuse(value, f"an odd number from {self.min:g} to {self.max:g}")

    def _refuse(self, value: Any, wanted: str) -> None:
        raise ContextError(f"{self.game}: {self.name} must be {wanted}, got {value!r}")

    def python(self, number: float, mode: str) -> Value:
        """Give a number of a row as a value of this parameter's type."""
        if math.isnan(number):
            return self.default[mode]
        return {"int": int, "float": float, "bool": bool}[self.type](number)


@dataclass(frozen=True)
class Parameters:
    """All parameters of one game."""

    game: str
    all: tuple[Parameter, ...]
    ordered_pairs: tuple[tuple[str, str], ...]  # a <= b
    episode_values: tuple[str, ...]

    @property
    def modes(self) -> list[str]:
        """List the distribution modes of this game."""
        listed = list(self.all[0].default)
        return [*listed, "exploration"] if self.game in EXPLORATION_LEVELS else listed

    def index(self, name: str) -> int:
        """Give a parameter's place in a row, by its name or an alias; raises ContextError."""
        for i, parameter in enumerate(self.all):
            if name == parameter.name or name in parameter.aliases:
                return i
        known = [n for p in self.all for n in (p.name, *p.aliases)]
        raise ContextError(f"{self.game} has no parameter {name!r}{closest(str(name), known)}")

    def empty(self) -> np.ndarray:
        """Give the row of a mode's own rules."""
        return np.full(len(self.all), np.nan)

    def row(
        self,
        values: Mapping[str, Any],
        mode: str,
        base: np.ndarray | None = None,
        drawn: Collection[int] = (),
    ) -> np.ndarray:
        """Give the row that has `values` and otherwise those of `base` (default: the mode's).

        `drawn` are the places that a rule will fill at each level: their order is not checked here.
        Raises ContextError for unknown names, types, ranges, and bounds in the wrong order.
        """
        if not isinstance(values, Mapping):
            raise ContextError(
                f"a context of {self.game} is a mapping of parameters to values, got {values!r}"
            )
        mode = rules(mode)
        row = self.empty() if base is None else base.copy()
        named = {self.index(name): value for name, value in values.items()}
        if len(named) < len(values):
            raise ContextError(f"{self.game}: a parameter is named twice, by an alias")
        for i, value in named.items():
            row[i] = self.all[i].number(value, mode)
        world, maze = self.followed(base, mode)
        if world in named and maze not in named and maze not in drawn:
            row[maze] = row[world]
        self._check_order(row, mode, drawn)
        return row

    def values(self, row: np.ndarray, mode: str) -> dict[str, Value]:
        """Give a row as values by name, defaults included."""
        mode = rules(mode)
        return {p.name: p.python(x, mode) for p, x in zip(self.all, row.tolist(), strict=True)}

    def changed(self, row: np.ndarray, mode: str) -> dict[str, Value]:
        """Give only what differs from the mode's defaults."""
        values = self.values(row, mode)
        return {
            p.name: values[p.name]
            for p, x in zip(self.all, row.tolist(), strict=True)
            if not math.isnan(x)
        }

    def numbers(self, row: np.ndarray, mode: str) -> np.ndarray:
        """Give a row with the defaults filled in; not-a-number where a default is None."""
        listed = [p.default[rules(mode)] for p in self.all]
        defaults = [math.nan if v is None else float(v) for v in listed]
        return np.where(np.isnan(row), defaults, row)

    def normalised(self, row: np.ndarray, mode: str) -> np.ndarray:
        """Give a row as float32 in 0..1 over each parameter's range; -1 where a default is None."""
        low = np.array([0.0 if p.type == "bool" else p.min for p in self.all], np.float64)
        high = np.array([1.0 if p.type == "bool" else p.max for p in self.all], np.float64)
        scaled = (self.numbers(row, mode) - low) / (high - low)
        return np.where(np.isnan(scaled), -1, scaled).astype(np.float32)

    def followed(self, base: np.ndarray | None, mode: str) -> tuple[int, int]:
        """Give the places of a world's size and of the largest maze, which follows it.

        (-1, -1) where there is none, or where that maze has been given a size of its own.
        """
        names = [p.name for p in self.all]
        if "max_maze_dim" not in names:
            return -1, -1
        world, maze = names.index("world_dim"), names.index("max_maze_dim")
        before = self.numbers(self.empty() if base is None else base, mode)
        return (world, maze) if before[maze] == before[world] else (-1, -1)

    def _check_order(self, row: np.ndarray, mode: str, drawn: Collection[int]) -> None:
        numbers = self.numbers(row, mode)
        for low, high in self.ordered_pairs:
            i, j = self.index(low), self.index(high)
            if numbers[i] > numbers[j] and i not in drawn and j not in drawn:
                raise ContextError(
                    f"{self.game}: {low} must not be above {high}, got {numbers[i]:g} and "
                    f"{numbers[j]:g} (a parameter that is not given keeps its default)"
                )


def rules(mode: str) -> str:
    """Name the mode whose rules hold: exploration plays by those of hard."""
    return "hard" if mode == "exploration" else mode


@cache
def _read() -> dict[str, Parameters]:
    source = files("genhub_cprocgen") / "data" / "contexts.json"
    data = json.loads(source.read_text(encoding="utf-8"))
    games: dict[str, list[Parameter]] = {}
    for entry in data["parameters"]:
        games.setdefault(entry["game"], []).append(_parameter(entry))
    return {
        game: Parameters(
            game,
            tuple(parameters),
            tuple((low, high) for low, high in data["ordered_pairs"].get(game, ())),
            tuple(data["episode_values"][game]),
        )
        for game, parameters in sorted(games.items())
    }


def _parameter(entry: dict[str, Any]) -> Parameter:
    fields = {name: entry[name] for name in Parameter.__dataclass_fields__ if name in entry}
    return Parameter(**{**fields, "aliases": tuple(entry.get("aliases", ()))})


def documented_games() -> list[str]:
    """List all games of contexts.json, whether the engine has them yet or not."""
    return list(_read())


def parameters_of(game: str) -> Parameters:
    """Give the parameters of a game; raises ContextError for an unknown one."""
    if game not in _read():
        raise ContextError(f"there is no game {game!r}{closest(str(game), documented_games())}")
    return _read()[game]


def cprocgen_defaults(game: str) -> dict[str, Value]:
    """Give the table that C-Procgen published for a game, as a context to use.

    It differs from every mode of Procgen (1000 steps in every game, another world in miner, ...).
    """
    return {
        p.name: p.cprocgen_default
        for p in parameters_of(game).all
        if p.origin == "cprocgen" and p.cprocgen_default is not None
    }


def table(games: Sequence[str] | None = None) -> list[Parameter]:
    """List the parameters of some games (default: all), in the order of the file."""
    return [p for game in games or documented_games() for p in parameters_of(game).all]
