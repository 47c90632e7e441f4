"""Contexts as users write them: fixed values, rules to draw them from, grids, or a function.

A context is a mapping of parameters to values. Instead of a value there can be a rule:
`{uniform: [low, high]}`, `{loguniform: [low, high]}`, `{choice: [...]}` or
`{schedule: [[step, value], ...]}`, which is piecewise linear in the steps of all environments
together. Beside the parameters, `grid: {parameter: [values], ...}` deals all combinations round
robin over levels and environments. The engine draws from the rules with a generator of its own when
it makes a level.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genhub_cprocgen.contexts import (
    Parameter,
    Parameters,
    documented_games,
    parameters_of,
    rules,
)
from genhub_cprocgen.errors import ContextError, OptionError

__all__ = [
    "ContextSampler",
    "EnvContext",
    "Rule",
    "merged_rules",
    "read_context",
    "read_contexts",
]

# Called between steps, when an environment has ended: (env_index, episode_count, last_return, rng).
ContextSampler = Callable[[int, int, float, np.random.Generator], Mapping[str, Any]]

RULES = ("uniform", "loguniform", "choice", "schedule")
MOST_POINTS = 100_000
MOST_STEPS = 2**62

Rule = tuple[list[int], str, list[float]]  # as the engine takes it: parameters, kind, numbers


@dataclass(frozen=True)
class EnvContext:
    """What one environment's levels are made from: a row, and rules that draw over it.

    A maze that is as large as its world stays so: its largest size follows the world's.
    """

    row: np.ndarray
    rules: tuple[Rule, ...] = ()
    named: frozenset[int] = frozenset()  # the places that the user wrote something for


def read_contexts(
    contexts: Any, games: Sequence[str], mode: str
) -> tuple[list[EnvContext], ContextSampler | None]:
    """Give each environment's context, and the function that gives the next ones if there is one.

    Raises ContextError or OptionError.
    """
    if callable(contexts):
        return [read_context({}, game, mode) for game in games], contexts
    if contexts is None:
        contexts = {}
    if isinstance(contexts, Mapping):
        return _of_mapping(contexts, games, mode), None
    if not isinstance(contexts, Sequence) or isinstance(contexts, str):
        raise OptionError(
            "contexts must be a mapping of parameters, a list of one mapping per environment, or a "
            f"function, got {contexts!r}"
        )
    if len(contexts) != len(games):
        raise OptionError(
            f"contexts must have one mapping per environment: {len(games)}, got {len(contexts)}"
        )
    return [read_context(c, game, mode) for c, game in zip(contexts, games, strict=True)], None


def _of_mapping(contexts: Mapping[str, Any], games: Sequence[str], mode: str) -> list[EnvContext]:
    """Read one mapping for all games, or one that has a mapping per game."""
    named = [key for key in contexts if key in documented_games()]
    if not named:
        try:
            made = {game: read_context(contexts, game, mode) for game in dict.fromkeys(games)}
        except ContextError as error:
            if len(set(games)) == 1:
                raise
            raise ContextError(
                f"{error}; contexts of several games can be given apart: "
                f"{{{games[0]}: {{...}}, ...}}"
            ) from None
        return [made[game] for game in games]
    for key in contexts:
        if key not in games:
            listed = ", ".join(dict.fromkeys(games))
            raise ContextError(f"contexts by game name {key!r}, which is not among {listed}")
    return [read_context(contexts.get(game, {}), game, mode) for game in games]


def read_context(
    context: Mapping[str, Any], game: str, mode: str, base: np.ndarray | None = None
) -> EnvContext:
    """Read one context over a base row; raises ContextError."""
    known = parameters_of(game)
    if not isinstance(context, Mapping):
        raise ContextError(
            f"a context of {game} is a mapping of parameters to values, got {context!r}"
        )
    mode = rules(mode)
    found: list[Rule] = []
    values: dict[str, Any] = {}
    for name, value in context.items():
        if name == "grid":
            found.append(_grid(known, value, mode))
        elif isinstance(value, Mapping):
            found.append(_rule(known.all[known.index(name)], known.index(name), value, mode))
        else:
            values[name] = value
    named = {known.index(name) for name in values}
    drawn = _named_once(known, named, found)
    world, maze = known.followed(base, mode)
    if world in drawn and maze not in drawn | named:
        found = [_with_follower(rule, world, maze) for rule in found]
        drawn |= {maze}
    row = known.row(values, mode, base, drawn)
    if world in named:
        named |= {maze}
    return EnvContext(row, tuple(found), frozenset(named | drawn))


def merged_rules(old: Sequence[Rule], new: Sequence[Rule], named: set[int]) -> list[Rule]:
    """Give the old rules without the parameters that are named anew, and then the new ones."""
    kept: list[Rule] = []
    for indices, kind, numbers in old:
        stay = [k for k, index in enumerate(indices) if index not in named]
        if kind == "grid":
            table = np.asarray(numbers).reshape(-1, len(indices))
            numbers = table[:, stay].ravel().tolist()
        if stay:
            kept.append(([indices[k] for k in stay], kind, numbers))
    return [*kept, *new]


def _named_once(known: Parameters, named: set[int], found: Sequence[Rule]) -> set[int]:
    """Give the parameters that rules draw; raises ContextError where one is given twice."""
    drawn: set[int] = set()
    for indices, _, _ in found:
        twice = (drawn | named) & set(indices)
        if twice:
            name = known.all[min(twice)].name
            raise ContextError(f"{known.game}: {name} is given twice; keep one value or rule")
        drawn |= set(indices)
    return drawn


def _with_follower(rule: Rule, leader: int, follower: int) -> Rule:
    """Let a parameter take the value that a rule gives another one."""
    indices, kind, numbers = rule
    if leader not in indices:
        return rule
    if kind == "grid":
        table = np.asarray(numbers).reshape(-1, len(indices))
        column = table[:, [indices.index(leader)]]
        numbers = np.hstack([table, column]).ravel().tolist()
    return [*indices, follower], kind, numbers


def _rule(parameter: Parameter, index: int, block: Mapping[str, Any], mode: str) -> Rule:
    where = f"{parameter.game}: {parameter.name}"
    if len(block) != 1 or next(iter(block)) not in RULES:
        raise ContextError(
            f"{where} must be a value or one rule of {', '.join(RULES)}, got {dict(block)!r}"
        )
    [(kind, given)] = block.items()
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise ContextError(f"{where}: {kind} takes a list, got {given!r}")
    if kind == "schedule":
        return [index], kind, _schedule(parameter, given, mode, where)
    numbers = [_plain(parameter, value, mode) for value in given]
    if kind != "choice":
        _check_bounds(parameter, kind, numbers, where)
    return [index], kind, numbers


def _check_bounds(parameter: Parameter, kind: str, numbers: list[float], where: str) -> None:
    if len(numbers) != 2 or numbers[0] > numbers[1]:
        raise ContextError(f"{where}: {kind} takes [lowest, highest], got {numbers}")
    if parameter.type == "bool":
        raise ContextError(f"{where}: {kind} is for numbers; write choice: [true, false]")
    if kind == "loguniform" and numbers[0] <= 0:
        raise ContextError(f"{where}: loguniform needs a lowest value above 0, got {numbers[0]:g}")


def _schedule(parameter: Parameter, given: Sequence[Any], mode: str, where: str) -> list[float]:
    numbers: list[float] = []
    if parameter.type == "bool":
        raise ContextError(f"{where}: schedule is for numbers")
    for point in given:
        pair = isinstance(point, Sequence) and not isinstance(point, str) and len(point) == 2
        step = point[0] if pair else None
        number = not isinstance(step, bool) and isinstance(step, int | float)
        if not number or not 0 <= step < MOST_STEPS:
            raise ContextError(f"{where}: schedule takes points [step, value], got {point!r}")
        if numbers and step <= numbers[-2]:
            raise ContextError(f"{where}: the steps of a schedule must rise, got {step} again")
        numbers += [float(step), _plain(parameter, point[1], mode)]
    return numbers


def _grid(known: Parameters, block: Any, mode: str) -> Rule:
    if not isinstance(block, Mapping) or not block:
        raise ContextError(
            f"{known.game}: grid takes a mapping of parameters to lists of values, got {block!r}"
        )
    indices = [known.index(name) for name in block]
    if len(set(indices)) < len(indices):
        raise ContextError(f"{known.game}: grid names a parameter twice, by an alias")
    for name, listed in block.items():
        if not isinstance(listed, Sequence) or isinstance(listed, str) or not listed:
            raise ContextError(f"{known.game}: grid needs a list for {name}, got {listed!r}")
    axes = [
        [_plain(known.all[i], value, mode) for value in listed]
        for i, listed in zip(indices, block.values(), strict=True)
    ]
    count = int(np.prod([len(axis) for axis in axes]))
    if count > MOST_POINTS:
        raise ContextError(f"{known.game}: a grid has at most {MOST_POINTS} points, got {count}")
    return indices, "grid", [x for point in itertools.product(*axes) for x in point]


def _plain(parameter: Parameter, value: Any, mode: str) -> float:
    """Check a value and give it as a number, defaults too."""
    number = parameter.number(value, mode)
    return float(value) if np.isnan(number) and value is not None else number
