"""The parser of the benchmark library's states, and what is said of a difference."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from compare import Frames, compare, report
from reference import Standing
from reference_state import StateLayoutError, read_state

import genhub_cprocgen as cp

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"
RENAMED = {
    "current_level_seed": "level_seed",
    "last_move_action": "last_move",
    "main_width": "world_width",
    "main_height": "world_height",
    "out_of_bounds_object": "out_of_bounds",
    "rng_index": "generator_position",
}


def stored(game: str) -> bytes:
    """Give a state of the benchmark library: easy, level 0, after the first reset."""
    return gzip.decompress((HERE / f"{game}.state.gz").read_bytes())


@pytest.mark.parametrize("game", ["maze", "starpilot"])
def test_a_stored_state_reads_as_the_golden_data(game: str) -> None:
    state = read_state(stored(game))
    golden = np.load(GOLDEN / f"{game}.npz")
    snapshot = "easy/seed0/reset"
    np.testing.assert_array_equal(state.grid, golden[f"{snapshot}/grid"])
    np.testing.assert_array_equal(state.entities, golden[f"{snapshot}/entities"])
    if game == "starpilot":
        np.testing.assert_array_equal(state.spawners, golden[f"{snapshot}/spawners"])
    scalars = json.loads(golden["meta_json"].tobytes())[snapshot]
    shared = {name: RENAMED.get(name, name) for name in scalars}
    read = {n: state.scalars[m] for n, m in shared.items() if m in state.scalars}
    assert len(read) > 50
    assert read == {name: scalars[name] for name in read}


@pytest.mark.parametrize("kept", [0, 7, 5000, 20000, -4])
def test_a_state_cut_short_is_refused(kept: int) -> None:
    with pytest.raises(StateLayoutError):
        read_state(stored("maze")[:kept])


def test_an_unknown_game_is_refused() -> None:
    with pytest.raises(StateLayoutError, match="cave"):
        read_state(b"\0\0\0\0\4\0\0\0cave")


def standing(state: bytes, frame: np.ndarray) -> Standing:
    """Give where one environment of the benchmark stands after its first reset."""
    zero = np.zeros(1, np.int32)
    return Standing(np.zeros(1, np.float32), zero, zero, zero != 0, zero == 0, frame, [state])


@pytest.mark.parametrize("game", ["maze", "starpilot"])
def test_a_difference_is_found_and_both_states_are_printed(game: str) -> None:
    env = cp.make_vec(game, distribution_mode="easy", num_levels=1, start_level=0, rand_seed=7)
    frame, info = env.reset()
    reward, frames = np.zeros(1, np.float32), Frames()
    reference = standing(stored(game), frame.copy())
    assert compare(env, reference, frame, reward, info, frames) is None
    assert frames == Frames(compared=1)

    reference.frames[0, 5, 6] += 1
    found = compare(env, reference, frame, reward, info, frames)
    assert found is not None
    assert "1 pixels differ, the first at row 5, column 6" in found.what

    frame, reward, _, _, info = env.step(np.array([7]))
    found = compare(env, reference, frame, reward, info, frames)
    assert found is not None
    assert "first is True in the benchmark, False here" in found.what
    printed = report(found)
    assert "*cur_time" in printed
    assert f"here      x={found.ours.entities['x'][0]!s}" in printed
    assert f"benchmark x={found.reference.entities['x'][0]!s}" in printed
    env.close()
