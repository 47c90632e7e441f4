"""Frames: drawn with little work they equal plain ones, and the view for people shows the same."""

from __future__ import annotations

import numpy as np
import pytest

import genhub_cprocgen as cp
from conftest import GAME_MODES, GAMES

OPTIONS = (
    {},
    {"center_agent": False},
    {"use_backgrounds": False},
    {"use_monochrome_assets": True},
    {"restrict_themes": True, "paint_vel_info": True},
)
OBSERVATION, VIEW = 64, 512


def plain(env: cp.CProcgenVectorEnv, i: int) -> np.ndarray:
    """The observation drawn anew by the rules, with nothing kept or left out."""
    return env._batch.render(i, OBSERVATION)


def colours(picture: np.ndarray) -> int:
    return len(np.unique(picture.reshape(-1, 3), axis=0))


def assert_frames_are_plain(env: cp.CProcgenVectorEnv, steps: int) -> None:
    rng = np.random.default_rng(1)
    frames = env.reset()[0]
    for t in range(steps):
        for i, frame in enumerate(frames):
            np.testing.assert_array_equal(frame, plain(env, i), f"environment {i}, step {t}")
        frames = env.step(rng.integers(0, 15, env.num_envs))[0]


@pytest.mark.parametrize(("game", "mode"), GAME_MODES)
def test_frames_equal_those_drawn_plainly(make, game, mode):
    for options in OPTIONS:
        env = make(game, 2, distribution_mode=mode, observation="rgb", rand_seed=5, **options)
        assert_frames_are_plain(env, 40)


def test_frames_equal_plain_ones_where_cells_are_smaller_than_a_pixel(make):
    contexts = {"main_width": 128, "main_height": 96}
    env = make("coinrun", 2, observation="rgb", rand_seed=3, center_agent=False, contexts=contexts)
    assert_frames_are_plain(env, 15)


def test_frames_equal_plain_ones_after_a_state_is_put_back(make):
    env = make("chaser", 1, observation="rgb", rand_seed=3)
    env.reset()
    early = env.get_state()
    for _ in range(40):
        env.step(np.array([7]))
    env.set_state(early)
    frames = env.step(np.array([1]))[0]
    np.testing.assert_array_equal(frames[0], plain(env, 0))


@pytest.mark.parametrize("game", GAMES)
def test_the_view_for_people_shows_the_observation_in_more_detail(make, game):
    env = make(game, 1, observation="rgb", rand_seed=2, render_mode="rgb_array")
    env.reset()
    for _ in range(10):
        frame = env.step(np.array([7]))[0][0].astype(int)
    view = env.render()[0]
    assert view.shape == (VIEW, VIEW, 3)
    squares = view.reshape(OBSERVATION, 8, OBSERVATION, 8, 3)
    assert abs(squares.mean((1, 3)) - frame).mean() < 16
    assert colours(view) > 4 * colours(frame)
