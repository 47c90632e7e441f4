"""Who owns what the vector environments give: copies, views, memory of others; states."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import genhub_cprocgen as cp
from conftest import GAMES, GIVE_UP, actions_of, idle


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
