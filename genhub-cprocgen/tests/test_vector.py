"""The vector interface: spaces, ends of episodes, resets, copies and views, states, pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import genhub_cprocgen as cp
from conftest import GAMES

IDLE = 4
GIVE_UP = -1


def idle(count: int) -> np.ndarray:
    return np.full(count, IDLE)


def actions_of(seed: int, steps: int, count: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        yield rng.integers(0, 15, count)


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


# --- copies, views, memory of others ---
def test_views_follow_after_the_next_step(make):
    env = make("bigfish", 2, observation="rgb", copy=False)
    env.reset()
    obs, reward, *_ = env.step(idle(2))
    kept = obs.copy()
    env.step(np.array([7, 7]))
    np.testing.assert_array_equal(obs, kept)  # two buffers take turns
    after, rewards, *_ = env.step(np.array([7, 7]))
    assert np.shares_memory(obs, after)
    assert np.shares_memory(reward, rewards)
    assert (obs != kept).any()


def test_what_somebody_holds_is_never_written_to_again(make):
    env = make("bigfish", 2, observation="rgb")
    held = [(obs, obs.copy()) for obs in [env.reset()[0]]]
    for actions in actions_of(1, 12, 2):
        obs, reward, _, _, info = env.step(actions)
        for array in (obs[0], reward, *info.values()):  # a part holds the whole
            held.append((array, array.copy()))
    env.reset()
    env.set_state(env.get_state())
    held.append((env.observe(), env.observe().copy()))
    env.close()
    for array, kept in held:
        np.testing.assert_array_equal(array, kept)


def test_memory_that_nobody_holds_is_used_again(make):
    env = make("bigfish", 2, observation="rgb")
    obs, _ = env.reset()
    places = set()
    for actions in actions_of(1, 20, 2):
        obs, *_ = env.step(actions)
        places.add(obs.ctypes.data)
        assert obs.ctypes.data % 64 == 0
    assert len(places) <= 3


def test_what_a_caller_does_to_an_observation_stays_with_the_caller(make):
    env, other = make("bigfish", 2, observation="rgb"), make("bigfish", 2, observation="rgb")
    obs, _ = env.reset()
    other.reset()
    obs[:] = 0
    mask = np.array([True, False])
    ours, theirs = (e.reset(options={"reset_mask": mask})[0] for e in (env, other))
    np.testing.assert_array_equal(ours, theirs)
    ours[:] = 0
    np.testing.assert_array_equal(env.observe(), theirs)


def test_observations_can_be_written_where_the_caller_says(make):
    env = make("bigfish", 2, observation="rgb")
    env.reset()
    memory = np.zeros((2, 64, 64, 3), np.uint8)
    obs, *_ = env.step(idle(2), out=memory)
    assert obs is memory
    assert memory.any()
    before = env.get_state()
    for wrong in (np.zeros((2, 64, 64, 3)), np.zeros((2, 3, 64, 64), np.uint8), [0]):
        with pytest.raises(cp.OptionError, match="out must be"):
            env.step(idle(2), out=wrong)
    assert env.get_state() == before


def test_views_and_tensors_share_memory_through_dlpack(make):
    env = make("bigfish", 2, observation="rgb", copy=False)
    env.reset()
    obs, *_ = env.step(idle(2))
    assert np.shares_memory(np.from_dlpack(obs), obs)
    torch = pytest.importorskip("torch")
    memory = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    obs, *_ = env.step(idle(2), out=memory)
    assert bool(memory.any())
    np.testing.assert_array_equal(obs, memory.numpy())


# --- states ---
@pytest.mark.parametrize("game", GAMES)
def test_a_loaded_state_goes_on_exactly(make, game):
    env = make(game, 2, observation="gray", rand_seed=5)
    env.reset()
    for actions in actions_of(1, 30, 2):
        env.step(actions)
    states = env.get_state()
    wanted = [env.step(a) for a in actions_of(2, 60, 2)]
    other = make(game, 2, observation="gray", rand_seed=6)
    other.set_state(states)
    assert other.get_state() == states
    for (obs, reward, *_), actions in zip(wanted, actions_of(2, 60, 2), strict=True):
        seen, found, *_ = other.step(actions)
        np.testing.assert_array_equal(found, reward)
        np.testing.assert_array_equal(seen, obs)
    assert other.get_state() == env.get_state()


def test_a_loaded_state_is_seen_at_once(make):
    env, other = (make("maze", observation="gray", copy=False, rand_seed=s) for s in (1, 2))
    wanted, _ = env.reset()
    other.reset()
    other.set_state(env.get_state())
    np.testing.assert_array_equal(other.observe(), wanted)


def test_a_state_carries_its_context_and_the_one_that_waits(make):
    env = make("maze", 1, contexts={"world_dim": 9})
    env.reset()
    env.set_context(0, {"world_dim": 11})
    other = make("maze", 1)
    other.reset()
    other.set_state(env.get_state())
    assert other.get_context(0)["world_dim"] == 9
    assert other.context_matrix()[0, other.context_names().index("world_dim")] == 9
    other.step(np.array([GIVE_UP]))
    assert other.get_context(0)["world_dim"] == 11


PLAYER = """
import sys, numpy as np, genhub_cprocgen as cp
env = cp.make_vec("starpilot", num_envs=2, distribution_mode="easy", rand_seed=1)
env.set_state([bytes.fromhex(line) for line in sys.stdin.read().split()])
for t in range(40):
    obs, reward, *_ = env.step(np.array([t % 15, (3 * t) % 15]))
print(env.get_state()[0].hex(), env.get_state()[1].hex(), int(obs.astype(int).sum()))
"""


def test_a_state_goes_on_exactly_in_another_process(make):
    env = make("starpilot", 2, observation="rgb")
    env.reset()
    for actions in actions_of(1, 30, 2):
        env.step(actions)
    states = "\n".join(state.hex() for state in env.get_state())
    for t in range(40):
        obs, *_ = env.step(np.array([t % 15, (3 * t) % 15]))
    run = subprocess.run(
        [sys.executable, "-c", PLAYER], input=states, capture_output=True, text=True, check=True
    )
    wanted = [*(state.hex() for state in env.get_state()), str(int(obs.astype(int).sum()))]
    assert run.stdout.split() == wanted


def test_bytes_that_are_no_state_change_nothing(make):
    env = make("maze", 2)
    env.reset()
    good = env.get_state()
    other_game, other_mode = make("miner"), make("maze", distribution_mode="hard")
    other_game.reset()
    other_mode.reset()
    damaged = bytearray(good[1])
    damaged[len(damaged) // 2] ^= 1
    moved = [*reversed(good)]
    for bad, words in (
        (b"", "are no state of an environment"),
        (b"CPROCGEN", "are no state of an environment"),
        ("text", "a state is bytes, got str"),
        (good[1][:-20], "checksum differs"),
        (bytes(damaged), "checksum differs"),
        (other_game.get_state()[0], "this state is of .*miner"),
        (other_mode.get_state()[0], "this state is of .*hard"),
    ):
        with pytest.raises(cp.StateError, match=f"environment 1: .*{words}"):
            env.set_state([moved[0], bad])
        assert env.get_state() == good
    with pytest.raises(cp.StateError, match="one state per environment is needed: 2, got 1"):
        env.set_state(good[:1])


# --- pictures ---
def test_render_gives_large_pictures_only_when_asked_for(make):
    env = make("coinrun", 2, render_mode="rgb_array")
    with pytest.raises(cp.ActionError, match=r"call reset\(\) before render"):
        env.render()
    env.reset()
    frames = env.render()
    assert [(f.shape, f.dtype) for f in frames] == [((512, 512, 3), np.uint8)] * 2
    assert all(f.std() > 5 for f in frames)
    with pytest.raises(cp.OptionError, match='needs render_mode "rgb_array"'):
        make("coinrun").render()


def test_a_large_picture_shows_what_the_small_one_shows(make):
    env = make("maze", observation="rgb", render_mode="rgb_array", use_backgrounds=False)
    obs, _ = env.reset()
    small = env.render()[0].reshape(64, 8, 64, 8, 3).mean((1, 3))
    assert np.corrcoef(small.ravel(), obs[0].ravel())[0, 1] > 0.9


def test_visual_options_change_no_dynamics(make):
    plain = make("coinrun", 2, distribution_mode="hard")
    fields = {"use_backgrounds": False, "use_monochrome_assets": True, "paint_vel_info": True}
    painted = make(
        "coinrun", 2, distribution_mode="hard", observation="rgb", center_agent=False, **fields
    )
    for env in (plain, painted):
        env.reset()
        for actions in actions_of(1, 80, 2):
            env.step(actions)
    for i in (0, 1):
        ours, theirs = plain.debug_state(i), painted.debug_state(i)
        np.testing.assert_array_equal(ours.entities, theirs.entities)
        assert ours.scalars["generator_consumed"] == theirs.scalars["generator_consumed"]


VISUALS = (
    *("use_backgrounds", "use_monochrome_assets", "center_agent", "paint_vel_info"),
    "restrict_themes",
)


@pytest.mark.parametrize("option", VISUALS)
def test_every_visual_option_changes_the_picture(make, option):
    default = option in ("use_backgrounds", "center_agent")
    fields = {"observation": "rgb", "distribution_mode": "hard"}
    plain = make("coinrun", 8, **fields)
    changed = make("coinrun", 8, **fields, **{option: not default})
    plain.reset()
    changed.reset()
    right = np.full(8, 7)
    assert (plain.step(right)[0] != changed.step(right)[0]).any()


@pytest.fixture
def plain_skin(tmp_path):
    """A folder with a picture of one colour for every file that maze needs."""
    image = pytest.importorskip("PIL.Image")
    assets = json.loads((files("genhub_cprocgen") / "data" / "assets.json").read_text())
    own = assets["games"]["maze"]
    listed = [
        entry
        for kind in (*own["types"].values(), *assets["common"].values())
        for entry in kind["themes"]
    ]
    listed += assets["backgrounds"][own["background_group"]]
    for i, (name, width, height) in enumerate(listed):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.new("RGB", (max(1, width // 8), max(1, height // 8)), (200, 5 * i, 7)).save(path)
    return tmp_path


def test_a_folder_of_pictures_is_drawn_with_whatever_their_size(make, plain_skin):
    drawn = make("maze", observation="rgb", skin=plain_skin)
    plain = make("maze")
    obs, _ = drawn.reset()
    plain.reset()
    assert (obs[..., 0] == 200).all() and (obs[..., 2] == 7).all()
    assert len(np.unique(obs[..., 1])) >= 3
    for actions in actions_of(1, 30, 1):
        drawn.step(actions)
        plain.step(actions)
    np.testing.assert_array_equal(drawn.debug_state().entities, plain.debug_state().entities)


def test_generated_pictures_take_the_place_of_a_folder(make, plain_skin):
    generated = make("maze", observation="rgb", skin=plain_skin, use_generated_assets=True)
    builtin = make("maze", observation="rgb")
    np.testing.assert_array_equal(generated.reset()[0], builtin.reset()[0])


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
