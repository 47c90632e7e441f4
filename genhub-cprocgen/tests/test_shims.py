"""The interfaces of the old libraries, and scores as the literature gives them."""

from __future__ import annotations

import numpy as np
import pytest

import genhub_cprocgen as cp


@pytest.fixture
def old():
    env = cp.ProcgenEnv(
        num_envs=2, env_name="maze", num_levels=0, distribution_mode="easy", rand_seed=1
    )
    yield env
    env.close()


def test_the_benchmarks_interface_has_four_values_a_step(old):
    obs = old.reset()
    assert obs["rgb"].shape == (2, 64, 64, 3)
    assert old.observation_space.contains({"rgb": obs["rgb"][0]})
    obs, reward, done, info = old.step(np.array([4, -1]))
    assert reward.dtype == np.float32
    assert done.tolist() == [False, True]
    assert [set(i) for i in info] == [{"prev_level_seed", "prev_level_complete", "level_seed"}] * 2
    assert info[1]["prev_level_seed"] != info[1]["level_seed"] == int(info[1]["level_seed"])
    old.step_async(np.array([4, 4]))
    assert not old.step_wait()[2].any()


def test_the_old_interface_plays_as_the_new_one_does(old):
    new = cp.make_vec("maze", num_envs=2, distribution_mode="easy", rand_seed=1)
    wanted, _ = new.reset()
    np.testing.assert_array_equal(old.reset()["rgb"], wanted)
    for t in range(20):
        actions = np.array([t % 15, (2 * t) % 15])
        wanted, rewards, *_ = new.step(actions)
        obs, reward, *_ = old.step(actions)
        np.testing.assert_array_equal(obs["rgb"], wanted)
        np.testing.assert_array_equal(reward, rewards)
    new.close()


def test_states_are_reached_as_in_the_benchmark(old):
    old.reset()
    states = old.callmethod("get_state")
    wanted = old.step(np.array([7, 7]))[0]["rgb"]
    old.callmethod("set_state", states)
    np.testing.assert_array_equal(old.step(np.array([7, 7]))[0]["rgb"], wanted)
    with pytest.raises(cp.OptionError, match="callmethod knows get_state and set_state"):
        old.callmethod("get_combos")


def test_options_that_only_the_old_library_needed_are_refused_by_name():
    with pytest.raises(cp.OptionError, match="resource_root belongs to the benchmark's own"):
        cp.ProcgenEnv(num_envs=1, env_name="maze", resource_root="/")
    with pytest.raises(cp.OptionError, match='did you mean "num_levels"'):
        cp.ProcgenEnv(num_envs=1, env_name="maze", num_level=3)


def test_c_procgens_interface_sets_contexts_one_by_one_and_keeps_the_rest():
    env = cp.CProcgenEnv(
        num_envs=2,
        env_name="bigfish",
        distribution_mode="easy",
        context_options=[{"fish_quota": 3, "start_r": 0.7}, {}],
    )
    env.reset()
    env.set_context_to(0, {"fish_quota": 5, "max_episode_steps": 1})
    first, second = env.get_context()
    assert (first["fish_quota"], first["start_r"]) == (5, 0.7)
    assert (second["fish_quota"], second["start_r"]) == (30, 1.0)
    assert env.step(np.array([-1, -1]))[2].tolist() == [True, True]
    assert env.step(np.array([4, 4]))[2].tolist() == [True, False]  # also at the step limit
    env.close()


def test_returns_are_put_on_the_scale_of_the_literature():
    assert cp.normalised_return("coinrun", "easy", 5) == 0
    assert cp.normalised_return("coinrun", "easy", 10) == 1
    assert cp.normalised_return("bigfish", "hard", 20) == 0.5
    with pytest.raises(cp.OptionError, match="returns are normalised for easy and hard"):
        cp.normalised_return("coinrun", "memory", 5)
    with pytest.raises(cp.OptionError, match='did you mean "coinrun"'):
        cp.normalised_return("coin_run", "easy", 5)
