"""Coinrun's levels under contexts."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

import genhub_cprocgen as cp

GOAL, SAW, ENEMY, CRATE = 1, 2, 5, 20
WALLS, LAVA, SPACE = (15, 16), (17, 18), 100
LEVELS = range(40)


def levels(mode="hard", **contexts):
    """The states of a few levels right after their start."""
    env = cp.make_vec(
        "coinrun",
        num_envs=len(LEVELS),
        distribution_mode=mode,
        observation="none",
        contexts=contexts or None,
    )
    with closing(env):
        env.reset(options={"level_seed": np.array(LEVELS)})
        return [env.debug_state(i) for i in range(env.num_envs)]


def holds(states, *cells):
    return any(np.isin(s.grid, cells).any() for s in states)


def has(states, kind):
    return any((s.entities["type"] == kind).any() for s in states)


def count(states, kind):
    return sum(int((s.entities["type"] == kind).sum()) for s in states)


def test_levels_have_everything_by_default():
    states = levels()
    assert holds(states, *LAVA)
    for kind in (SAW, ENEMY, CRATE):
        assert has(states, kind)
    assert all((s.grid == GOAL).sum() == 1 for s in states)


def test_forbidden_things_are_nowhere():
    assert not holds(levels(allow_lava=False), *LAVA)
    assert not has(levels(allow_saw=False), SAW)
    assert not has(levels(allow_monsters=False), ENEMY)
    assert not has(levels(allow_crate=False), CRATE)


def test_a_pit_whose_danger_is_forbidden_holds_the_next_that_is_allowed():
    without_lava = levels(allow_lava=False, allow_monsters=False)
    assert count(without_lava, SAW) > count(levels(allow_monsters=False), SAW)
    assert holds(levels(allow_lava=False, allow_saw=False, allow_monsters=False), *LAVA)


def neighbours(states):
    """Pairs of saws side by side: only pits have them."""
    pairs = 0
    for state in states:
        saws = state.entities[state.entities["type"] == SAW]
        pairs += int((np.diff(np.sort(saws["x"])) == 1).sum())
    return pairs


def test_without_pits_there_is_neither_lava_nor_a_row_of_saws():
    assert neighbours(levels()) > 0
    states = levels(allow_pit=False)
    assert neighbours(states) == 0
    assert not holds(states, *LAVA)


def test_even_ground_is_one_cell_high():
    for state in levels(unenven_ground=False):
        [[row, column]] = np.argwhere(state.grid == GOAL)
        assert row == 1
        assert not np.isin(state.grid[1:-1, 1:column], WALLS).any()


def test_piles_of_crates_are_as_high_as_asked():
    for state in levels(min_crate_height=5, max_crate_height=5):
        crates = state.entities[state.entities["type"] == CRATE]
        for x in np.unique(crates["x"]):
            assert (crates["x"] == x).sum() % 5 == 0


def test_difficulty_and_sections_are_clamped():
    env = cp.make_vec(
        "coinrun",
        num_envs=20,
        observation="none",
        contexts={"min_difficulty": 2, "max_difficulty": 2, "max_section_num": 2},
    )
    with closing(env):
        env.reset()
        values = env.episode_values()
        assert set(values["difficulty"].tolist()) == {2}
        assert set(values["num_sections"].tolist()) == {2}


@pytest.mark.parametrize("size", [(24, 32), (100, 40)])
def test_a_world_of_another_size_is_whole(size):
    contexts = {"main_width": size[0], "main_height": size[1], "max_difficulty": 10}
    for state in levels(min_difficulty=10, max_section_num=40, **contexts):
        assert state.grid.shape == (size[1], size[0])
        assert (state.grid == GOAL).sum() == 1
        assert np.isin(state.grid[:, -1], WALLS).all()


def test_a_coin_anywhere_stands_on_ground_and_leaves_the_rest_of_the_level():
    moved = 0
    for usual, state in zip(levels(), levels(goal_x_random=True), strict=True):
        [[row, column]] = np.argwhere(state.grid == GOAL)
        assert state.grid[row - 1, column] in WALLS
        changed = np.argwhere(usual.grid != state.grid)
        assert len(changed) in (0, 2)
        moved += len(changed) == 2
        np.testing.assert_array_equal(usual.entities, state.entities)
        boxes = state.entities[1:]
        near = np.abs(boxes["x"] - column - 0.5) < 0.5
        assert not (near & np.isin(boxes["type"], (SAW, CRATE))).any()
    assert moved > len(LEVELS) / 2
