"""Play a game: by hand in a window, or actions from a file; recorded where that is asked for."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from genhub_cprocgen.actions import ACTION_NAMES, KEYS
from genhub_cprocgen.errors import ActionError
from genhub_cprocgen.recording import Recording, recording_of
from genhub_cprocgen.vector import CProcgenVectorEnv

__all__ = ["Game", "play_file", "play_window", "read_actions"]

FPS = 15
VIEW = 512
REPEATED = re.compile(r"(\S+?)\*(\d{1,7})")


class Game:
    """One environment that is played, from level `level` on, with what it has come to."""

    def __init__(
        self,
        game: str,
        mode: str,
        level: int,
        skin: str,
        context: Mapping[str, Any],
        video: str | None = None,
    ) -> None:
        """Begin the level; raises OptionError, ContextError, SkinError or LevelGenerationError."""
        self._film: Recording | None = None if video is None else recording_of(Path(video), FPS)
        self._env = CProcgenVectorEnv(
            game, distribution_mode=mode, skin=skin, contexts=dict(context), rand_seed=level,
            render_mode="rgb_array",
        )  # fmt: skip
        self.steps, self.episodes, self.total = 0, 0, 0.0
        self._returns: list[float] = []
        self.title = f"{game} ({mode})"
        self.restart(level)

    def restart(self, level: int | None = None) -> None:
        """Begin a level anew, or another one."""
        self._env.reset(options=None if level is None else {"level_seed": level})
        self.total = 0.0
        self._shoot()

    def step(self, action: int) -> bool:
        """Take one action; gives whether an episode has ended."""
        _, rewards, terminated, truncated, _ = self._env.step(np.array([action]))
        self.steps += 1
        self.total += float(rewards[0])
        ended = bool(terminated[0] or truncated[0])
        if ended:
            self._returns.append(self.total)
            self.total = 0.0
        self._shoot()
        return ended

    def frame(self) -> np.ndarray:
        """Give what the game looks like, uint8 [512, 512, 3]."""
        frames = self._env.render()
        assert frames is not None
        return frames[0]

    def told(self) -> str:
        """Say in a line per episode, and one for what is left, what came of it."""
        lines = [f"episode {i}: return {value:g}" for i, value in enumerate(self._returns)]
        return "\n".join([*lines, f"{self.steps} steps; return so far {self.total:g}"]) + "\n"

    def _shoot(self) -> None:
        if self._film is not None:
            self._film.add(self.frame())

    def __enter__(self) -> Game:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._env.close()
        if self._film is not None:
            self._film.close()


def read_actions(text: str) -> list[int]:
    """Read numbers and names of actions, `right*20` for twenty of them; raises ActionError."""
    actions: list[int] = []
    for place, entry in enumerate(text.split()):
        repeated = REPEATED.fullmatch(entry)
        word, times = (repeated[1], int(repeated[2])) if repeated else (entry, 1)
        if word in ACTION_NAMES:
            number = ACTION_NAMES.index(word)
        elif word.isdigit() and int(word) < len(ACTION_NAMES):
            number = int(word)
        else:
            raise ActionError(
                f"action {place} is {word!r}; actions are 0..{len(ACTION_NAMES) - 1} or "
                f"{', '.join(ACTION_NAMES)}"
            )
        actions += [number] * times
    return actions


def play_file(game: Game, path: Path, most: int) -> list[int]:
    """Take the actions of a file, at most so many; gives them."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ActionError(f"{path} is no file of actions: it is not UTF-8") from None
    actions = read_actions(text)[:most]
    for action in actions:
        game.step(action)
    return actions


def play_window(game: Game, most: int) -> list[int]:
    """Play with the keyboard until escape: arrows, d a w s q e, and r for another level."""
    from genhub_cprocgen.window import Window

    window, taken = Window(VIEW, game.title), []
    try:
        while len(taken) < most:
            begun = time.monotonic()
            held = window.pressed()
            if "escape" in held:
                break
            if "r" in held:
                game.restart()
            action = action_of(held)
            game.step(action)
            taken.append(action)
            window.show(game.frame())
            time.sleep(max(0.0, 1 / FPS - (time.monotonic() - begun)))
    finally:
        window.close()
    return taken


def action_of(held: Iterable[str]) -> int:
    """Give the action of keys that are held: a special key's, else the direction of the arrows."""
    dx = dy = 0
    for key in held:
        meaning = KEYS.get(key)
        if isinstance(meaning, int):
            return meaning
        if meaning is not None:
            dx, dy = dx + meaning[0], dy + meaning[1]
    return 3 * (dx + 1) + dy + 1
