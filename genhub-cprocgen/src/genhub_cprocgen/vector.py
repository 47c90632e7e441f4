"""The vector environment: N independent games that step together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from genhub_cprocgen import _engine
from genhub_cprocgen.actions import ACTION_NAMES
from genhub_cprocgen.arguments import (
    ACTIONS,
    check_range,
    checked_seed,
    env_indices,
    one_of,
    output_array,
    reset_options,
    whole_actions,
)
from genhub_cprocgen.batch_contexts import BatchContexts
from genhub_cprocgen.context_spaces import context_space
from genhub_cprocgen.errors import (
    ActionError,
    ClosedError,
    LevelGenerationError,
    OptionError,
    StateError,
)
from genhub_cprocgen.options import options_from
from genhub_cprocgen.skin import load_skin
from genhub_cprocgen.snapshot import DebugState, debug_state

__all__ = ["CProcgenVectorEnv"]

SIDE = 64
VIEW = 512  # side of what render() gives
SHAPES = {"rgb": (SIDE, SIDE, 3), "rgb_chw": (3, SIDE, SIDE), "gray": (SIDE, SIDE), "none": (0,)}
AUTORESET = {
    "same_step": AutoresetMode.SAME_STEP,
    "next_step": AutoresetMode.NEXT_STEP,
    "disabled": AutoresetMode.DISABLED,
}
RESULTS = ("rewards", "terminated", "truncated")
INFOS = (
    *("level_seed", "prev_level_seed", "prev_level_complete", "first"),
    *("episode_return", "episode_length"),
)


class CProcgenVectorEnv(VectorEnv):
    """N games in one engine; fields as in `Options`.

    Observations are uint8 [N, 64, 64, 3] (or as `observation` says), actions integers [N] of 0..14;
    -1 ends that episode at this step. `info` holds arrays [N]: `level_seed`, `prev_level_seed`,
    `prev_level_complete`, `first` (the observation is the first of an episode), `episode_return`
    and `episode_length` (of the episode that ended at this step, else of an earlier one). With
    context_visibility info it also holds `context`, the matrix of `context_matrix()`; with
    final_obs `final_obs` and `_final_obs`, which says where it is valid.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 15}  # noqa: RUF012
    action_names = ACTION_NAMES

    def __init__(self, game: str | Sequence[str] | None = None, **fields: Any) -> None:
        """Check all fields and make the environments; levels are made by the first `reset`."""
        given = fields if game is None else {"game": game, **fields}
        self.options = options = options_from(given)
        self.games = options.games
        self.distribution_mode = options.distribution_mode
        self.num_envs = int(options.num_envs)
        self.rand_seed = options.seed()
        self.render_mode = options.render_mode
        skin = "builtin" if options.use_generated_assets else options.skin
        self._batch = _engine.Batch(
            list(self.games),
            options.engine_modes(),
            load_skin(skin, self.games),
            **options.engine_options(self.rand_seed),
        )
        self._contexts = BatchContexts(
            self._batch, self.games, self.distribution_mode, options.contexts
        )
        self._contexts.reseed(self.rand_seed)
        self._results = tuple(getattr(self._batch, name) for name in RESULTS)
        self._infos = {name: getattr(self._batch, name) for name in INFOS}
        self._started = self._stepping = False
        self._out: np.ndarray | None = None
        self._failure: LevelGenerationError | None = None
        self._restarted: np.ndarray | None = None
        self._viewer: Any = None
        self._define_spaces()

    def _define_spaces(self) -> None:
        options = self.options
        space: spaces.Space = spaces.Box(0, 255, SHAPES[options.observation], np.uint8)
        if options.context_visibility == "obs":
            context = spaces.Box(-1.0, 1.0, (self._contexts.width,), np.float32)
            space = spaces.Dict({"image": space, "context": context})
        self.single_observation_space = space
        self.single_action_space = spaces.Discrete(ACTIONS)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.metadata = {**self.metadata, "autoreset_mode": AUTORESET[options.autoreset]}

    # --- stepping ---
    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new levels everywhere, or where `options["reset_mask"]` is true.

        `seed` begins the sequences of levels anew, as rand_seed does (schedules go on: they count
        all steps of these environments). `options` may also hold
        `level_seed` (one number, or one per environment) and `contexts` (as in the construction).
        Raises OptionError, ContextError, LevelGenerationError.
        """
        self._check_ready()
        mask, seeds, contexts = reset_options(options or {}, self.num_envs)
        if not self._started and not mask.all():
            raise OptionError("the first reset must begin every environment: no mask yet")
        number = None if seed is None else checked_seed(seed)
        if contexts is not None:
            self._contexts.replace(contexts, mask)
        if number is not None:
            self._reseed(number)
        if contexts is None:
            self._contexts.ask(mask, begins=True)
        self._started = True
        self._begin(np.flatnonzero(mask), seeds)
        info = self._info(np.zeros(self.num_envs, bool))  # contexts first, for the observation
        return self._given((self._observation(), info))

    def _reseed(self, seed: int) -> None:
        super().reset(seed=seed & 0x7FFFFFFF)
        self.rand_seed = seed
        self._batch.seed(seed)
        self._contexts.reseed(seed)

    def step(
        self, actions: Any, out: Any = None
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step every environment once; actions are integers [N].

        `out` takes the observations: an array, or a tensor in the host's memory, such as memory
        that a device reads from. Raises ActionError or OptionError before anything is stepped, and
        LevelGenerationError after everything else was.
        """
        self.step_async(actions, out)
        return self.step_wait()

    def step_async(self, actions: Any, out: Any = None) -> None:
        """Begin a step on the engine's threads; `step_wait` ends it."""
        self._check_ready()
        if not self._started:
            raise ActionError("call reset() before the first step")
        whole = whole_actions(actions, self.num_envs)
        if out is not None:
            out = output_array(out, (self.num_envs, *SHAPES[self.options.observation]))
        try:
            self._batch.step_async(whole, self._contexts.sampler is not None)
        except ValueError as error:
            check_range(whole)
            raise ActionError(str(error)) from None
        self._out = out
        self._stepping = True

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Wait for the step that was begun, working along; gives what `step` gives."""
        if self.closed:
            raise ClosedError("these environments are closed")
        if not self._stepping:
            raise ActionError("no step was begun: call step_async(actions) first")
        try:
            self._batch.step_wait()
        except _engine.LevelFailure:
            self._failure = self._described()
        finally:
            self._stepping = False
        results = self._results
        ended = results[1] | results[2]
        if self._contexts.sampler is not None:
            self._ask_for_levels(ended)
        info = self._info(ended)
        if self.options.copy:
            results = tuple(values.copy() for values in results)
        observation = self._observation(self._out)
        if self.render_mode == "human":
            self.render()
        return self._given((observation, *results, info))

    def _given(self, results: tuple[Any, ...]) -> Any:
        """Return the results, or raise with them what went wrong in one environment."""
        failure, self._failure = self._failure, None
        if failure is None:
            return results
        failure.results = results
        raise failure

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
            self._failure = self._described()

    def _described(self) -> LevelGenerationError:
        i, seed, why = self._batch.failures[0]
        return LevelGenerationError(i, self.games[i], seed, self._contexts.changed(i), why)

    def _ask_for_levels(self, ended: np.ndarray) -> None:
        """Let the user's function decide what follows the episodes that ended."""
        self._contexts.note_ends(ended)
        if self.options.autoreset == "disabled" or not ended.any():
            return
        at_once = self.options.autoreset == "same_step"
        self._contexts.ask(ended, begins=at_once)
        if at_once:
            self._begin(np.flatnonzero(ended), None, turn_page=False)

    # --- what is returned ---
    def _observation(self, out: np.ndarray | None = None) -> Any:
        image = self._batch.observations()
        if image is None:
            image = np.zeros((self.num_envs, 0), np.uint8)
        if out is not None:
            np.copyto(out, image)
            image = out
        if self.options.context_visibility != "obs":
            return image
        return {"image": image, "context": self._contexts.matrix(normalised=True).copy()}

    def _info(self, ended: np.ndarray) -> dict[str, Any]:
        batch, options = self._batch, self.options
        if options.copy:
            info: dict[str, Any] = {name: values.copy() for name, values in self._infos.items()}
        else:
            info = dict(self._infos)
        if self._restarted is not None:
            info["restarted"] = self._restarted
            self._restarted = None
        if options.final_obs:
            final = batch.final_observations()
            info["final_obs"] = final.copy() if options.copy and final is not None else final
            info["_final_obs"] = ended
        begun = self._infos["first"]
        begun = begun | info["prev_level_complete"] if options.use_sequential_levels else begun
        self._contexts.refresh(begun)
        if options.context_visibility == "info":
            context = self._contexts.matrix(normalised=False)
            info["context"] = context.copy() if options.copy else context
        return info

    def observe(self) -> Any:
        """Give the present observations again, as after `set_context(..., when="now")`."""
        self._check_ready()
        if self.options.copy:
            self._batch.draw_all()
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

        `merge` changes only what is named, over the context and rules that were set last; `replace`
        starts from the distribution mode. `now` ends their episodes at once, which the next infos
        tell in `restarted`, and begins new levels. Where contexts come from a function, its next
        answer replaces what was set. Raises ContextError, and then nothing has changed; with `now`
        also LevelGenerationError.
        """
        self._check_ready()
        one_of("mode", mode, ("merge", "replace"))
        one_of("when", when, ("next_reset", "now"))
        chosen = env_indices(indices, self.num_envs)
        self._contexts.change(chosen, context, merge=mode == "merge")
        if when == "now" and self._started and chosen:
            if self._restarted is None:
                self._restarted = np.zeros(self.num_envs, bool)
            self._restarted[chosen] = True
            self._begin(np.array(chosen), None)
            self._contexts.refresh(self._restarted)
            self._given(())

    def get_context(self, i: int | None = None) -> Any:
        """Give the context of the running level, defaults included; of all without `i`."""
        return self._read(self._contexts.running, i)

    def get_pending_context(self, i: int | None = None) -> Any:
        """Give the context that was set for the next level; rules are not drawn yet."""
        return self._read(self._contexts.pending, i)

    def _read(self, read: Any, i: int | None) -> Any:
        self._check_ready()
        if i is None:
            return [read(k) for k in range(self.num_envs)]
        return read(env_indices(i, self.num_envs)[0])

    def context_matrix(self, normalised: bool = False) -> np.ndarray:
        """Give the contexts of the running levels as numbers, float32 [N, P].

        In units of the parameters, or in 0..1 over their ranges; -1 where the game's own rule
        decides. With several games P is that of the longest; the rest is 0.
        """
        self._check_ready()
        return self._contexts.matrix(normalised).copy()

    def context_names(self, i: int = 0) -> list[str]:
        """Name the columns of the matrix for environment `i`."""
        return self._contexts.names(env_indices(i, self.num_envs)[0])

    def context_space(self, game: str | None = None) -> spaces.Dict:
        """Give the space of contexts of a game (default: the first)."""
        return context_space(game or self.games[0], self.distribution_mode)

    def episode_values(self) -> dict[str, np.ndarray]:
        """Give what the running levels drew, by name: float64 [N], not-a-number for other games.

        And where there is no level: before the first reset, or where none could be made.
        """
        self._check_ready()
        return self._contexts.episode_values()

    def get_state(self) -> list[bytes]:
        """Give the whole state of each environment; `set_state` goes on exactly from there.

        It has all of the engine, the contexts and the draws of rules, but neither the rules
        themselves nor what a function of the user keeps.
        """
        self._check_ready()
        return [self._batch.get_state(i) for i in range(self.num_envs)]

    def set_state(self, states: Sequence[bytes]) -> None:
        """Load states; raises StateError, and then nothing has changed.

        A state belongs to a game, a mode and a version, which it names.
        """
        self._check_ready()
        if len(states) != self.num_envs:
            raise StateError(
                f"one state per environment is needed: {self.num_envs}, got {len(states)}"
            )
        before = self.get_state()
        for i, state in enumerate(states):
            try:
                if not isinstance(state, bytes):
                    raise StateError(f"a state is bytes, got {type(state).__name__}")
                self._batch.set_state(i, state)
            except (StateError, _engine.StateError) as error:
                for k, old in enumerate(before[:i]):
                    self._batch.set_state(k, old)
                raise StateError(f"environment {i}: {error}") from None
        self._batch.draw_all()
        self._contexts.refresh()
        self._started = True

    def debug_state(self, i: int = 0) -> DebugState:
        """Give the grid, the entities and the scalars of one environment."""
        self._check_ready()
        return debug_state(self._batch.debug_state(env_indices(i, self.num_envs)[0]))

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Give (rgb_array) or show (human) the environments at 512 x 512, antialiased."""
        self._check_ready()
        if self.render_mode is None:
            raise OptionError('render() needs render_mode "rgb_array" or "human" at construction')
        if not self._started:
            raise ActionError("call reset() before render()")
        if self.render_mode == "human":
            self._show()
            return None
        return tuple(self._batch.render(i, VIEW) for i in range(self.num_envs))

    def _show(self) -> None:
        from genhub_cprocgen.window import Window

        if self._viewer is None:
            self._viewer = Window(VIEW, f"{self.games[0]} ({self.distribution_mode})")
        self._viewer.show(self._batch.render(0, VIEW))

    def close_extras(self, **kwargs: Any) -> None:
        """Free the engine; arrays that were returned as views stay readable."""
        if self._viewer is not None:
            self._viewer.close()
        self._batch.close()
