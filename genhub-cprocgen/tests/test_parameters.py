"""Generated from the table: every parameter has an effect, and its default written out has none."""

from __future__ import annotations

import numpy as np
import pytest

import genhub_cprocgen as cp
from conftest import GAME_MODES, GAMES, modes
from genhub_cprocgen.contexts import parameters_of

PAIRS = 24  # levels that are played with and without the parameter
STEPS = 240
SEEDS = np.arange(PAIRS)

# What makes it likely that a few hundred random steps meet the parameter's subject.
STAGES = {
    ("bigfish", "completion_bonus"): {"fish_quota": 1, "start_r": 3.0, "fish_max_r": 3.0},
    ("chaser", "completion_bonus"): {"total_orbs": 1, "total_enemies": 0, "maze_dim": 5},
    ("chaser", "weak_speed_scale"): {"maze_dim": 7, "eat_time": 1000},
    ("coinrun", "goal_reward"): {"max_section_num": 1, "max_difficulty": 1, "allow_saw": False},
    ("heist", "completion_bonus"): {"world_dim": 5, "max_keys": 0},
    ("jumper", "goal_reward"): {"world_dim": 12, "spike_prob": 0.0},
    ("maze", "goal_reward"): {"world_dim": 5},
    ("miner", "completion_bonus"): {"world_dim": 5, "diamond_pct": 0.0, "boulder_pct": 0.0},
    ("miner", "diamond_reward"): {"diamond_pct": 0.3},
    ("miner", "strict_reset"): {"world_dim": 5, "diamond_pct": 0.1},
    ("starpilot", "completion_bonus"): {
        "win_time": 50,
        "min_enemy_delta_t": 900,
        "max_enemy_delta_t": 901,
    },
    ("starpilot", "turret_health"): {"turret_prob_weight": 100.0},
    ("starpilot", "left_prob"): {"can_spawn_left": True},
}


def values_to_try(parameter, mode) -> list:
    """Values of a parameter that differ from its default."""
    if parameter.type == "bool":
        return [not parameter.default[mode]]
    low, high, default = parameter.min, parameter.max, parameter.default[mode]
    middle = default if default is not None else low
    candidates = [low, high, 0.5 * (low + middle), 0.5 * (middle + high), middle + 2, middle - 2]
    if parameter.type == "int":
        candidates = [int(value) for value in candidates]
    if parameter.odd:
        candidates = [value | 1 for value in candidates]
    inside = [value for value in candidates if low <= value <= high and value != default]
    return list(dict.fromkeys(inside))


def contexts_to_try(parameter, mode) -> list[tuple[dict, dict]]:
    """Pairs of contexts that differ in the parameter alone, and that the game accepts."""
    stage = STAGES.get((parameter.game, parameter.name), {})
    found = []
    for value in values_to_try(parameter, mode):
        pair = stage, {**stage, parameter.name: value}
        try:
            for context in pair:
                cp.make_vec(
                    parameter.game, distribution_mode=mode, contexts=context, observation="none"
                ).close()
        except cp.ContextError:
            continue
        found.append(pair)
    return found


def first_difference(make, game, mode, pair) -> str | None:
    """Play levels under both contexts with the same actions; say what differs first."""
    contexts = [context for context in pair for _ in range(PAIRS)]
    fields = {"distribution_mode": mode, "observation": "rgb", "autoreset": "disabled"}
    env = make(game, 2 * PAIRS, contexts=contexts, **fields)
    try:
        obs, _ = env.reset(options={"level_seed": np.tile(SEEDS, 2)})
    except cp.LevelGenerationError:
        return None
    if (obs[:PAIRS] != obs[PAIRS:]).any():
        return "picture of the level"
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        usual = rng.choice([1, 3, 5, 7, 7, 8, 8, 9], PAIRS)
        obs, reward, terminated, truncated, info = env.step(np.tile(usual, 2))
        for name, values in (
            ("reward", reward),
            ("termination", terminated),
            ("truncation", truncated),
            ("win", info["prev_level_complete"]),
            ("picture", obs),
        ):
            if (values[:PAIRS] != values[PAIRS:]).any():
                return name
        ended = terminated | truncated
        if ended.any():
            env.reset(options={"reset_mask": ended, "level_seed": info["level_seed"]})
    return None


@pytest.mark.parametrize(
    ("game", "name"), [(game, p.name) for game in GAMES for p in parameters_of(game).all]
)
def test_every_parameter_changes_level_dynamics_reward_or_picture(make, game, name):
    known = parameters_of(game)
    parameter = known.all[known.index(name)]
    tried = 0
    for mode in modes(game)[::-1]:
        for pair in contexts_to_try(parameter, mode):
            tried += 1
            difference = first_difference(make, game, mode, pair)
            if difference is not None:
                if name.endswith(("_reward", "_bonus")):
                    assert difference == "reward"
                return
    pytest.fail(f"{tried} pairs of contexts gave the same {STEPS} steps of {PAIRS} levels")


@pytest.mark.parametrize(("game", "mode"), GAME_MODES)
def test_a_default_written_out_never_changes_a_bit(make, game, mode):
    """The engine itself gets each default as a number, one environment per parameter."""
    known = parameters_of(game)
    written = [i for i, p in enumerate(known.all) if p.default[mode] is not None]
    fields = {"distribution_mode": mode, "observation": "gray", "autoreset": "disabled"}
    env = make(game, 1 + len(written), **fields)
    for k, i in enumerate(written):
        row = known.empty()
        row[i] = float(known.all[i].default[mode])
        env._batch.set_context(1 + k, row)
    rng = np.random.default_rng(1)
    for seed in (0, 7, 42):
        env.reset(options={"level_seed": seed})
        for _ in range(40):
            action = rng.integers(0, 15)
            obs, reward, terminated, truncated, _ = env.step(np.full(env.num_envs, action))
            assert (reward == reward[0]).all()
            assert (terminated == terminated[0]).all()
            if (terminated | truncated).any():
                env.reset(options={"level_seed": seed})
        assert (obs == obs[0]).all()
        plain = env.debug_state(0)
        for k, i in enumerate(written):
            state, name = env.debug_state(1 + k), known.all[i].name
            np.testing.assert_array_equal(state.grid, plain.grid, name)
            np.testing.assert_array_equal(state.entities, plain.entities, name)
            assert state.scalars == plain.scalars, name
