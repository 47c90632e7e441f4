"""What environments are made of: every field checked before anything is made."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from genhub_cprocgen import _engine
from genhub_cprocgen.contexts import (
    EXPLORATION_LEVELS,
    documented_games,
    parameters_of,
    rules,
)
from genhub_cprocgen.errors import OptionError, closest

__all__ = ["LAYOUTS", "Options", "options_from"]

LAYOUTS = ("rgb", "rgb_chw", "gray", "none")
AUTORESETS = ("same_step", "next_step", "disabled")
VISIBILITIES = ("none", "info", "obs")
RENDER_MODES = (None, "rgb_array", "human")
MOST_ENVS = 65536
LEVELS_END = 2**31 - 1


@dataclass(frozen=True)
class Options:
    """The construction of environments; raises OptionError, naming the field.

    Fields
    ------
    game: one of the games, several separated by commas, or a list; dealt round robin.
    distribution_mode: easy, hard, extreme, memory or exploration, as far as the game has it.
    num_levels, start_level: levels start_level .. start_level + num_levels - 1; 0 levels means all.
    rand_seed: int32; decides the sequence of levels. None: from the operating system.
    use_sequential_levels: after a won level the next one follows, in the same episode.
    center_agent .. use_generated_assets: what is drawn, as in the benchmark; of these only
        restrict_themes can change dynamics, since picture sizes decide hit boxes.
    skin: "builtin", or the path of a folder laid out like the benchmark's pictures; with
        use_generated_assets the built-in one, whose pictures are all generated.
    contexts: None, a mapping, a list of one mapping per environment, or a sampler.
    context_visibility: whether infos or observations carry the context.
    num_threads: threads that step, the caller's among them; 0 and 1: only the caller's; -1: one
        per core.
    autoreset: same_step (the benchmark's), next_step or disabled, as in gymnasium.
    final_obs: return the last frame of an episode in `info["final_obs"]`.
    observation: rgb [64, 64, 3], rgb_chw [3, 64, 64], gray [64, 64], or none.
    copy: False returns observations as views of two alternating buffers, valid until the next but
        one step, and all else (rewards, ends, infos) as views that the next step overwrites.
    render_mode: None, rgb_array or human: pictures of 512 x 512.
    strict_parity: refuse whatever leaves the benchmark's behaviour.
    """

    game: str | Sequence[str]
    num_envs: int = 1
    distribution_mode: str = "hard"
    num_levels: int = 0
    start_level: int = 0
    rand_seed: int | None = None
    use_sequential_levels: bool = False
    center_agent: bool = True
    use_backgrounds: bool = True
    use_monochrome_assets: bool = False
    restrict_themes: bool = False
    paint_vel_info: bool = False
    use_generated_assets: bool = False
    skin: str | os.PathLike[str] = "builtin"
    contexts: Any = None
    context_visibility: str = "info"
    num_threads: int = 0
    autoreset: str = "same_step"
    final_obs: bool = False
    observation: str = "rgb"
    copy: bool = True
    render_mode: str | None = None
    strict_parity: bool = False
    games: tuple[str, ...] = field(init=False)  # one per environment

    def __post_init__(self) -> None:
        """Check every field on its own, then what they mean together."""
        self._check_kinds()
        names = self._names()
        self._check_modes(names)
        self._check_levels()
        if self.strict_parity:
            self._check_parity()
        games = tuple(names[i % len(names)] for i in range(self.num_envs))
        object.__setattr__(self, "games", games)

    def _check_kinds(self) -> None:
        _whole("num_envs", self.num_envs, 1, MOST_ENVS)
        _whole("num_levels", self.num_levels, 0, LEVELS_END)
        _whole("start_level", self.start_level, 0, LEVELS_END)
        _whole("num_threads", self.num_threads, -1, 1024)
        if self.rand_seed is not None:
            _whole("rand_seed", self.rand_seed, -(2**31), 2**31 - 1)
        for name in FLAGS:
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise OptionError(f"{name} must be true or false, got {getattr(self, name)!r}")
        if isinstance(self.autoreset, AutoresetMode):
            object.__setattr__(self, "autoreset", self.autoreset.name.lower())
        _one_of("autoreset", self.autoreset, AUTORESETS)
        _one_of("observation", self.observation, LAYOUTS)
        _one_of("context_visibility", self.context_visibility, VISIBILITIES)
        _one_of("render_mode", self.render_mode, RENDER_MODES)
        if not isinstance(self.skin, str | os.PathLike) or not str(self.skin):
            raise OptionError(f'skin must be "builtin" or the path of a folder, got {self.skin!r}')
        if self.final_obs and self.autoreset != "same_step":
            raise OptionError(
                f"final_obs belongs to autoreset same_step: with {self.autoreset} the last frame "
                "of an episode is the observation itself"
            )

    def _names(self) -> list[str]:
        listed = self.game.split(",") if isinstance(self.game, str) else self.game
        if not isinstance(listed, Sequence) or not listed:
            raise OptionError(f"game must be a name or a list of names, got {self.game!r}")
        names = [name.strip() if isinstance(name, str) else name for name in listed]
        known = _engine.games()
        for name in names:
            if name in known:
                continue
            if name in documented_games():
                raise OptionError(
                    f"game {name!r} is not in this version; it has {', '.join(known)}"
                )
            raise OptionError(f"there is no game {name!r}{closest(str(name), known)}")
        if self.num_envs % len(names):
            raise OptionError(
                f"num_envs must be a multiple of the {len(names)} games, got {self.num_envs}"
            )
        return names

    def _check_modes(self, names: list[str]) -> None:
        for name in names:
            modes = parameters_of(name).modes
            if self.distribution_mode not in modes:
                raise OptionError(
                    f"{name} has no distribution_mode {self.distribution_mode!r}; "
                    f"its modes are {', '.join(modes)}"
                )

    def _check_levels(self) -> None:
        if self.distribution_mode == "exploration" and (self.num_levels or self.start_level):
            raise OptionError(
                "distribution_mode exploration has one level of its own: "
                "leave num_levels and start_level out"
            )
        if self.start_level + self.num_levels > LEVELS_END:
            raise OptionError(
                f"start_level + num_levels must not be above {LEVELS_END}, "
                f"got {self.start_level} + {self.num_levels}"
            )
        if self.start_level and not self.num_levels:
            warnings.warn(
                f"start_level {self.start_level} has no effect, since num_levels 0 means all "
                "levels; give num_levels too",
                stacklevel=6,
            )

    def _check_parity(self) -> None:
        leaving = {
            "use_generated_assets": self.use_generated_assets,
            "contexts": self.contexts is not None,
            "autoreset": self.autoreset != "same_step",
            "observation": self.observation != "rgb",
            "context_visibility": self.context_visibility == "obs",
            "skin": self.skin == "builtin" and not self.use_monochrome_assets,
        }
        found = [name for name, leaves in leaving.items() if leaves]
        if found:
            raise OptionError(
                f"strict_parity refuses {', '.join(found)}: with them the environments are not the "
                "benchmark's (the built-in skin draws other pictures; give the benchmark's folder)"
            )

    def level_ranges(self) -> tuple[list[int], list[int]]:
        """Give num_levels and start_level per environment."""
        if self.distribution_mode == "exploration":
            return [1] * len(self.games), [EXPLORATION_LEVELS[game] for game in self.games]
        one = int(self.num_levels), int(self.start_level)
        return [one[0]] * len(self.games), [one[1]] * len(self.games)

    def engine_options(self, rand_seed: int) -> dict[str, Any]:
        """Give what the engine's constructor takes beside games, modes and skin."""
        num_levels, start_level = self.level_ranges()
        flags = [name for name in FLAGS if name != "strict_parity"]
        return {
            **{name: bool(getattr(self, name)) for name in flags},
            "observation": self.observation,
            "autoreset": self.autoreset,
            "num_levels": num_levels,
            "start_level": start_level,
            "rand_seed": rand_seed,
            "num_threads": max(1, int(self.num_threads)) if self.num_threads >= 0 else _cores(),
        }

    def engine_modes(self) -> list[str]:
        """Give the mode of each environment whose rules hold."""
        return [rules(self.distribution_mode)] * len(self.games)

    def seed(self) -> int:
        """Give rand_seed, or one from the operating system."""
        return secrets.randbelow(LEVELS_END) if self.rand_seed is None else int(self.rand_seed)


FLAGS = tuple(f.name for f in fields(Options) if f.default is True or f.default is False)


def options_from(values: Mapping[str, Any]) -> Options:
    """Make options from fields by name; raises OptionError for unknown ones."""
    known = [f.name for f in fields(Options) if f.init]
    for name in values:
        if name not in known:
            raise OptionError(f"there is no option {name!r}{closest(name, known)}")
    if "game" not in values:
        raise OptionError(f"game is missing; the games are {', '.join(_engine.games())}")
    return Options(**values)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def _whole(name: str, value: Any, low: int, high: int) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not low <= value <= high:
        raise OptionError(f"{name} must be a whole number from {low} to {high}, got {value!r}")


def _one_of(name: str, value: Any, allowed: Sequence[Any]) -> None:
    if value not in allowed:
        raise OptionError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")
