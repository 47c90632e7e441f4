"""The single environment, as gymnasium makes and checks it."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.passive_env_checker import env_render_passive_checker

import genhub_cprocgen as cp
from conftest import GAMES


@pytest.fixture
def env():
    made = gymnasium.make("genhub_cprocgen:CProcgen/maze-v0", distribution_mode="easy", rand_seed=3)
    yield made
    made.close()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("game", GAMES)
def test_gymnasium_finds_no_fault(game):
    env = gymnasium.make(f"CProcgen/{game}-v0", distribution_mode="easy", render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=True)
    env_render_passive_checker(env.unwrapped)
    env.close()


def test_every_game_is_registered():
    names = {name for name in gymnasium.registry if name.startswith("CProcgen/")}
    assert names == {f"CProcgen/{game}-v0" for game in GAMES}


def test_it_plays_as_the_vector_environment_does(env):
    vector = cp.make_vec("maze", distribution_mode="easy", rand_seed=3)
    obs, info = env.reset()
    wanted, _ = vector.reset()
    np.testing.assert_array_equal(obs, wanted[0])
    for t in range(30):
        obs, reward, terminated, truncated, info = env.step(t % 15)
        seen, rewards, *_, infos = vector.step(np.array([t % 15]))
        np.testing.assert_array_equal(obs, seen[0])
        assert (reward, terminated, truncated) == (rewards[0], False, False)
        assert info["level_seed"] == infos["level_seed"][0]
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    vector.close()


def test_an_ended_episode_must_be_reset(env):
    env.reset()
    assert env.step(-1)[2] is True
    with pytest.raises(ValueError, match="no running episode"):
        env.step(4)
    env.reset()
    env.step(4)


def test_levels_and_contexts_can_be_given(env):
    game = env.unwrapped
    _, info = env.reset(options={"level_seed": 5, "contexts": {"world_dim": 9}})
    assert info["level_seed"] == 5
    assert game.get_context()["world_dim"] == 9
    game.set_context({"world_dim": 11})
    env.reset()
    assert game.get_context()["world_dim"] == 11


def test_states_go_on_exactly(env):
    game = env.unwrapped
    env.reset()
    state = game.get_state()
    wanted = [env.step(7)[0] for _ in range(5)]
    game.set_state(state)
    for obs in wanted:
        np.testing.assert_array_equal(env.step(7)[0], obs)


def test_a_context_can_be_part_of_the_observation():
    env = gymnasium.make("CProcgen/maze-v0", context_visibility="obs")
    obs, _ = env.reset()
    assert env.observation_space.contains(obs)
    assert obs["image"].shape == (64, 64, 3)
    env.close()


def test_gymnasiums_own_vectors_take_it():
    makers = [lambda k=k: gymnasium.make("CProcgen/maze-v0", rand_seed=k) for k in range(2)]
    env = gymnasium.vector.SyncVectorEnv(makers)
    env.reset(seed=3)
    for action in (4, -1, 4, 4):
        obs, *_, info = env.step(np.full(2, action))
    assert obs.shape == (2, 64, 64, 3)
    assert info["level_seed"].shape == (2,)
    env.close()


def test_what_belongs_to_vectors_is_refused():
    with pytest.raises(cp.OptionError, match="a single environment has no num_envs: use make_vec"):
        gymnasium.make("CProcgen/maze-v0", num_envs=2)
