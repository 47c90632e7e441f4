"""Rules that draw contexts: what they give, how often, and that the games' draws stay the same."""

from __future__ import annotations

import math

import numpy as np
import pytest

import genhub_cprocgen as cp
from genhub_cprocgen.samplers import read_context

REFUSED = [
    ({"world_dim": {"normal": [1, 2]}}, "must be a value or one rule of uniform, loguniform"),
    ({"world_dim": {"uniform": [9, 7]}}, "uniform takes [lowest, highest]"),
    ({"world_dim": {"uniform": [7, 9, 11]}}, "uniform takes [lowest, highest]"),
    ({"world_dim": {"uniform": [7, 10]}}, "world_dim must be an odd number"),
    ({"world_dim": {"choice": []}}, "choice takes a list, got []"),
    ({"world_dim": {"choice": "7"}}, "choice takes a list, got '7'"),
    ({"goal_reward": {"loguniform": [0, 1]}}, "loguniform needs a lowest value above 0"),
    ({"start_random": {"uniform": [False, True]}}, "write choice: [true, false]"),
    ({"start_random": {"schedule": [[0, True]]}}, "schedule is for numbers"),
    ({"goal_reward": {"schedule": [[5, 1], [5, 2]]}}, "the steps of a schedule must rise"),
    ({"goal_reward": {"schedule": [1, 2]}}, "schedule takes points [step, value], got 1"),
    ({"goal_reward": {"schedule": [[-1, 2]]}}, "schedule takes points [step, value]"),
    ({"grid": {"goal_reward": 3}}, "grid needs a list for goal_reward, got 3"),
    ({"grid": []}, "grid takes a mapping of parameters to lists"),
    ({"grid": {"goal_reward": [1] * 400, "visibility": [5] * 400}}, "at most 100000 points"),
    ({"goal_reward": 1, "grid": {"goal_reward": [1, 2]}}, "goal_reward is given twice"),
]


@pytest.mark.parametrize(("context", "words"), REFUSED)
def test_rules_that_make_no_sense_are_refused(context, words):
    with pytest.raises(cp.ContextError) as error:
        read_context(context, "maze", "easy")
    assert words in str(error.value)


def drawn(env, name, levels):
    """Values of a parameter over the first levels: [levels, N]."""
    env.reset()
    column = env.context_names().index(name)
    rows = [env.context_matrix()[:, column]]
    for _ in range(levels - 1):
        env.step(np.full(env.num_envs, -1))
        rows.append(env.context_matrix()[:, column])
    return np.array(rows)


def test_uniform_draws_every_allowed_size_and_no_other(make):
    env = make("maze", 32, contexts={"world_dim": {"uniform": [7, 13]}})
    seen = drawn(env, "world_dim", 6)
    assert sorted(set(seen.ravel().tolist())) == [7, 9, 11, 13]
    # Expected 48 of 192 each, standard deviation 6.
    assert all(20 < (seen == size).sum() < 76 for size in (7, 9, 11, 13))
    assert (np.array([env.debug_state(i).grid.shape[0] for i in range(32)]) == seen[-1]).all()


def test_uniform_floats_fill_their_range(make):
    seen = drawn(make("maze", 64, contexts={"goal_reward": {"uniform": [2, 6]}}), "goal_reward", 4)
    assert 2 <= seen.min() < 2.2
    assert 5.8 < seen.max() <= 6
    assert abs(seen.mean() - 4) < 0.3


def test_loguniform_has_its_median_at_the_geometric_mean(make):
    context = {"goal_reward": {"loguniform": [0.01, 100]}}
    seen = drawn(make("maze", 128, contexts=context), "goal_reward", 4)
    assert 0.01 <= seen.min() <= seen.max() <= 100.001
    assert 190 < (seen < 1).sum() < 322  # of 512: expected 256, standard deviation 11


def test_choice_draws_from_its_values(make):
    context = {"start_random": {"choice": [True, False]}, "goal_reward": {"choice": [1, 5]}}
    env = make("maze", 32, contexts=context)
    assert set(drawn(env, "goal_reward", 2).ravel().tolist()) == {1, 5}
    assert {env.get_context(i)["start_random"] for i in range(32)} == {True, False}


def test_a_grid_deals_all_its_points_round_robin(make):
    grid = {"world_dim": [7, 9], "goal_reward": [1, 2, 3]}
    env = make("maze", 4, contexts={"grid": grid})
    env.reset()
    points = []
    for _ in range(3):
        points += [(c["world_dim"], c["goal_reward"]) for c in env.get_context()]
        env.step(np.full(4, -1))
    wanted = [(world, reward) for world in (7, 9) for reward in (1, 2, 3)]
    assert points == wanted * 2


def test_a_schedule_is_piecewise_linear_in_the_steps_of_all_environments(make):
    schedule = {"goal_reward": {"schedule": [[0, 1], [40, 5], [80, 5], [100, -5]]}}
    env = make("maze", 4, contexts=schedule)
    seen = drawn(env, "goal_reward", 31)[:, 0]
    wanted = np.interp(4 * np.arange(31), [0, 40, 80, 100], [1, 5, 5, -5])
    np.testing.assert_allclose(seen, wanted, atol=1e-6)


def test_a_schedule_of_odd_sizes_keeps_them_odd(make):
    env = make("maze", contexts={"world_dim": {"schedule": [[0, 5], [8, 13]]}})
    assert drawn(env, "world_dim", 10)[:, 0].tolist() == [5, 7, 7, 9, 9, 11, 11, 13, 13, 13]


def test_the_largest_maze_follows_a_drawn_world(make):
    for rule in ({"world_dim": {"uniform": [5, 13]}}, {"grid": {"world_dim": [5, 9, 13]}}):
        env = make("maze", 8, contexts=rule)
        env.reset()
        for context in env.get_context():
            assert context["max_maze_dim"] == context["world_dim"]


def test_draws_that_cross_an_ordered_pair_are_drawn_again(make):
    context = {"min_speed": {"uniform": [0, 1]}, "max_speed": {"uniform": [0, 1]}}
    env = make("bigfish", 64, contexts=context)
    env.reset()
    assert all(c["min_speed"] <= c["max_speed"] for c in env.get_context())
    assert env.get_context(0)["min_speed"] != env.get_context(1)["min_speed"]


def test_a_rule_that_never_keeps_the_order_fails_for_that_environment_alone(make):
    env = make("bigfish", 2)
    env.set_context(1, {"min_speed": 1.0, "max_speed": {"uniform": [0.1, 0.5]}})
    with pytest.raises(cp.LevelGenerationError, match="environment 1: no level of") as error:
        env.reset()
    assert (error.value.index, error.value.game) == (1, "bigfish")
    assert error.value.context == {"min_speed": 1.0}
    with pytest.raises(cp.ActionError, match="environment 1 has no running episode"):
        env.step(np.full(2, 4))
    env.set_context(1, {}, mode="replace")
    env.reset(options={"reset_mask": np.array([False, True])})
    env.step(np.full(2, 4))


def test_rules_draw_from_their_own_generator_and_leave_the_games_draws_alone(make):
    plain = make("bigfish", 2)
    ruled = make("bigfish", 2, contexts={"positive_reward": {"uniform": [1, 2]}})
    for env in (plain, ruled):
        env.reset()
        for t in range(40):
            env.step(np.full(2, t % 9))
    for i in (0, 1):
        ours, theirs = plain.debug_state(i), ruled.debug_state(i)
        assert ours.scalars["generator_consumed"] == theirs.scalars["generator_consumed"]
        np.testing.assert_array_equal(ours.entities, theirs.entities)


def test_rules_draw_the_same_for_the_same_seed(make):
    context = {"goal_reward": {"uniform": [1, 2]}}
    runs = [
        drawn(make("maze", 4, rand_seed=seed, contexts=context), "goal_reward", 3)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).all()
    env = make("maze", 4, rand_seed=9, contexts=context)
    env.reset()
    env.reset(seed=1)
    np.testing.assert_array_equal(env.context_matrix()[:, 5], runs[0][0])


def test_merging_a_value_ends_the_rule_for_it_and_no_other(make):
    rule = {"uniform": [1, 2]}
    grid = {"visibility": [5, 6], "num_goals": [2, 3]}
    env = make("maze", contexts={"goal_reward": rule, "grid": grid})
    env.set_context(0, {"goal_reward": 7, "visibility": 9})
    env.reset()
    contexts = []
    for _ in range(4):
        contexts.append(env.get_context(0))
        env.step(np.array([-1]))
    assert {(c["goal_reward"], c["visibility"]) for c in contexts} == {(7, 9)}
    assert [c["num_goals"] for c in contexts] == [2, 3, 2, 3]
    env.set_context(0, {"goal_reward": rule})
    env.step(np.array([-1]))
    assert 1 <= env.get_context(0)["goal_reward"] <= 2
    env.set_context(0, {}, mode="replace")
    env.step(np.array([-1]))
    assert env.get_context(0)["num_goals"] == 1


def test_a_world_that_is_fixed_after_a_rule_takes_its_maze_along(make):
    env = make("maze", 8, contexts={"world_dim": {"uniform": [11, 15]}})
    env.set_context(None, {"world_dim": 9})
    env.reset()
    sizes = {(c["world_dim"], c["max_maze_dim"]) for c in env.get_context()}
    assert sizes == {(9, 9)}


def test_levels_that_follow_in_one_episode_have_contexts_of_their_own(make):
    grid = {"world_dim": [5], "goal_reward": [1, 2, 3]}
    env = make("maze", 4, use_sequential_levels=True, contexts={"grid": grid}, num_levels=1)
    env.reset()
    rng, column, wins = np.random.default_rng(0), env.context_names().index("goal_reward"), 0
    for _ in range(200):
        info = env.step(rng.integers(0, 9, 4))[4]
        wins += info["prev_level_complete"].sum()
        assert info["context"][:, column].tolist() == [c["goal_reward"] for c in env.get_context()]
    assert wins > 4


class Recorder:
    """A function of the user that remembers what it was told."""

    def __init__(self, plain=False):
        self.calls = []
        self.plain = plain

    def __call__(self, env_index, episode_count, last_return, rng):
        self.calls.append((env_index, episode_count, last_return))
        if self.plain:
            return {}
        return {"goal_reward": 10 * env_index + episode_count, "visibility": rng.uniform(3, 9)}


def test_a_function_is_asked_before_every_level(make):
    asked = Recorder()
    env = make("maze", 2, contexts=asked)
    env.reset()
    assert asked.calls == [(0, 0, 0.0), (1, 0, 0.0)]
    _, _, terminated, _, info = env.step(np.array([4, -1]))
    assert terminated.tolist() == [False, True]
    assert info["first"].tolist() == [False, True]
    assert asked.calls[2:] == [(1, 1, 0.0)]
    assert [c["goal_reward"] for c in env.get_context()] == [0, 11]
    env.step(np.array([4, 4]))
    assert len(asked.calls) == 3


def test_a_function_hears_the_return_of_the_last_episode(make):
    asked = Recorder(plain=True)
    env = make("bigfish", 4, contexts=asked)
    env.reset()
    returns = []
    for t in range(600):
        _, _, terminated, truncated, info = env.step(np.full(4, (t // 7) % 9))
        returns += info["episode_return"][terminated | truncated].tolist()
    assert [c[2] for c in asked.calls[4:]] == returns
    assert any(returns)


def test_views_outlive_a_step_that_begins_levels_of_a_function(make):
    env = make("maze", 2, contexts=Recorder(), copy=False, observation="gray")
    env.reset()
    obs, *_ = env.step(np.array([4, 4]))
    kept = obs.copy()
    env.step(np.array([-1, -1]))
    np.testing.assert_array_equal(obs, kept)


@pytest.mark.parametrize("autoreset", ["next_step", "disabled"])
def test_a_function_is_asked_once_per_level_however_levels_begin(make, autoreset):
    asked = Recorder()
    env = make("maze", 2, contexts=asked, autoreset=autoreset)
    env.reset()
    for _ in range(3):
        _, _, terminated, truncated, _ = env.step(np.array([4, -1]))
        ended = terminated | truncated
        if autoreset == "disabled":
            env.reset(options={"reset_mask": ended})
        else:
            assert env.step(np.array([4, 4]))[4]["first"].tolist() == [False, True]
    assert [c[:2] for c in asked.calls] == [(0, 0), (1, 0), (1, 1), (1, 2), (1, 3)]
    assert env.get_context(1)["goal_reward"] == 13


def test_a_full_reset_after_an_end_asks_no_function_twice(make):
    asked = Recorder()
    env = make("maze", 2, contexts=asked, autoreset="next_step")
    env.reset()
    env.step(np.array([4, -1]))
    env.reset()
    assert [c[:2] for c in asked.calls] == [(0, 0), (1, 0), (1, 1), (0, 1)]


def test_a_function_gives_the_same_contexts_for_the_same_seed(make):
    runs = []
    for seed in (3, 3, 4):
        env = make("maze", 2, contexts=Recorder(), rand_seed=seed)
        env.reset()
        env.step(np.array([-1, -1]))
        runs.append(env.get_context(1)["visibility"])
    assert runs[0] == runs[1] != runs[2]


def test_contexts_of_a_reset_go_before_a_functions(make):
    asked = Recorder()
    env = make("maze", 2, contexts=asked)
    env.reset()
    options = {"contexts": {"goal_reward": 500}, "reset_mask": np.array([True, False])}
    env.reset(options=options)
    assert [c["goal_reward"] for c in env.get_context()] == [500, 10]
    env.step(np.array([-1, 4]))
    assert env.get_context(0)["goal_reward"] == 1


def test_what_a_function_answers_wrongly_is_told(make):
    env = make("maze", contexts=lambda *_: {"goal": 1})
    with pytest.raises(cp.ContextError, match="maze has no parameter 'goal'"):
        env.reset()


def test_schedules_go_on_where_a_state_was_taken(make):
    rule = {"goal_reward": {"schedule": [[0, 0], [1000, 1000]]}}
    one, other = (make("maze", distribution_mode="easy", contexts=rule) for _ in range(2))
    one.reset()
    for _ in range(200):
        one.step([4])
    other.set_state(one.get_state())
    for env in (one, other):
        env.step([-1])  # the next level draws its reward
    assert one.get_context(0)["goal_reward"] == other.get_context(0)["goal_reward"] == 201


@pytest.mark.parametrize("step", [math.nan, math.inf, 10**400, -1, True])
def test_steps_of_a_schedule_are_finite(make, step):
    with pytest.raises(cp.ContextError, match="schedule takes points"):
        make("maze", contexts={"goal_reward": {"schedule": [[step, 1], [2.0**70, 2]]}})


def test_contexts_by_game_must_name_games_of_the_batch(make):
    with pytest.raises(cp.ContextError, match="'coinrun', which is not among maze, heist"):
        make("maze,heist", num_envs=2, contexts={"maze": {}, "coinrun": {}})
    with pytest.raises(cp.ContextError, match=r"can be given apart: \{maze: "):
        make("maze,heist", num_envs=2, contexts={"min_keys": 1})


def test_numbers_beyond_a_float_are_out_of_range(make):
    with pytest.raises(cp.ContextError, match="goal_reward must be from"):
        make("maze", contexts={"goal_reward": 10**400})
