"""The construction: what is refused, in one sentence that names the field, and what it decides."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import genhub_cprocgen as cp
from conftest import GAMES
from genhub_cprocgen.options import Options, options_from

REFUSED = [
    ({"game": "mazes"}, "there is no game 'mazes'; did you mean \"maze\"?"),
    ({"game": ""}, "there is no game ''"),
    ({"game": []}, "game must be a name or a list of names"),
    ({"game": 3}, "game must be a name or a list of names, got 3"),
    ({"game": "maze,miner", "num_envs": 3}, "num_envs must be a multiple of the 2 games, got 3"),
    ({"num_envs": 0}, "num_envs must be a whole number from 1 to 65536, got 0"),
    ({"num_envs": 2.0}, "num_envs must be a whole number from 1 to 65536, got 2.0"),
    ({"num_envs": True}, "num_envs must be a whole number"),
    ({"distribution_mode": "extreme"}, "its modes are easy, hard, memory, exploration"),
    ({"distribution_mode": "exploration", "num_levels": 1}, "has one level of its own"),
    ({"num_levels": -1}, "num_levels must be a whole number from 0"),
    ({"start_level": 2**31 - 1, "num_levels": 1}, "must not be above 2147483647"),
    ({"rand_seed": 2**31}, "rand_seed must be a whole number from -2147483648"),
    ({"use_backgrounds": 1}, "use_backgrounds must be true or false, got 1"),
    ({"autoreset": "later"}, "autoreset must be one of same_step, next_step, disabled"),
    ({"observation": "rgba"}, "observation must be one of rgb, rgb_chw, gray, none"),
    ({"context_visibility": "all"}, "context_visibility must be one of none, info, obs"),
    ({"render_mode": "ansi"}, "render_mode must be one of"),
    ({"num_threads": -2}, "num_threads must be a whole number from -1"),
    ({"skin": ""}, 'skin must be "builtin" or the path of a folder'),
    ({"final_obs": True, "autoreset": "disabled"}, "final_obs belongs to autoreset same_step"),
    ({"num_env": 2}, "there is no option 'num_env'; did you mean \"num_envs\"?"),
    ({"strict_parity": True, "contexts": {}, "autoreset": "disabled"}, "contexts, autoreset"),
    ({"strict_parity": True}, "strict_parity refuses skin"),
    ({"strict_parity": True, "use_generated_assets": True}, "refuses use_generated_assets"),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED)
def test_what_cannot_be_used_is_refused_with_its_name(fields, words):
    with pytest.raises(ValueError) as error:
        options_from({"game": "maze", **fields})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_game_is_told_with_the_games_there_are():
    with pytest.raises(cp.OptionError, match="game is missing; the games are bigfish"):
        options_from({})


def test_a_game_of_another_version_is_told_apart_from_a_misspelt_one():
    absent = next(iter({"ninja", "plunder", "leaper"} - set(GAMES)), None)
    if absent is None:
        pytest.skip("this version has every game")
    with pytest.raises(cp.OptionError, match="is not in this version"):
        options_from({"game": absent})


def test_games_are_dealt_round_robin():
    for game in ("maze, miner", ["maze", "miner"]):
        assert Options(game=game, num_envs=4).games == ("maze", "miner") * 2


def test_a_start_level_that_has_no_effect_is_warned_of():
    with pytest.warns(UserWarning, match="start_level 5 has no effect"):
        options_from({"game": "maze", "start_level": 5})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options_from({"game": "maze", "start_level": 5, "num_levels": 1})


def test_strict_parity_allows_what_the_benchmark_has():
    options_from({"game": "maze", "strict_parity": True, "use_monochrome_assets": True})


def test_numpys_numbers_and_flags_are_as_good_as_pythons(make):
    env = make(
        "maze",
        np.int64(2),
        use_backgrounds=np.bool_(False),
        num_levels=np.int32(3),
        start_level=np.int64(9),
        rand_seed=np.int64(5),
        num_threads=np.int64(1),
    )
    assert set(env.reset()[1]["level_seed"].tolist()) <= {9, 10, 11}
    assert type(env.rand_seed) is int


def test_the_seed_of_the_operating_system_can_be_read_and_used_again(make):
    first = make("maze", 3, rand_seed=None)
    again = make("maze", 3, rand_seed=first.rand_seed)
    assert first.reset()[1]["level_seed"].tolist() == again.reset()[1]["level_seed"].tolist()
    other = make("maze", 3, rand_seed=None)
    assert other.rand_seed != first.rand_seed


def test_an_incomplete_skin_names_the_first_files_that_are_missing(make, tmp_path: Path):
    pytest.importorskip("PIL")
    with pytest.raises(cp.SkinError) as error:
        make("maze", skin=tmp_path)
    assert str(error.value).count(".png") == 5
    assert "more" in str(error.value)
    with pytest.raises(cp.SkinError, match="is no folder"):
        make("maze", skin=str(tmp_path / "nowhere"))
