"""Many environments: threads, forks, several games, and how others see them."""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
import pytest

from conftest import GAMES, actions_of, idle


# --- many environments, threads, games ---
@pytest.mark.parametrize("threads", [1, 2, 4, -1])
def test_results_do_not_depend_on_the_number_of_threads(make, threads):
    fields = {"observation": "rgb", "distribution_mode": "hard"}
    alone = make(GAMES, 3 * len(GAMES), num_threads=0, **fields)
    crew = make(GAMES, 3 * len(GAMES), num_threads=threads, **fields)
    np.testing.assert_array_equal(alone.reset()[0], crew.reset()[0])
    for actions in actions_of(5, 40, 3 * len(GAMES)):
        ours, theirs = alone.step(actions), crew.step(actions)
        for a, b in zip(ours[:4], theirs[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        for name, values in ours[4].items():
            np.testing.assert_array_equal(values, theirs[4][name])
    assert alone.get_state() == crew.get_state()


def test_environments_of_a_batch_do_not_depend_on_each_other(make):
    many = make("miner", 8, rand_seed=3)
    few = make("miner", 2, rand_seed=3)
    many.reset()
    few.reset()
    for actions in actions_of(5, 60, 8):
        many.step(actions)
        few.step(actions[:2])
    for i in range(2):
        one, other = many.debug_state(i), few.debug_state(i)
        assert np.array_equal(one.grid, other.grid)
        assert np.array_equal(one.entities, other.entities)
        assert one.scalars == other.scalars


def test_a_forked_process_steps_with_threads_of_its_own(make):
    multiprocessing = pytest.importorskip("multiprocessing")
    if "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin":
        pytest.skip("this system does not fork")
    env = make("maze", 8, num_threads=2)
    env.reset()
    env.step(idle(8))
    context = multiprocessing.get_context("fork")
    inbox, outbox = context.Pipe(duplex=False)

    def child():
        env.step(np.full(8, 7))
        outbox.send(env.get_state())

    process = context.Process(target=child)
    process.start()
    assert inbox.poll(30), "the forked process hangs"
    states = inbox.recv()
    process.join()
    env.step(np.full(8, 7))
    assert states == env.get_state()


def test_exploration_plays_its_one_level_by_the_rules_of_hard(make):
    env = make("maze", 2, distribution_mode="exploration")
    hard = make("maze", 2, distribution_mode="hard")
    assert env.reset()[1]["level_seed"].tolist() == [158988835] * 2
    hard.reset(options={"level_seed": 158988835})
    np.testing.assert_array_equal(env.debug_state(0).grid, hard.debug_state(0).grid)
    mixed = make(["maze", "jumper"], 2, distribution_mode="exploration")
    assert mixed.reset()[1]["level_seed"].tolist() == [158988835, 1434825276]


def test_gymnasium_makes_vectors_by_name():
    env = gymnasium.make_vec(
        "genhub_cprocgen:CProcgen/maze-v0",
        num_envs=3,
        vectorization_mode="vector_entry_point",
        distribution_mode="easy",
        rand_seed=1,
    )
    obs, _ = env.reset()
    assert obs.shape == (3, 64, 64, 3)
    env.close()


def test_gymnasiums_statistics_are_the_environments_own(make):
    env = make("maze", 3, autoreset="next_step", contexts={"max_episode_steps": 5})
    wrapped = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    wrapped.reset(seed=1)
    for _ in range(11):
        _, _, terminated, truncated, info = wrapped.step(idle(3))
    assert (terminated | truncated).all()
    np.testing.assert_array_equal(info["episode"]["l"], info["episode_length"])
    np.testing.assert_array_equal(info["episode"]["r"], info["episode_return"])
    assert info["episode_length"].tolist() == [5, 5, 5]
