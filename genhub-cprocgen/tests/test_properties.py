"""Whatever valid contexts, seeds and actions come: no failure of the engine, and exact states."""

from __future__ import annotations

import math
import random
import struct
from contextlib import closing, suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import genhub_cprocgen as cp
from conftest import GAME_MODES
from genhub_cprocgen.contexts import Parameter, parameters_of

SEEDS = st.integers(0, 2**31 - 1)
GAME_AND_MODE = st.sampled_from(GAME_MODES)
MOST_ENTITIES = 20_000


def values(parameter: Parameter, mode: str) -> st.SearchStrategy:
    """Valid values of a parameter, its bounds and its default often among them."""
    low, high, default = parameter.min, parameter.max, parameter.default[mode]
    if parameter.type == "bool":
        return st.booleans()
    if parameter.odd:
        return st.integers(int(low) // 2, (int(high) - 1) // 2).map(lambda half: 2 * half + 1)
    plain = st.floats if parameter.type == "float" else st.integers
    return plain(low, high) | st.sampled_from([low, high] + ([] if default is None else [default]))


@st.composite
def contexts(draw, game: str, mode: str) -> dict:
    """A valid context that gives some parameters, with pairs put in order."""
    known = parameters_of(game)
    chosen = draw(st.lists(st.sampled_from(range(len(known.all))), unique=True, max_size=5))
    context = {known.all[i].name: draw(values(known.all[i], mode)) for i in chosen}
    defaults = {p.name: p.default[mode] for p in known.all}
    for low, high in known.ordered_pairs * len(known.ordered_pairs):
        if low in context or high in context:
            a, b = (context.get(name, defaults[name]) for name in (low, high))
            context |= {low: min(a, b), high: max(a, b)}
    return context


@st.composite
def settings_of_env(draw) -> dict:
    game, mode = draw(GAME_AND_MODE)
    flags = ("use_backgrounds", "use_monochrome_assets", "restrict_themes", "paint_vel_info")
    return {
        "game": game,
        "distribution_mode": mode,
        "contexts": draw(contexts(game, mode)),
        "rand_seed": draw(SEEDS),
        "use_sequential_levels": draw(st.booleans()),
        "center_agent": draw(st.booleans()),
        **{flag: draw(st.booleans()) for flag in flags},
    }


@settings(max_examples=120, deadline=None, derandomize=True)
@given(fields=settings_of_env(), seed=SEEDS)
def test_any_valid_context_can_be_played(fields, seed):
    rng = np.random.default_rng(seed)
    with closing(cp.make_vec(num_envs=2, **fields)) as env:
        try:
            env.reset()
            for _ in range(60):
                _, reward, *_ = env.step(rng.integers(-1, 15, 2))
                assert np.isfinite(reward).all()
        except cp.LevelGenerationError as error:
            assert error.game == fields["game"]
            return
        for i in (0, 1):
            state = env.debug_state(i)
            assert len(state.entities) < MOST_ENTITIES
            for name in ("x", "y", "vx", "vy", "rx", "ry", "rotation"):
                assert np.isfinite(state.entities[name]).all(), name


@settings(max_examples=60, deadline=None, derandomize=True)
@given(fields=settings_of_env(), seed=SEEDS, played=st.integers(0, 40))
def test_any_state_goes_on_exactly_in_a_new_environment(fields, seed, played):
    rng = np.random.default_rng(seed)
    before, after = rng.integers(-1, 15, (played, 1)), rng.integers(-1, 15, (30, 1))
    plain = {name: value for name, value in fields.items() if name != "contexts"}
    with closing(cp.make_vec(**fields)) as env, closing(cp.make_vec(**plain)) as other:
        try:
            env.reset()
            for action in before:
                env.step(action)
            other.set_state(env.get_state())
            for action in after:
                ours, theirs = env.step(action), other.step(action)
                for a, b in zip(ours[:4], theirs[:4], strict=True):
                    np.testing.assert_array_equal(a, b)
                assert ours[4]["level_seed"] == theirs[4]["level_seed"]
        except cp.LevelGenerationError:
            return
        assert env.get_state() == other.get_state()
        assert env.get_context() == other.get_context()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(game_mode=GAME_AND_MODE, data=st.data())
def test_a_context_gives_the_same_level_whatever_was_played_before(game_mode, data):
    game, mode = game_mode
    context, seed = data.draw(contexts(game, mode)), data.draw(SEEDS)
    if game == "miner":
        context["strict_reset"] = True  # its diamond counter survives episodes otherwise
    fields = {"distribution_mode": mode, "observation": "none", "rand_seed": 3}
    with (
        closing(cp.make_vec(game, contexts=context, **fields)) as fresh,
        closing(cp.make_vec(game, **fields)) as used,
    ):
        used.reset()
        for action in range(15):
            used.step(np.array([action]))
        used.set_context(0, context)
        try:
            for env in (fresh, used):
                env.reset(options={"level_seed": seed})
        except cp.LevelGenerationError:
            return
        ours, theirs = fresh.debug_state(), used.debug_state()
        np.testing.assert_array_equal(ours.grid, theirs.grid)
        np.testing.assert_array_equal(ours.entities, theirs.entities)
        assert ours.scalars["generator_consumed"] == theirs.scalars["generator_consumed"]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(game_mode=GAME_AND_MODE, data=st.data())
def test_merging_step_by_step_is_merging_at_once(game_mode, data):
    game, mode = game_mode
    first, second = data.draw(contexts(game, mode)), data.draw(contexts(game, mode))
    with closing(cp.make_vec(game, num_envs=2, distribution_mode=mode, observation="none")) as env:
        try:
            env.set_context(0, first)
            env.set_context(0, second)
            env.set_context(1, {**first, **second})
        except cp.ContextError:
            return  # two valid contexts may contradict each other
        one, other = env.get_pending_context()
        # A largest maze that follows its world does so at each step.
        follows = {} if "max_maze_dim" not in one else {"max_maze_dim": 0}
        assert {**one, **follows} == {**other, **follows}


@pytest.mark.parametrize("bad", [b"\0", b"\xff" * 8])
def test_no_damage_to_a_state_passes_its_checksum(bad):
    with closing(cp.make_vec("heist", rand_seed=1, observation="none")) as env:
        env.reset()
        good = env.get_state()[0]
        for at in range(0, len(good), 97):
            damaged = good[:at] + bad + good[at + len(bad) :]
            if damaged == good:
                continue
            with pytest.raises(cp.StateError):
                env.set_state([damaged])
        assert env.get_state() == [good]


NASTY = (
    -1,
    -(2**63),
    2**31,
    10**6,
    77,
    *struct.unpack("<3q", struct.pack("<3d", 1e30, math.nan, -5)),
)


@pytest.mark.parametrize("game", cp.games())
def test_a_forged_state_is_refused_or_played(game: str) -> None:
    """Whatever a file holds where a number stands, the process goes on."""
    env = cp.make_vec(game, distribution_mode="hard", rand_seed=1)
    env.reset()
    [state] = env.get_state()
    start = state.index(b"\n") + 1
    dice = random.Random(game)
    refused = 0
    for _ in range(60):
        body = bytearray(state[start:-4])
        # Fields are of 8 bytes, but for the words of two generators, which stand before the others.
        at = len(body) - 8 * dice.randrange(1, len(body) // 8)
        body[at : at + 8] = struct.pack("<q", dice.choice(NASTY))
        try:
            env.set_state([state[:start] + bytes(body) + struct.pack("<I", _checksum(body))])
        except cp.StateError:
            refused += 1
            continue
        with suppress(cp.LevelGenerationError):
            for _ in range(15):
                env.step(np.array([dice.randrange(15)]))
        env.reset()
    assert refused > 5


def _checksum(body: bytes) -> int:
    value = 2166136261
    for byte in body:
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value
