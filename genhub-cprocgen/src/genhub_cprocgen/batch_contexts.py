"""The contexts of a batch: what each environment's levels are made from, now and next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genhub_cprocgen import _engine
from genhub_cprocgen.contexts import Parameters, Value, parameters_of
from genhub_cprocgen.errors import OptionError
from genhub_cprocgen.samplers import Rule, merged_rules, read_context, read_contexts

__all__ = ["BatchContexts"]


class BatchContexts:
    """Reads contexts into an engine's batch and back out of it.

    Attributes
    ----------
    sampler: the function that gives the contexts of the next levels, where there is one.
    width: columns of the matrix, the most parameters that one of the games has.
    """

    def __init__(self, batch: _engine.Batch, games: Sequence[str], mode: str, given: Any) -> None:
        """Hand the contexts to the engine; raises ContextError or OptionError."""
        self._batch, self._games, self._mode = batch, games, mode
        self._known: list[Parameters] = [parameters_of(name) for name in games]
        self._count = len(games)
        self.width = max(len(known.all) for known in self._known)
        self._rules: dict[int, list[Rule]] = {}  # of the environments that have any
        self._ruled = np.zeros(self._count, bool)  # those
        self._follows = np.ones(self._count, bool)  # the next level's context is another one
        made, self.sampler = read_contexts(given, games, mode)
        for i, context in enumerate(made):
            self._hand_over(i, context.row, list(context.rules))
        self._begun = np.zeros(self._count, np.int64)  # how often the function was asked
        self._asked = np.zeros(self._count, bool)  # for a level that has not begun
        self._last_return = np.zeros(self._count)
        self._raw = np.zeros((self._count, self.width), np.float32)
        self._scaled = np.zeros((self._count, self.width), np.float32)

    def _hand_over(self, i: int, row: np.ndarray, rules: list[Rule]) -> None:
        self._batch.set_context(i, row)
        if rules:
            self._batch.set_sampler(i, rules)
            self._rules[i] = rules
        elif self._rules.pop(i, None):
            self._batch.set_sampler(i, [])
        self._ruled[i] = bool(rules)
        self._follows[i] = True

    def change(self, chosen: Sequence[int], context: Mapping[str, Any], merge: bool) -> None:
        """Set or merge one context; raises ContextError, and then nothing has changed."""
        made = []
        for i in chosen:
            base = self._batch.pending_context(i) if merge else None
            made.append(read_context(context, self._games[i], self._mode, base))
        for i, new in zip(chosen, made, strict=True):
            old = self._rules.get(i, []) if merge else []
            self._hand_over(i, new.row, merged_rules(old, new.rules, set(new.named)))

    def replace(self, contexts: Any, mask: np.ndarray) -> None:
        """Set contexts as at the construction, where the mask says so."""
        made, sampler = read_contexts(contexts, self._games, self._mode)
        if sampler is not None:
            raise OptionError(
                "reset takes contexts as values or rules; give a function at the construction"
            )
        for i in np.flatnonzero(mask).tolist():
            self._hand_over(i, made[i].row, list(made[i].rules))

    # --- the user's function ---
    def reseed(self, seed: int) -> None:
        """Begin the function's random numbers and counts anew."""
        self._rng = np.random.default_rng(seed & 0xFFFFFFFF)
        self._begun[:] = 0
        self._last_return[:] = 0
        self._asked[:] = False

    def note_ends(self, ended: np.ndarray) -> None:
        """Remember the returns of episodes that ended at this step."""
        self._asked &= ended
        self._last_return[ended] = self._batch.episode_return[ended]

    def ask(self, chosen: np.ndarray, begins: bool) -> None:
        """Ask the function for the next levels of some environments; `begins`: they begin now."""
        if self.sampler is None:
            return
        for i in np.flatnonzero(chosen & ~self._asked).tolist():
            values = self.sampler(i, int(self._begun[i]), float(self._last_return[i]), self._rng)
            context = read_context(values, self._games[i], self._mode)
            self._hand_over(i, context.row, list(context.rules))
            self._begun[i] += 1
        self._asked[chosen] = not begins

    # --- what they are ---
    def running(self, i: int) -> dict[str, Value]:
        """Give the context of the running level."""
        return self._known[i].values(self._batch.context(i), self._mode)

    def pending(self, i: int) -> dict[str, Value]:
        """Give the context that was set for the next level; rules are not drawn yet."""
        return self._known[i].values(self._batch.pending_context(i), self._mode)

    def changed(self, i: int) -> dict[str, Value]:
        """Give what of the next level's context differs from the mode's defaults."""
        return self._known[i].changed(self._batch.pending_context(i), self._mode)

    def names(self, i: int) -> list[str]:
        """Name the columns of the matrix for one environment."""
        return [p.name for p in self._known[i].all]

    def matrix(self, normalised: bool) -> np.ndarray:
        """Give the contexts of the running levels, float32 [N, width], not to be written to."""
        return self._scaled if normalised else self._raw

    def refresh(self, begun: np.ndarray | None = None) -> None:
        """Bring the matrices up to date for environments whose level is a new one (None: all)."""
        if begun is None:
            rows = np.arange(self._count)
        else:
            rows = np.flatnonzero(begun & self._follows)
            if not len(rows):
                return
        self._follows[rows] = self._ruled[rows]
        self._raw, self._scaled = self._raw.copy(), self._scaled.copy()
        for i in rows.tolist():
            known, row = self._known[i], self._batch.context(i)
            numbers = known.numbers(row, self._mode)
            self._raw[i, : len(row)] = np.where(np.isnan(numbers), -1, numbers)
            self._scaled[i, : len(row)] = known.normalised(row, self._mode)
        self._raw.flags.writeable = self._scaled.flags.writeable = False

    def episode_values(self) -> dict[str, np.ndarray]:
        """Give what the running levels drew, by name: float64 [N], not-a-number for other games."""
        values: dict[str, np.ndarray] = {}
        for i in range(self._count):
            for name, value in self._batch.episode_values(i).items():
                values.setdefault(name, np.full(self._count, np.nan))[i] = value
        return values
