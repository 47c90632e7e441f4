"""The episodes of a rollout: counted while they run, written down when they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EPISODES", "Episode", "Episodes", "read_episodes"]

EPISODES = "episodes.jsonl"
SUCCESS = ("is_success", "prev_level_complete")  # infos of gymnasium-robotics, and of Procgen


@dataclass(frozen=True)
class Episode:
    """One episode that ended: at which step of its environment, how, and in what context."""

    env: int
    step: int  # of the environment, from 1
    total: float  # the return: the sum of its rewards
    length: int  # in steps
    end: str  # terminated or truncated
    success: bool | None = None  # None where the environments do not say
    context: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Give the line of episodes.jsonl."""
        line = asdict(self)
        return {"return": round(line.pop("total"), 6), **line}


class Episodes:
    """Sums of rewards per environment, and the list of the episodes that ended.

    `read_context(i)` gives the context of the running level of environment i. Each episode is
    one line of episodes.jsonl as soon as it has ended; the file is begun anew.
    """

    def __init__(self, folder: Path, count: int, read_context: Callable[[int], Any]) -> None:
        self.ended: list[Episode] = []
        self.totals: NDArray[np.float64] = np.zeros(count)
        self.lengths: NDArray[np.int64] = np.zeros(count, np.int64)
        self.contexts: list[Mapping[str, Any]] = [{} for _ in range(count)]
        self._read = read_context
        self._path = folder / EPISODES
        self._path.write_bytes(b"")

    def begin(self, i: int) -> None:
        """Begin an episode of environment i: its level is there already."""
        self.totals[i] = self.lengths[i] = 0
        self.contexts[i] = {name: _plain(value) for name, value in self._read(i).items()}

    def add(self, rewards: Any, counts: NDArray[np.bool_]) -> None:
        """Add a step where it counts: a step that only begins a level does not."""
        self.totals[counts] += np.asarray(rewards, np.float64)[counts]
        self.lengths[counts] += 1

    def end(
        self, step: int, terminated: Any, truncated: Any, infos: Mapping[str, Any]
    ) -> list[int]:
        """Note the episodes that ended at this step; gives their environments."""
        places = np.flatnonzero(np.asarray(terminated) | np.asarray(truncated)).tolist()
        success = next((infos[name] for name in SUCCESS if name in infos), None)
        new = [
            Episode(
                i, step, float(self.totals[i]), int(self.lengths[i]),
                "terminated" if terminated[i] else "truncated",
                None if success is None else bool(success[i]),
                self.contexts[i],
            )
            for i in places
        ]  # fmt: skip
        self.ended += new
        if new:
            text = "".join(json.dumps(each.to_json()) + "\n" for each in new)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
        return places


def read_episodes(folder: Path) -> list[Episode]:
    """Read what episodes.jsonl of a run folder holds, without a line that a kill cut short."""
    found = []
    with suppress(FileNotFoundError), (folder / EPISODES).open(encoding="utf-8") as file:
        for text in file:
            with suppress(ValueError, TypeError, KeyError):
                line = json.loads(text)
                found.append(Episode(total=line.pop("return"), **line))
    return found


def _plain(value: Any) -> Any:
    """Give a value of a context as JSON and a dict's key can have it."""
    value = value.item() if hasattr(value, "item") and np.ndim(value) == 0 else value
    return value if value is None or isinstance(value, str | int | float) else str(value)
