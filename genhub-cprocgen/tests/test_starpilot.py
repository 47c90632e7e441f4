"""Starpilot's timetable and ends under contexts."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

import genhub_cprocgen as cp

FLYER, METEOR, TURRET, FAST_FLYER, FINISH = 4, 5, 7, 8, 9
LEVELS = (0, 1, 7)
WEIGHTS = ("flyer", "meteor", "cloud", "turret", "fastflyer")


def sky(mode="easy", seed=0, **contexts):
    """One level of starpilot, started."""
    env = cp.make_vec(
        "starpilot",
        distribution_mode=mode,
        num_levels=1,
        start_level=seed,
        observation="none",
        contexts=contexts or None,
    )
    env.reset()
    return closing(env)


def only(*kinds):
    """The weights that let nothing else appear."""
    return {f"{kind}_prob_weight": float(kind in kinds) for kind in WEIGHTS}


def timetable(mode="hard", seed=0, **contexts):
    with sky(mode, seed, **contexts) as env:
        return env.debug_state(0).spawners


@pytest.mark.parametrize("seed", LEVELS)
def test_what_appears_first_is_last_in_the_list(seed):
    times = timetable(seed=seed)["spawn_time"]
    assert len(times) > 16
    assert (np.diff(times) <= 0).all()


@pytest.mark.parametrize("kind, kinds", [("flyer", FLYER), ("meteor", METEOR), ("turret", TURRET)])
def test_a_weight_of_zero_keeps_a_kind_away(kind, kinds):
    assert set(timetable(**only(kind))["type"].tolist()) == {kinds}
    others = timetable(**only(*set(WEIGHTS) - {kind}))["type"].tolist()
    assert kinds not in others


def test_without_any_weight_the_sky_is_empty_and_the_finish_is_reached():
    with sky(**only(), win_time=50, completion_bonus=4) as env:
        assert len(env.debug_state(0).spawners) == 0
        reward, ended, steps = 0.0, False, 0
        while not ended:
            _, rewards, terminated, truncated, info = env.step(np.array([7]))
            reward, ended, steps = reward + rewards[0], bool(terminated[0]), steps + 1
            assert not truncated[0] and steps < 200
        assert reward == 4
        assert info["prev_level_complete"][0]
        assert steps > 50


@pytest.mark.parametrize("seed", LEVELS)
def test_the_first_group_appears_between_its_bounds(seed):
    for bounds in ({"min_time": 60, "max_time": 60}, {"max_time": 0}):
        with sky(seed=seed, **bounds) as env:
            first = env.episode_values()["time"][0]
            assert first == bounds["max_time"]
            assert env.debug_state(0).spawners["spawn_time"].min() == first
            for _ in range(max(int(first), 1)):
                env.step(np.array([4]))
            assert len(env.debug_state(0).entities) > 1


def test_gaps_between_groups_keep_to_their_range_even_if_both_ends_are_equal():
    times = timetable(min_enemy_delta_t=40, max_enemy_delta_t=40, max_group_size=1)["spawn_time"]
    assert set(np.diff(times).tolist()) == {-40}


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_flyers_come_from_the_left_as_often_as_asked(chance):
    flyers = timetable(can_spawn_left=True, left_prob=chance, **only("flyer"))
    assert ((flyers["x"] < 0) == bool(chance)).all()
    assert ((flyers["vx"] > 0) == bool(chance)).all()


def test_the_least_speed_of_flyers_raises_only_slower_ones():
    slow = timetable(mode="easy", **only("flyer"))
    fast = timetable(mode="easy", min_flyer_speed=0.5, **only("flyer"))
    speeds = np.hypot(fast["vx"], fast["vy"])
    assert np.hypot(slow["vx"], slow["vy"]).max() < 0.5
    np.testing.assert_allclose(speeds, 0.5, rtol=1e-6)
    np.testing.assert_array_equal(slow["y"], fast["y"])
