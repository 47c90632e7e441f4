"""The vector environment: N independent games that step together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from genhub_cprocgen import _engine
from genhub_cprocgen.contexts import Parameters, Value, parameters_of
from genhub_cprocgen.errors import (
    ActionError,
    ClosedError,
    ContextError,
    LevelGenerationError,
    OptionError,
    StateError,
)
from genhub_cprocgen.options import Options, options_from
from genhub_cprocgen.samplers import read_context, read_contexts
from genhub_cprocgen.skin import load_skin
from genhub_cprocgen.snapshot import DebugState, debug_state

__all__ = ["CProcgenVectorEnv"]

ACTIONS = 15
SIDE = 64
VIEW = 512  # side of what render() gives
SHAPES = {"rgb": (SIDE, SIDE, 3), "rgb_chw": (3, SIDE, SIDE), "gray": (SIDE, SIDE)}
AUTORESET = {
    "same_step": AutoresetMode.SAME_STEP,
    "next_step": AutoresetMode.NEXT_STEP,
    "disabled": AutoresetMode.DISABLED,
}


class CProcgenVectorEnv(VectorEnv):
    """N games in one engine; fields as in `Options`.

    Observations are uint8 [N, 64, 64, 3] (or as `observation` says), actions integers [N] of 0..14;
    -1 ends that episode at this step. `info` holds arrays [N]: `level_seed`, `prev_level_seed`,
    `prev_level_complete`, `first` (the observation is the first of an episode), `episode_return`
    and `episode_length` (of the episode that ended at this step, else of an earlier one).
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 15}  # noqa: RUF012

    def __init__(self, game: str | Sequence[str] | None = None, **fields: Any) -> None:
        """Check all fields and make the environments; levels are made by the first `reset`."""
        given = fields if game is None else {"game": game, **fields}
        self.options = options = options_from(given)
        self.games = options.games
        self.distribution_mode = options.distribution_mode
        self.num_envs = options.num_envs
        self.rand_seed = options.seed()
        self.render_mode = options.render_mode
        self._known = [parameters_of(name) for name in self.games]
        contexts, self._sampler = read_contexts(options.contexts, self.games, self._mode)
        self._batch = _engine.Batch(
            list(self.games),
            options.engine_modes(),
            load_skin(options.skin, self.games),
            **options.engine_options(self.rand_seed, _threads(options.num_threads)),
        )
        for i, context in enumerate(contexts):
            self._batch.set_context(i, context.row)
            if context.rules:
                self._batch.set_sampler(i, list(context.rules))
        self._started = self._stepping = False
        self._episodes = np.zeros(self.num_envs, np.int64)
        self._sampler_rng = np.random.default_rng(self.rand_seed & 0xFFFFFFFF)
        self._width = max(len(known.all) for known in self._known)
        self._rows = np.full((self.num_envs, self._width), np.nan)
        self._restarted: np.ndarray | None = None
        self._viewer: Any = None
        self._define_spaces()

    @property
    def _mode(self) -> str:
        return self.options.distribution_mode

    def _define_spaces(self) -> None:
        options = self.options
        if options.observation == "none":
            image: spaces.Space = spaces.Box(0, 255, (0,), np.uint8)
        else:
            image = spaces.Box(0, 255, SHAPES[options.observation], np.uint8)
        if options.context_visibility == "obs":
            context = spaces.Box(-1.0, 1.0, (self._width,), np.float32)
            self.single_observation_space: spaces.Space = spaces.Dict(
                {"image": image, "context": context}
            )
        else:
            self.single_observation_space = image
        self.single_action_space = spaces.Discrete(ACTIONS)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.metadata = {**self.metadata, "autoreset_mode": AUTORESET[options.autoreset]}

    # --- stepping ---
    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new levels everywhere, or where `options["reset_mask"]` is true.

        `seed` begins the sequences of levels anew, as rand_seed does. `options` may also hold
        `level_seed` (one number, or one per environment) and `contexts` (as in the construction).
        Raises OptionError, ContextError, LevelGenerationError.
        """
        self._check_ready()
        super().reset(seed=seed)
        wanted = dict(options or {})
        mask = self._mask(wanted.pop("reset_mask", None))
        seeds = self._level_seeds(wanted.pop("level_seed", None))
        contexts = wanted.pop("contexts", None)
        if wanted:
            raise OptionError(
                f"reset does not know {', '.join(map(repr, wanted))}; its options are reset_mask, "
                "level_seed and contexts"
            )
        if contexts is not None:
            self._replace_contexts(contexts, mask)
        if seed is not None:
            self._reseed(seed)
        self._begin(np.flatnonzero(mask), seeds)
        self._started = True
        return self._observation(), self._info()

    def step(
        self, actions: Any, out: np.ndarray | None = None
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step every environment once; actions are integers [N].

        `out` takes the observations, such as memory that a device reads from. Raises ActionError
        before anything is stepped, and LevelGenerationError after everything else was.
        """
        self.step_async(actions)
        return self.step_wait(out)

    def step_async(self, actions: Any) -> None:
        """Begin a step on the engine's threads; `step_wait` ends it."""
        self._check_ready()
        checked = self._checked(actions)
        try:
            self._batch.step_async(checked, defer=self._sampler is not None)
        except ValueError as error:
            raise ActionError(str(error)) from None
        self._stepping = True

    def step_wait(
        self, out: np.ndarray | None = None
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Wait for the step that was begun, working along; gives what `step` gives."""
        if self.closed:
            raise ClosedError("these environments are closed")
        if not self._stepping:
            raise ActionError("no step was begun: call step_async(actions) first")
        self._stepping = False
        batch = self._batch
        try:
            batch.step_wait()
        except _engine.LevelFailure:
            self._raise_failure()
        ended = batch.terminated | batch.truncated
        if self._sampler is not None and ended.any():
            self._sample(np.flatnonzero(ended))
        info = self._info()
        rewards, terminated, truncated = batch.rewards, batch.terminated, batch.truncated
        if self.options.copy:
            rewards, terminated, truncated = rewards.copy(), terminated.copy(), truncated.copy()
        observation = self._observation(out)
        if self.render_mode == "human":
            self.render()
        return observation, rewards, terminated, truncated, info

    def _checked(self, actions: Any) -> np.ndarray:
        if not self._started:
            raise ActionError("call reset() before the first step")
        array = np.asarray(actions)
        if array.dtype.kind not in "iu":
            raise ActionError(f"actions must be integers, got {array.dtype}")
        if array.shape != (self.num_envs,):
            raise ActionError(
                f"actions must have the shape ({self.num_envs},), one per environment, "
                f"got {array.shape}"
            )
        low, high = int(array.min()), int(array.max())
        if low < -1 or high >= ACTIONS:
            i = int(np.argmax((array < -1) | (array >= ACTIONS)))
            raise ActionError(
                f"actions must lie in 0..{ACTIONS - 1} (or be -1 to end the episode), "
                f"got {array[i]} for environment {i}"
            )
        return np.ascontiguousarray(array, np.int32)

    def _check_ready(self) -> None:
        if self.closed:
            raise ClosedError("these environments are closed")
        if self._stepping:
            raise ActionError("a step is under way: call step_wait() first")

    def _begin(self, indices: np.ndarray, seeds: np.ndarray | None, turn_page: bool = True) -> None:
        listed = [] if seeds is None else seeds[indices].tolist()
        try:
            self._batch.start(indices.astype(np.int32), listed, turn_page)
        except _engine.LevelFailure:
            self._raise_failure()

    def _raise_failure(self) -> None:
        index, seed, why = self._batch.failures[0]
        changed = self._known[index].changed(self._batch.pending_context(index), self._mode)
        raise LevelGenerationError(index, self.games[index], seed, changed, why) from None

    def _sample(self, ended: np.ndarray) -> None:
        """Ask the user's function for the contexts of those that have ended, and begin them."""
        self._episodes[ended] += 1
        for i in ended.tolist():
            last_return = float(self._batch.episode_return[i])
            self._ask_sampler(i, int(self._episodes[i]), last_return)
        if self.options.autoreset == "same_step":
            self._begin(ended, None, turn_page=False)

    def _ask_sampler(self, i: int, episode: int, last_return: float) -> None:
        assert self._sampler is not None
        values = self._sampler(i, episode, last_return, self._sampler_rng)
        context = read_context(values, self.games[i], self._mode)
        self._batch.set_context(i, context.row)
        self._batch.set_sampler(i, list(context.rules))

    def _reseed(self, seed: int) -> None:
        if isinstance(seed, bool) or not -(2**31) <= seed < 2**31:
            raise OptionError(f"seed must be a whole number of 32 bits, got {seed!r}")
        self.rand_seed = int(seed)
        self._batch.seed(self.rand_seed)
        self._sampler_rng = np.random.default_rng(self.rand_seed & 0xFFFFFFFF)
        self._episodes[:] = 0

    def _mask(self, mask: Any) -> np.ndarray:
        if mask is None:
            whole = np.ones(self.num_envs, bool)
        else:
            whole = np.asarray(mask)
            if whole.dtype != bool or whole.shape != (self.num_envs,):
                raise OptionError(
                    f"reset_mask must be true or false for each of {self.num_envs} environments, "
                    f"got {whole.dtype} {whole.shape}"
                )
            if not self._started and not whole.all():
                raise OptionError("the first reset must begin every environment: no mask yet")
        if self._sampler is not None:
            for i in np.flatnonzero(whole).tolist():
                self._ask_sampler(i, int(self._episodes[i]), 0.0)
        return whole

    def _level_seeds(self, seeds: Any) -> np.ndarray | None:
        if seeds is None:
            return None
        array = np.asarray(seeds)
        fits = array.dtype.kind in "iu" and array.shape in ((), (self.num_envs,))
        if not fits or array.min() < -(2**31) or array.max() >= 2**31:
            raise OptionError(
                "level_seed must be one whole number of 32 bits, or one per environment, "
                f"got {seeds!r}"
            )
        return np.broadcast_to(array, (self.num_envs,)).astype(np.int32)

    # --- what is returned ---
    def _observation(self, out: np.ndarray | None = None) -> Any:
        image = self._batch.observations()
        if image is None:
            image = np.zeros((self.num_envs, 0), np.uint8)
        if out is not None:
            if out.shape != image.shape or out.dtype != image.dtype:
                raise OptionError(
                    f"out must be {image.dtype} {image.shape}, got {out.dtype} {out.shape}"
                )
            np.copyto(out, image)
            image = out
        elif self.options.copy:
            image = image.copy()
        if self.options.context_visibility != "obs":
            return image
        return {"image": image, "context": self.context_matrix(normalised=True)}

    def _info(self) -> dict[str, Any]:
        batch = self._batch
        info: dict[str, Any] = {
            "level_seed": batch.level_seed,
            "prev_level_seed": batch.prev_level_seed,
            "prev_level_complete": batch.prev_level_complete,
            "first": batch.first,
            "episode_return": batch.episode_return,
            "episode_length": batch.episode_length,
        }
        if self.options.copy:
            info = {name: values.copy() for name, values in info.items()}
        if self._restarted is not None:
            info["restarted"] = self._restarted
            self._restarted = None
        if self.options.final_obs:
            final = batch.final_observations()
            info["final_obs"] = final.copy() if self.options.copy and final is not None else final
            info["_final_obs"] = info["first"]
        return info

    def observe(self) -> Any:
        """Give the present observations again, as after `set_context(..., when="now")`."""
        self._check_ready()
        return self._observation()

    # --- contexts ---
    def set_context(
        self,
        indices: int | Sequence[int] | None,
        context: Mapping[str, Any],
        mode: Literal["merge", "replace"] = "merge",
        when: Literal["next_reset", "now"] = "next_reset",
    ) -> None:
        """Change the context of some environments (None: all).

        `merge` changes only what is named, over the context that was set last; `replace` starts
        from the distribution mode. `now` ends their episodes at once, which the next infos tell in
        `restarted`, and begins new levels. Raises ContextError, and then nothing has changed.
        """
        self._check_ready()
        if mode not in ("merge", "replace"):
            raise ContextError(f"mode must be merge or replace, got {mode!r}")
        if when not in ("next_reset", "now"):
            raise ContextError(f"when must be next_reset or now, got {when!r}")
        chosen = self._indices(indices)
        made = []
        for i in chosen:
            base = self._batch.pending_context(i) if mode == "merge" else None
            made.append(read_context(context, self.games[i], self._mode, base))
        for i, new in zip(chosen, made, strict=True):
            self._batch.set_context(i, new.row)
            if new.rules or mode == "replace":
                self._batch.set_sampler(i, list(new.rules))
        if when == "now" and self._started:
            if self._restarted is None:
                self._restarted = np.zeros(self.num_envs, bool)
            self._restarted[chosen] = True
            self._begin(np.array(chosen), None)

    def _replace_contexts(self, contexts: Any, mask: np.ndarray) -> None:
        made, sampler = read_contexts(contexts, self.games, self._mode)
        if sampler is not None:
            raise OptionError(
                "reset takes contexts as values or rules; give a function to make_vec"
            )
        for i in np.flatnonzero(mask).tolist():
            self._batch.set_context(i, made[i].row)
            self._batch.set_sampler(i, list(made[i].rules))

    def _indices(self, indices: int | Sequence[int] | None) -> list[int]:
        if indices is None:
            return list(range(self.num_envs))
        listed = np.atleast_1d(np.asarray(indices))
        whole = listed.ndim == 1 and listed.dtype.kind in "iu"
        if not whole or (listed < 0).any() or (listed >= self.num_envs).any():
            raise OptionError(f"environments are numbered 0..{self.num_envs - 1}, got {indices!r}")
        return [int(i) for i in listed]

    def get_context(self, i: int | None = None) -> Any:
        """Give the context of the running level, defaults included; of all without `i`."""
        return self._read_rows(self._batch.context, i)

    def get_pending_context(self, i: int | None = None) -> Any:
        """Give the context that was set for the next level; rules are not drawn yet."""
        return self._read_rows(self._batch.pending_context, i)

    def _read_rows(self, read: Any, i: int | None) -> Any:
        self._check_ready()
        if i is None:
            return [self._read_rows(read, k) for k in range(self.num_envs)]
        [i] = self._indices(i)
        return self._known[i].values(read(i), self._mode)

    def context_matrix(self, normalised: bool = False) -> np.ndarray:
        """Give the contexts of the running levels as numbers, one row per environment.

        float64 [N, P] in units of the parameters, or float32 in 0..1 over their ranges (-1 where
        the game's own rule decides). With several games P is that of the longest; the rest is 0.
        """
        matrix = np.zeros((self.num_envs, self._width), np.float32 if normalised else np.float64)
        for i, known in enumerate(self._known):
            row = self._batch.context(i)
            read = known.normalised if normalised else known.numbers
            matrix[i, : len(known.all)] = read(row, self._mode)
        return matrix

    def context_names(self, i: int = 0) -> list[str]:
        """Name the columns of the matrix for environment `i`."""
        return [p.name for p in self._known[i].all]

    def context_space(self, game: str | None = None) -> spaces.Dict:
        """Give the space of contexts of a game (default: the first)."""
        return context_space(parameters_of(game or self.games[0]))

    def episode_values(self) -> dict[str, np.ndarray]:
        """Give what the running levels drew, by name: float64 [N], not-a-number for other games."""
        self._check_ready()
        values: dict[str, np.ndarray] = {}
        for i in range(self.num_envs):
            for name, value in self._batch.episode_values(i).items():
                values.setdefault(name, np.full(self.num_envs, np.nan))[i] = value
        return values

    # --- states and views ---
    def get_state(self) -> list[bytes]:
        """Give the whole state of each environment; `set_state` goes on exactly from there."""
        self._check_ready()
        return [self._batch.get_state(i) for i in range(self.num_envs)]

    def set_state(self, states: Sequence[bytes]) -> None:
        """Load states; raises StateError, and then environments before the faulty one have changed.

        A state belongs to a game, a mode and a version, which it names.
        """
        self._check_ready()
        if len(states) != self.num_envs:
            raise StateError(f"one state per environment is needed: {self.num_envs}")
        for i, state in enumerate(states):
            if not isinstance(state, bytes):
                raise StateError(f"environment {i}: a state is bytes, got {type(state).__name__}")
            try:
                self._batch.set_state(i, state)
            except _engine.StateError as error:
                raise StateError(f"environment {i}: {error}") from None
        self._started = True

    def debug_state(self, i: int = 0) -> DebugState:
        """Give the grid, the entities and the scalars of one environment."""
        self._check_ready()
        [i] = self._indices(i)
        return debug_state(self._batch.debug_state(i))

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Give (rgb_array) or show (human) the environments at 512 x 512, antialiased."""
        self._check_ready()
        if self.render_mode is None:
            raise OptionError('render() needs render_mode "rgb_array" or "human" at construction')
        if self.render_mode == "human":
            self._show()
            return None
        return tuple(self._batch.render(i, VIEW) for i in range(self.num_envs))

    def _show(self) -> None:
        from genhub_cprocgen.window import Window

        if self._viewer is None:
            self._viewer = Window(VIEW, f"{self.games[0]} ({self._mode})")
        self._viewer.show(self._batch.render(0, VIEW))

    def close_extras(self, **kwargs: Any) -> None:
        """Free the engine; arrays that were returned as views stay readable."""
        if self._viewer is not None:
            self._viewer.close()
        self._batch.close()


def context_space(known: Parameters) -> spaces.Dict:
    """Give the space that a game's contexts lie in, one entry per parameter."""
    return spaces.Dict({p.name: _space(p.type, p.min, p.max, p.odd) for p in known.all})


def _space(kind: str, low: Value, high: Value, odd: bool) -> spaces.Space:
    if kind == "bool":
        return spaces.Discrete(2)
    if kind == "int":
        assert low is not None and high is not None
        start, count = int(low), int(high) - int(low) + 1
        return spaces.Discrete(count, start=start)
    return spaces.Box(float(low or 0), float(high or 0), (), np.float64)


def _threads(wanted: int) -> int:
    if wanted >= 0:
        return max(1, wanted)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1
