"""The vector interface: spaces, actions, resets, ends of episodes, failures."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import genhub_cprocgen as cp
from conftest import GAMES, GIVE_UP, IDLE, actions_of, idle


# --- spaces and shapes ---
@pytest.mark.parametrize("game", GAMES)
def test_observations_and_rewards_are_what_the_spaces_say(make, game):
    env = make(game, 3, observation="rgb")
    assert env.single_observation_space == gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8)
    assert env.single_action_space == gymnasium.spaces.Discrete(15)
    obs, info = env.reset()
    assert env.observation_space.contains(obs)
    assert info["level_seed"].dtype == np.int32
    env.action_space.seed(1)
    for _ in range(20):
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(obs)
        assert reward.dtype == np.float32
        assert terminated.dtype == truncated.dtype == info["first"].dtype == np.bool_
        for values in (reward, terminated, truncated, *info.values()):
            assert len(values) == 3


def test_layouts_are_the_same_picture(make):
    seen = {}
    for layout in ("rgb", "rgb_chw", "gray", "none"):
        env = make("coinrun", 2, observation=layout)
        env.reset()
        seen[layout] = env.step(idle(2))[0]
        assert env.observation_space.contains(seen[layout])
    rgb = seen["rgb"].astype(int)
    np.testing.assert_array_equal(seen["rgb_chw"], rgb.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(seen["gray"], (rgb @ [299, 587, 114] + 500) // 1000)
    assert seen["none"].shape == (2, 0)
    assert rgb.std() > 5


# --- actions ---
@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (np.zeros(2), "actions must be integers, got float64"),
        ([True, False], "actions must be integers, got bool"),
        (np.zeros(3, int), r"must have the shape \(2,\), one per environment, got \(3,\)"),
        (np.zeros((2, 1), int), r"got \(2, 1\)"),
        (3, r"got \(\)"),
        ([0, 15], "must lie in 0..14 .* got 15 for environment 1"),
        ([-2, 0], "got -2 for environment 0"),
        (np.array([0, 2**40]), "got 1099511627776 for environment 1"),
        (np.array([0, 2**64 - 1], np.uint64), "got 18446744073709551615 for environment 1"),
    ],
)
def test_wrong_actions_are_refused_before_anything_is_stepped(make, actions, words):
    env = make("maze", 2)
    env.reset()
    before = env.get_state()
    with pytest.raises(cp.ActionError, match=words):
        env.step(actions)
    assert env.get_state() == before
    env.step(idle(2))


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint64])
def test_every_kind_of_integer_is_an_action(make, kind):
    env = make("maze")
    env.reset()
    env.step(np.array([7], kind))
    assert env.debug_state().entities["x"][0] > 0
    env.step([7])


# --- calls in the wrong order ---
def test_stepping_needs_a_reset_first(make):
    env = make("maze")
    with pytest.raises(cp.ActionError, match=r"call reset\(\) before the first step"):
        env.step(idle(1))
    with pytest.raises(cp.OptionError, match="the first reset must begin every environment"):
        make("maze", 2).reset(options={"reset_mask": np.array([True, False])})


def test_a_step_under_way_must_be_waited_for(make):
    env = make("maze", 2, num_threads=2)
    env.reset()
    with pytest.raises(cp.ActionError, match="no step was begun"):
        env.step_wait()
    env.step_async(idle(2))
    calls = (
        env.reset,
        env.get_state,
        env.get_context,
        env.debug_state,
        lambda: env.step_async(idle(2)),
        lambda: env.set_context(0, {}),
    )
    for call in calls:
        with pytest.raises(cp.ActionError, match="a step is under way"):
            call()
    env.step_wait()
    env.reset()


def test_use_after_close_is_told(make):
    env = make("maze", num_threads=2, copy=False, observation="rgb")
    obs, _ = env.reset()
    seen = obs.copy()
    env.step_async(idle(1))
    env.close()
    env.close()
    calls = (
        env.reset,
        env.get_state,
        env.get_context,
        env.episode_values,
        env.context_matrix,
        env.render,
        env.step_wait,
        lambda: env.step(idle(1)),
    )
    for call in calls:
        with pytest.raises(cp.ClosedError, match="these environments are closed"):
            call()
    np.testing.assert_array_equal(obs, seen)


# --- seeds and levels ---
def test_the_first_reset_uses_up_no_level(make):
    env, other = make("maze", 2), make("maze", 2)
    first = env.reset()[1]["level_seed"].tolist()
    other.reset(seed=7)
    assert other.reset(seed=7)[1]["level_seed"].tolist() == first
    assert env.reset()[1]["level_seed"].tolist() != first


@pytest.mark.parametrize("seed", [1.5, True, "1", 2**31, [1, 2]])
def test_seeds_that_are_none_are_refused(make, seed):
    env = make("maze", 2)
    with pytest.raises(cp.OptionError, match="seed must be one whole number of 32 bits"):
        env.reset(seed=seed)


def test_negative_seeds_work_as_in_the_benchmark(make):
    by_seed, by_field = make("maze", 2), make("maze", 2, rand_seed=-5)
    wanted = by_field.reset()[1]["level_seed"].tolist()
    assert by_seed.reset(seed=-5)[1]["level_seed"].tolist() == wanted
    assert by_seed.rand_seed == -5


def test_level_seeds_can_be_given_at_a_reset(make):
    env = make("maze", 3)
    assert env.reset(options={"level_seed": 5})[1]["level_seed"].tolist() == [5, 5, 5]
    grids = [env.debug_state(i).grid for i in range(3)]
    assert (grids[0] == grids[1]).all()
    mask = np.array([True, False, True])
    options = {"reset_mask": mask, "level_seed": np.array([1, 2, 3])}
    assert env.reset(options=options)[1]["level_seed"].tolist() == [1, 5, 3]
    assert (env.debug_state(1).grid == grids[1]).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mask": [True]}, "reset does not know 'mask'; its options are reset_mask"),
        ({"reset_mask": [1, 0]}, "reset_mask must be true or false for each of 2"),
        ({"reset_mask": [True]}, "reset_mask must be true or false for each of 2"),
        ({"level_seed": 1.5}, "level_seed must be one whole number of 32 bits"),
        ({"level_seed": [1, 2, 3]}, "level_seed must be one whole number of 32 bits"),
        ({"level_seed": 2**31}, "level_seed must be one whole number of 32 bits"),
        ({"contexts": {"dim": 3}}, "maze has no parameter 'dim'"),
    ],
)
def test_options_of_reset_that_cannot_be_used_change_nothing(make, options, words):
    env = make("maze", 2)
    env.reset()
    before = env.get_state()
    with pytest.raises(ValueError, match=words):
        env.reset(options=options)
    assert env.get_state() == before


def test_a_masked_reset_leaves_the_others_as_they_are(make):
    env = make("bigfish", 3, observation="rgb")
    env.reset()
    for actions in actions_of(1, 10, 3):
        obs, *_ = env.step(actions)
    states = env.get_state()
    after, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
    assert [a == b for a, b in zip(env.get_state(), states, strict=True)] == [True, False, True]
    np.testing.assert_array_equal(after[[0, 2]], obs[[0, 2]])
    assert (after[1] != obs[1]).any()


# --- ends of episodes ---
def test_the_step_limit_truncates_and_the_game_terminates(make):
    env = make("maze", 2, contexts=[{"max_episode_steps": 3}, {}])
    env.reset()
    for _ in range(2):
        _, _, terminated, truncated, _ = env.step(idle(2))
        assert not (terminated | truncated).any()
    _, _, terminated, truncated, info = env.step(np.array([IDLE, GIVE_UP]))
    assert terminated.tolist() == [False, True]
    assert truncated.tolist() == [True, False]
    assert info["first"].all()
    assert info["episode_length"].tolist() == [3, 3]


@pytest.mark.parametrize(("limit", "truncates"), [(8, False), (7, True)])
def test_an_end_at_the_step_limit_is_a_termination(make, limit, truncates):
    # These actions win this level at their eighth step.
    env = make("maze", num_levels=1, start_level=24, contexts={"max_episode_steps": limit})
    env.reset()
    for actions in actions_of(3, limit, 1):
        _, reward, terminated, truncated, info = env.step(actions)
    assert truncated[0] == truncates
    assert terminated[0] == info["prev_level_complete"][0] == (reward[0] == 10) == (not truncates)


def test_returns_and_lengths_are_those_of_the_ended_episode(make):
    env = make("bigfish", 4)
    env.reset()
    total, length, ends = np.zeros(4, np.float32), np.zeros(4, int), 0
    for actions in actions_of(2, 400, 4):
        _, reward, terminated, truncated, info = env.step(actions)
        total, length = total + reward, length + 1
        for i in np.flatnonzero(terminated | truncated):
            assert info["episode_return"][i] == total[i]
            assert info["episode_length"][i] == length[i]
            total[i], length[i], ends = 0, 0, ends + 1
    assert ends > 4


def test_final_observations_are_the_last_frames(make):
    fields = {"observation": "rgb", "num_levels": 1, "rand_seed": 3}
    env = make("bigfish", 4, final_obs=True, **fields)
    other = make("bigfish", 4, autoreset="disabled", **fields)
    _, info = env.reset()
    assert not info["_final_obs"].any()
    other.reset()
    ends = 0
    for actions in actions_of(4, 200, 4):
        _, _, terminated, truncated, info = env.step(actions)
        last, *_ = other.step(actions)
        ended = terminated | truncated
        np.testing.assert_array_equal(info["_final_obs"], ended)
        np.testing.assert_array_equal(info["final_obs"][ended], last[ended])
        ends += ended.sum()
        if ended.any():
            other.reset(options={"reset_mask": ended})
    assert ends > 2


def test_modes_of_autoreset_are_named_as_gymnasium_names_them(make):
    for name in ("same_step", "next_step", "disabled"):
        mode = make("maze", autoreset=name).metadata["autoreset_mode"]
        assert mode == AutoresetMode[name.upper()]


def test_without_autoreset_an_ended_episode_must_be_reset(make):
    env = make("maze", 2, autoreset="disabled")
    env.reset()
    _, _, terminated, _, info = env.step(np.array([IDLE, GIVE_UP]))
    assert terminated.tolist() == [False, True]
    assert not info["first"].any()
    with pytest.raises(cp.ActionError, match="environment 1 has no running episode"):
        env.step(idle(2))
    env.reset(options={"reset_mask": terminated})
    env.step(idle(2))


def test_next_step_shows_the_last_frame_and_then_begins_without_an_action(make):
    env = make("maze", 2, autoreset="next_step")
    first = env.reset()[1]["level_seed"].tolist()
    _, _, terminated, _, info = env.step(np.array([IDLE, GIVE_UP]))
    assert terminated.tolist() == [False, True]
    assert info["level_seed"].tolist() == first
    _, reward, terminated, _, info = env.step(idle(2))
    assert info["first"].tolist() == [False, True]
    assert info["level_seed"][0] == first[0] != info["level_seed"][1]
    assert int(env.debug_state(1).scalars["cur_time"]) == 0
    assert not reward.any() and not terminated.any()


def test_same_step_and_next_step_play_the_same_episodes(make):
    """Episode for episode: the same rewards and lengths, when the same actions are taken in it."""

    def episodes(autoreset):
        env = make("chaser", 3, autoreset=autoreset, contexts={"max_episode_steps": 60})
        env.reset()
        done: list[list] = [[] for _ in range(3)]
        rewards: list[list] = [[] for _ in range(3)]
        skips = np.zeros(3, bool)
        while min(map(len, done)) < 4:
            actions = [(7 * len(done[i]) + 3 * len(rewards[i]) + i) % 15 for i in range(3)]
            _, reward, terminated, truncated, info = env.step(np.array(actions))
            for i in range(3):
                if not skips[i]:
                    rewards[i].append(float(reward[i]))
                if terminated[i] or truncated[i]:
                    seed = int(info["prev_level_seed"][i])
                    done[i].append((seed, bool(truncated[i]), tuple(rewards[i])))
                    rewards[i] = []
            skips = (terminated | truncated) & (autoreset == "next_step")
        return [d[:4] for d in done]

    assert episodes("same_step") == episodes("next_step")


# --- levels that cannot be made ---
IMPOSSIBLE = {"maze_dim": 5, "total_enemies": 30}  # more eggs than there are cells


def test_a_level_that_cannot_be_made_is_told_after_the_others_were_stepped(make):
    env = make("chaser", 3, observation="gray", render_mode="rgb_array")
    env.reset()
    env.set_context([1], IMPOSSIBLE)
    with pytest.raises(cp.LevelGenerationError) as error:
        env.step(np.full(3, GIVE_UP))
    assert (error.value.index, error.value.game) == (1, "chaser")
    assert error.value.context == IMPOSSIBLE
    observation, _, terminated, _, info = error.value.results  # of the others nothing is lost
    assert [bool(frame.any()) for frame in observation] == [True, False, True]
    assert terminated.all() and info["first"].all()
    assert [env.debug_state(i).scalars["cur_time"] for i in (0, 2)] == [0, 0]
    assert len(env.debug_state(1).entities) == 0
    seen = env.observe()
    assert [bool(frame.any()) for frame in seen] == [True, False, True]
    assert [bool(frame.any()) for frame in env.render()] == [True, False, True]
    with pytest.raises(cp.ActionError, match="environment 1 has no running episode"):
        env.step(idle(3))
    env.set_context([1], {}, mode="replace", when="now")
    env.step(idle(3))


def test_each_failure_is_told_for_its_own_environment(make):
    env = make("chaser", 3, contexts=[IMPOSSIBLE, {}, IMPOSSIBLE])
    with pytest.raises(cp.LevelGenerationError, match="environment 0: "):
        env.reset()
    with pytest.raises(cp.LevelGenerationError, match="environment 2: "):
        env.reset(options={"reset_mask": np.array([False, False, True])})


@pytest.mark.parametrize("game", GAMES)
def test_environments_without_a_level_can_be_looked_at(make, game):
    env = make(game, 2, observation="rgb", render_mode="rgb_array")
    assert not env.observe().any()
    assert env.get_context() == env.get_pending_context()
    assert len(env.debug_state().entities) == 0
    assert all(np.isnan(values).all() for values in env.episode_values().values())
    states = env.get_state()
    env.reset()
    env.set_state(states)
    assert not env.observe().any()
    assert not env.render()[0].any()
    with pytest.raises(cp.ActionError, match="environment 0 has no running episode"):
        env.step(idle(2))
    env.reset()
    env.step(idle(2))
