"""`genhub cprocgen`: tables, figures, recorded games, and what is wrong with a call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("genhub")

from genhub.cli import main
from genhub_cprocgen.actions import ACTION_NAMES
from genhub_cprocgen.contexts import parameters_of
from genhub_cprocgen.play import action_of, read_actions

Shown = pytest.CaptureFixture[str]


def test_contexts_lists_every_parameter_of_a_game_with_range_and_default(capsys: Shown) -> None:
    assert main(["cprocgen", "contexts", "coinrun", "--mode", "easy"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["parameter", "type", "easy", "range", "meaning"]
    assert [line.split()[0] for line in lines] == [p.name for p in parameters_of("coinrun").all]
    (gravity,) = (line for line in lines if line.startswith("gravity "))
    assert gravity.split()[1:4] == ["float", "0.2", "0.01..2"]


def test_contexts_can_be_searched_and_printed_as_json(capsys: Shown) -> None:
    assert main(["cprocgen", "contexts", "--find", "gravity"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines[1:]} >= {"coinrun"}
    assert all("gravity" in line.lower() for line in lines[1:])
    assert main(["cprocgen", "contexts", "maze", "--as-json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == [p.name for p in parameters_of("maze").all]
    assert listed[0]["default"]["easy"] == parameters_of("maze").all[0].default["easy"]


def test_bench_gives_a_rate_per_game(capsys: Shown) -> None:
    command = ["cprocgen", "bench", "maze", "coinrun", "--seconds", "0.01", "--num-envs", "4"]
    assert main([*command, "--observation", "none"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert "steps per CPU second" in header
    assert [line.split()[0] for line in lines] == ["maze", "coinrun"]
    assert all(int(line.split()[1].replace(",", "")) > 0 for line in lines)


def test_actions_from_a_file_are_played_saved_and_filmed(tmp_path: Path, capsys: Shown) -> None:
    image = pytest.importorskip("PIL.Image")
    actions = tmp_path / "actions.txt"
    actions.write_text("right*9 up*3\n7 key-d left-down", encoding="utf-8")
    command = ["cprocgen", "play", "coinrun", "--actions", str(actions), "--level", "3"]
    saved, film = tmp_path / "taken.txt", tmp_path / "film.webp"
    assert main([*command, "--save", str(saved), "--video", str(film)]) == 0
    assert capsys.readouterr().out == "15 steps; return so far 0\n"
    assert saved.read_text().split() == [*["7"] * 9, *["5"] * 3, "7", "9", "0"]
    with image.open(film) as opened:
        assert opened.size == (512, 512) and 4 < opened.n_frames <= 16


def test_the_same_actions_in_the_same_level_give_the_same_film(
    tmp_path: Path, capsys: Shown
) -> None:
    pytest.importorskip("PIL")
    actions = tmp_path / "actions.txt"
    actions.write_text("right*6", encoding="utf-8")

    def filmed(name: str, *more: str) -> bytes:
        film = tmp_path / name
        command = ["cprocgen", "play", "maze", "--actions", str(actions), "--video", str(film)]
        assert main([*command, *more]) == 0
        return film.read_bytes()

    first = filmed("a.gif", "--level", "1")
    assert first == filmed("b.gif", "--level", "1") != filmed("c.gif", "--level", "2")
    assert first != filmed("d.gif", "--level", "1", "--context", "world_dim=7")


def test_episodes_that_end_are_told(tmp_path: Path, capsys: Shown) -> None:
    actions = tmp_path / "actions.txt"
    actions.write_text("nothing*25", encoding="utf-8")
    command = ["cprocgen", "play", "maze", "--actions", str(actions), "--steps", "21"]
    assert main([*command, "--context", "max_episode_steps=10"]) == 0
    assert capsys.readouterr().out == (
        "episode 0: return 0\nepisode 1: return 0\n21 steps; return so far 0\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["contexts", "mase"], "there is no game 'mase'; did you mean \"maze\"?"),
        (["contexts", "maze", "--mode", "extreme"], "maze has no mode 'extreme'; its modes are"),
        (["contexts", "--find", "qqq"], "no parameter has 'qqq' in its name or meaning"),
        (["bench", "maze", "--seconds", "0"], "--seconds must be above 0"),
        (["bench", "maze", "--num-envs", "-2"], "--num-envs must be above 0"),
        (["play", "maze", "--steps", "0"], "--steps must be above 0"),
        (["play", "maze", "--context", "world_dim"], "--context is 'world_dim'; give NAME=VALUE"),
        (["play", "maze", "--context", "world_dim=big"], "give NAME=VALUE with a number"),
        (["play", "maze", "--context", "world_dim=4"], "world_dim must be"),
        (["play", "maze", "--video", "x.avi"], "a film is written as .mp4, .webp or .gif"),
        (["play", "maze", "--video", "nowhere/x.gif"], "there is no folder nowhere"),
        (["play", "maze", "--actions", "nowhere.txt"], "nowhere.txt"),
        (["play", "maze", "--skin", "nowhere"], "nowhere"),
    ],
)
def test_a_call_that_cannot_work_is_told_in_a_sentence(
    arguments: list[str], said: str, capsys: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["cprocgen", *arguments]) in (1, 2)
    shown = capsys.readouterr().err
    assert shown.startswith("error[GH") and said in shown
    assert not list(tmp_path.iterdir())


def test_actions_are_read_by_name_number_and_count() -> None:
    assert read_actions("0 right up*2 key-e") == [0, 7, 5, 5, 14]
    with pytest.raises(ValueError, match=r"action 1 is '15'; actions are 0\.\.14 or left-down"):
        read_actions("1 15")


def test_keys_that_are_held_give_the_action_of_their_direction() -> None:
    held = {"left": {"left"}, "right-up": {"right", "up"}, "nothing": {"left", "right"}}
    held |= {"down": {"down", "r"}, "key-d": {"d", "left"}, "key-e": {"e"}}
    assert {name: ACTION_NAMES[action_of(keys)] for name, keys in held.items()} == {
        name: name for name in held
    }
