"""Miner's mines and its exit under contexts."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

import genhub_cprocgen as cp

BOULDER, DIAMOND, EXIT, SPACE = 1, 2, 6, 100
OPEN_FIELD = {"world_dim": 5, "boulder_pct": 0.0}


def mine(seed=0, **contexts):
    """One level of miner, started."""
    env = cp.make_vec(
        "miner",
        distribution_mode="easy",
        num_levels=1,
        start_level=seed,
        observation="none",
        contexts=contexts or None,
    )
    env.reset()
    return closing(env)


def walk_to(env, x, y):
    """Walk through dirt to a cell; give the sum of the rewards and whether the episode ended."""
    total = 0.0
    for _ in range(40):
        agent = env.debug_state(0).entities[0]
        dx, dy = x - int(agent["x"]), y - int(agent["y"])
        action = 4 + 3 * int(np.sign(dx)) if dx else 4 + int(np.sign(dy))
        _, reward, terminated, _, _ = env.step(np.array([action]))
        total += float(reward[0])
        if terminated[0]:
            return total, True
        if dx == dy == 0:
            break
    return total, False


def where(env, kind):
    entity = next(e for e in env.debug_state(0).entities if e["type"] == kind)
    return int(entity["x"]), int(entity["y"])


@pytest.mark.parametrize("seed", range(3))
def test_the_exit_opens_when_all_diamonds_are_dug(seed):
    contexts = {**OPEN_FIELD, "diamond_pct": 0.08, "completion_bonus": 7, "diamond_reward": 2}
    with mine(seed, **contexts) as env:
        assert env.episode_values()["num_diamonds"][0] == 2
        total = 0.0
        while (env.debug_state(0).grid == DIAMOND).any():
            y, x = np.argwhere(env.debug_state(0).grid == DIAMOND)[0]
            gained, ended = walk_to(env, x, y)
            total += gained
            assert not ended
        assert total == 4
        assert walk_to(env, *where(env, EXIT)) == (7, True)


def test_shares_of_the_cells_are_what_is_buried():
    with mine(3, world_dim=20, diamond_pct=0.1, boulder_pct=0.0) as env:
        grid = env.debug_state(0).grid
        assert (grid == DIAMOND).sum() == 40
        assert not (grid == BOULDER).any()


def test_a_start_on_the_exit_ends_the_first_episode_unless_the_counter_is_reset():
    contexts = {**OPEN_FIELD, "diamond_pct": 0.1}
    on_exit = []
    for seed in range(120):
        with mine(seed, **contexts) as env:
            if where(env, EXIT) == where(env, 0):
                on_exit.append(seed)
                assert env.step(np.array([4]))[2][0]
        if on_exit:
            break
    with mine(on_exit[0], strict_reset=True, **contexts) as env:
        assert env.debug_state(0).scalars["diamonds_remaining"] == 2
        assert not env.step(np.array([4]))[2][0]


def test_a_boulder_is_pushed_over_free_ground_only():
    pushed = blocked = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        with mine(seed, world_dim=9, boulder_pct=0.15, diamond_pct=0.05) as env:
            for action in rng.choice([1, 3, 5, 7, 7], 200):
                before = env.debug_state(0)
                x, y = int(before.entities[0]["x"]), int(before.entities[0]["y"])
                if env.step(np.array([action]))[2][0]:
                    break
                if action == 7 and x < 7 and before.grid[y, x + 1] == BOULDER:
                    moved = int(env.debug_state(0).entities[0]["x"]) == x + 1
                    assert moved == (before.grid[y, x + 2] == SPACE)
                    pushed, blocked = pushed + moved, blocked + (not moved)
    assert pushed > 0
    assert blocked > 0
