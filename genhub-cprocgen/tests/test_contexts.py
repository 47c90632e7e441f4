"""Contexts as data: names, types, ranges, order, odd sizes, merging, and what is in force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gymnasium import spaces

import genhub_cprocgen as cp
from conftest import GAME_MODES, GAMES
from genhub_cprocgen.contexts import documented_games, parameters_of, rules, table
from genhub_cprocgen.samplers import read_context

REFUSED = [
    ("maze", {"goal_rewards": 1}, "has no parameter 'goal_rewards'; did you mean \"goal_reward\"?"),
    ("maze", {"num_goals": 1.5}, "maze: num_goals must be a whole number, got 1.5"),
    ("maze", {"num_goals": True}, "maze: num_goals must be a whole number, got True"),
    ("maze", {"num_goals": "2"}, "maze: num_goals must be a whole number, got '2'"),
    ("maze", {"num_goals": 21}, "maze: num_goals must be from 1 to 20, got 21"),
    ("maze", {"num_goals": math.nan}, "maze: num_goals must be"),
    ("maze", {"num_goals": None}, "maze: num_goals must be a whole number, got None"),
    ("maze", {"goal_reward": math.inf}, "maze: goal_reward must be from -1000 to 1000, got inf"),
    ("maze", {"goal_reward": math.nan}, "maze: goal_reward must be from -1000 to 1000, got nan"),
    ("maze", {"world_dim": 10}, "maze: world_dim must be an odd number from 5 to 63, got 10"),
    ("maze", {"start_random": 1}, "maze: start_random must be true or false, got 1"),
    ("maze", {"min_maze_dim": 17}, "maze: min_maze_dim must not be above max_maze_dim"),
    ("maze", {"max_maze_dim": 17}, "maze: max_maze_dim must not be above world_dim, got 17 and 15"),
    ("starpilot", {"min_time": 20, "max_time": 10}, "min_time must not be above max_time"),
    ("heist", 3, "a context of heist is a mapping of parameters to values, got 3"),
]


@pytest.mark.parametrize(("game", "context", "words"), REFUSED)
def test_what_a_context_cannot_hold_is_refused_by_game_and_name(game, context, words):
    with pytest.raises(cp.ContextError) as error:
        read_context(context, game, "easy")
    assert words in str(error.value)


def test_floats_take_whole_numbers_and_whole_floats_are_ints():
    row = read_context({"goal_reward": 3, "num_goals": 2.0}, "maze", "easy").row
    values = parameters_of("maze").values(row, "easy")
    assert values["goal_reward"] == 3.0
    assert type(values["goal_reward"]) is float
    assert values["num_goals"] == 2
    assert type(values["num_goals"]) is int


def test_numpys_scalars_are_accepted():
    given = {"goal_reward": np.float32(0.5), "num_goals": np.int64(3), "start_random": np.True_}
    row = read_context({**given, "visibility": np.array(5.0)}, "maze", "easy").row
    values = parameters_of("maze").values(row, "easy")
    assert (values["goal_reward"], values["num_goals"]) == (0.5, 3)
    assert values["start_random"] is True


@pytest.mark.parametrize(("game", "mode"), GAME_MODES)
def test_a_value_equal_to_the_default_counts_as_unset(game, mode):
    known = parameters_of(game)
    defaults = {p.name: p.default[mode] for p in known.all}
    assert np.isnan(read_context(defaults, game, mode).row).all()


def test_aliases_name_the_same_parameter():
    one = read_context({"uneven_ground": False}, "coinrun", "easy").row
    other = read_context({"unenven_ground": False}, "coinrun", "easy").row
    np.testing.assert_array_equal(one, other)


def test_a_maze_follows_its_world_unless_it_has_a_size_of_its_own():
    def sizes(context, base=None):
        row = read_context(context, "maze", "easy", base).row
        values = parameters_of("maze").values(row, "easy")
        return values["world_dim"], values["max_maze_dim"]

    assert sizes({"world_dim": 9}) == (9, 9)
    assert sizes({"world_dim": 21}) == (21, 21)
    assert sizes({"world_dim": 21, "max_maze_dim": 15}) == (21, 15)
    own = read_context({"max_maze_dim": 7}, "maze", "easy").row
    assert sizes({"world_dim": 21}, own) == (21, 7)


@pytest.mark.parametrize("game", documented_games())
def test_the_table_documents_every_parameter(game):
    for parameter in table([game]):
        assert parameter.meaning
        assert set(parameter.default) == {rules(m) for m in parameters_of(game).modes}
        if parameter.type != "bool":
            assert parameter.min < parameter.max
            for value in parameter.default.values():
                assert value is None or parameter.min <= value <= parameter.max


def test_the_table_has_the_published_number_of_parameters():
    assert len(table()) == 259
    assert sum(p.origin == "cprocgen" for p in table()) == 205


@pytest.mark.parametrize("game", documented_games())
def test_the_table_that_c_procgen_published_can_be_used_as_a_context(game):
    context = cp.cprocgen_defaults(game)
    assert context["max_episode_steps"] == 1000
    read_context(context, game, "easy")


def test_c_procgens_values_are_played(make):
    env = make("miner", contexts=cp.cprocgen_defaults("miner"))
    env.reset()
    assert env.debug_state().grid.shape == (15, 15)


@pytest.mark.parametrize("game", GAMES)
def test_samples_of_the_space_of_contexts_can_be_used(game, make):
    space = cp.context_space(game, "easy")
    space.seed(3)
    for _ in range(40):
        context = space.sample()
        assert context in space
        make(game, contexts=context)
    assert {**context, "max_episode_steps": 0} not in space
    assert {"max_episode_steps": 5} not in space


@pytest.mark.parametrize("game", GAMES)
def test_the_space_of_contexts_covers_every_parameter(game):
    space = cp.context_space(game)
    assert isinstance(space, spaces.Dict)
    known = {p.name: p for p in parameters_of(game).all}
    assert set(space) == set(known)
    for name, part in space.items():
        if known[name].type != "bool" and not known[name].odd:
            assert part.contains(np.array(known[name].max, part.dtype)), name
    assert space["max_episode_steps"].start == 1


def test_merge_changes_only_what_is_named_and_replace_starts_from_the_mode(make):
    env = make("bigfish", contexts={"fish_quota": 3, "start_r": 0.7})
    env.reset()
    env.set_context(0, {"fish_quota": 5})
    assert env.get_pending_context(0)["start_r"] == 0.7
    assert env.get_pending_context(0)["fish_quota"] == 5
    assert env.get_context(0)["fish_quota"] == 3
    env.set_context(0, {"fish_quota": 5}, mode="replace")
    assert env.get_pending_context(0)["start_r"] == 1.0


def test_merging_twice_is_merging_the_union(make):
    env = make("bigfish", 2)
    env.set_context(0, {"fish_quota": 3})
    env.set_context(0, {"start_r": 0.7, "fish_quota": 4})
    env.set_context(1, {"start_r": 0.7, "fish_quota": 4})
    assert env.get_pending_context(0) == env.get_pending_context(1)
    env.set_context(0, {"start_r": 1.0})
    env.set_context(1, {"fish_quota": 4}, mode="replace")
    assert env.get_pending_context(0) == env.get_pending_context(1)


def test_a_context_waits_for_the_next_level(make):
    env = make("maze", 2)
    env.reset()
    env.set_context([0], {"world_dim": 9})
    assert [env.debug_state(i).grid.shape[0] for i in (0, 1)] == [15, 15]
    env.step(np.array([-1, -1]))
    assert [env.debug_state(i).grid.shape[0] for i in (0, 1)] == [9, 15]
    assert env.get_context(0)["world_dim"] == 9


def test_now_begins_a_new_level_at_once_and_the_next_infos_tell(make):
    env = make("maze", 3, observation="gray")
    before, _ = env.reset()
    env.step(np.full(3, 4))
    env.set_context([2, 0], {"world_dim": 9}, when="now")
    assert [env.debug_state(i).grid.shape[0] for i in range(3)] == [9, 15, 9]
    assert [int(env.debug_state(i).scalars["cur_time"]) for i in range(3)] == [0, 1, 0]
    world = env.context_names().index("world_dim")
    assert env.context_matrix()[:, world].tolist() == [9, 15, 9]
    seen = env.observe()
    assert (seen[0] != before[0]).any()
    assert (seen[1] == before[1]).all()
    _, _, terminated, truncated, info = env.step(np.full(3, 4))
    assert info["restarted"].tolist() == [True, False, True]
    assert not (terminated | truncated).any()
    assert "restarted" not in env.step(np.full(3, 4))[4]


def test_a_context_that_is_refused_changes_no_environment(make):
    env = make(["maze", "miner"], 2)
    with pytest.raises(cp.ContextError, match="miner has no parameter 'num_goals'"):
        env.set_context(None, {"num_goals": 2})
    assert env.get_pending_context(0)["num_goals"] == 1
    for bad in ({"mode": "add"}, {"when": "later"}):
        with pytest.raises(cp.ContextError, match=r"must be (merge|next_reset)"):
            env.set_context(0, {}, **bad)


def test_contexts_come_per_environment_or_per_game(make):
    env = make("maze", 2, contexts=[{"world_dim": 9}, {"world_dim": 11}])
    env.reset()
    assert [env.debug_state(i).grid.shape[0] for i in (0, 1)] == [9, 11]
    env = make(["maze", "miner"], 4, contexts={"miner": {"world_dim": 8}})
    env.reset()
    assert [env.debug_state(i).grid.shape[0] for i in range(4)] == [15, 8, 15, 8]
    with pytest.raises(cp.OptionError, match="one mapping per environment: 2, got 1"):
        make("maze", 2, contexts=[{}])
    with pytest.raises(cp.OptionError, match="contexts must be a mapping of parameters"):
        make("maze", 2, contexts="easy")


def test_reset_takes_contexts_for_what_it_begins(make):
    env = make("maze", 2)
    env.reset()
    env.reset(options={"contexts": {"world_dim": 9}, "reset_mask": np.array([False, True])})
    assert [env.debug_state(i).grid.shape[0] for i in (0, 1)] == [15, 9]
    with pytest.raises(cp.OptionError, match="give a function at the construction"):
        env.reset(options={"contexts": lambda *_: {}})


def test_the_matrix_has_a_row_per_environment_raw_and_normalised(make):
    env = make(["maze", "starpilot"], 2, contexts={"maze": {"world_dim": 9}})
    env.reset()
    raw, scaled = env.context_matrix(), env.context_matrix(normalised=True)
    assert raw.dtype == scaled.dtype == np.float32
    world = env.context_names(0).index("world_dim")
    assert raw[0, world] == 9
    assert scaled[0, world] == np.float32((9 - 5) / (63 - 5))
    unset = env.context_names(1).index("min_flyer_speed")
    assert raw[1, unset] == scaled[1, unset] == -1
    assert (raw[0, len(env.context_names(0)) :] == 0).all()


def test_infos_or_observations_carry_the_context_when_asked(make):
    env = make("maze", 2, context_visibility="info")
    env.set_context(1, {"world_dim": 9})
    _, info = env.reset()
    world = env.context_names().index("world_dim")
    assert info["context"][:, world].tolist() == [15, 9]
    env.set_context(0, {"world_dim": 11})
    before = env.step(np.full(2, 4))[4]["context"]
    after = env.step(np.full(2, -1))[4]["context"]
    assert before[:, world].tolist() == [15, 9]
    assert after[:, world].tolist() == [11, 9]

    env = make("maze", 2, context_visibility="obs", observation="gray")
    obs, info = env.reset()
    assert "context" not in info
    assert env.observation_space.contains(obs)
    for _ in range(2):
        np.testing.assert_array_equal(obs["context"], env.context_matrix(normalised=True))
        assert (obs["context"][:, world] == np.float32((15 - 5) / (63 - 5))).all()
        obs, *_ = env.step(np.full(2, -1))
    assert "context" not in make("maze", context_visibility="none").reset()[1]


EPISODE_VALUES = {
    "maze": lambda s: {"maze_dim": (3, 15)},
    "heist": lambda s: {"maze_dim": (5, 9), "num_keys": (0, 3)},
    "coinrun": lambda s: {"difficulty": (1, 3), "num_sections": (1, 5)},
    "bigfish": lambda s: {"start_r": (1, 1)},
    "starpilot": lambda s: {"time": (11, 30)},
    "chaser": lambda s: {"num_orbs": (20, 121)},
    "jumper": lambda s: {"goal_distance": (0, 30)},
    "miner": lambda s: {"num_diamonds": (0, 3)},
}


@pytest.mark.parametrize("game", [g for g in GAMES if g in EPISODE_VALUES])
def test_episode_values_tell_what_a_level_drew(make, game):
    env = make(game, 16)
    env.reset()
    values = env.episode_values()
    expected = EPISODE_VALUES[game](env)
    assert list(values) == list(parameters_of(game).episode_values) == list(expected)
    for name, (low, high) in expected.items():
        assert values[name].shape == (16,)
        assert low <= values[name].min() <= values[name].max() <= high, name


def test_episode_values_of_other_games_are_not_numbers(make):
    env = make(["maze", "miner"], 2)
    env.reset()
    values = env.episode_values()
    assert np.isnan(values["maze_dim"][1])
    assert np.isnan(values["num_diamonds"][0])
    assert values["num_diamonds"][1] == 3
