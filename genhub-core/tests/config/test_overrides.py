"""Overrides: `--set` arguments and Python maps, with places in the argument."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genhub.config import load, to_yaml
from genhub.errors import GenHubError
from genhub.registry import Registries

Write = Callable[..., Path]
TEXT = "genhub: 1\nattention: [{type: scale, factor: 2}, {type: focus, rank: 3}]\n"


@pytest.fixture
def change(registries: Registries, write: Write) -> Callable[..., Any]:
    """Load TEXT with overrides and give the config."""

    def changed(*arguments: str, **python: Any) -> Any:
        return load(write(TEXT), set=arguments or python, registries=registries).config

    return changed


def test_an_argument_reaches_into_lists_and_maps(change: Callable[..., Any]) -> None:
    config = change("attention.0.factor=0.5", "sampling.steps=3", "seed=9")
    assert (config.attention[0].factor, config.sampling.steps, config.seed) == (0.5, 3, 9)


def test_scalars_of_an_argument_follow_the_rules_of_the_file(change: Callable[..., Any]) -> None:
    config = change(
        "input.negative=no", "name=a: b #c", "model.offline=true", "sampling.guidance=1e0"
    )
    assert config.input.negative == "no"
    assert config.name == "a: b #c"
    assert config.model.offline is True
    assert config.sampling.guidance == 1.0


def test_an_argument_may_hold_a_whole_value(change: Callable[..., Any]) -> None:
    config = change("attention=[{type: focus, rank: 4}]", "name='2024'", "input.prompts=[a, b]")
    assert [block.rank for block in config.attention] == [4]
    assert (config.name, config.input.prompts) == ("2024", ["a", "b"])


def test_an_empty_list_takes_parts_away(change: Callable[..., Any]) -> None:
    assert change("attention=[]").attention == []


def test_an_override_may_fill_a_block_that_the_file_lacks(change: Callable[..., Any]) -> None:
    config = change("parallel.type=solo", "parallel.stride=3", "attention=[]")
    assert (config.parallel.type, config.parallel.stride) == ("solo", 3)


def test_a_task_is_overridden_by_name_or_field(registries: Registries) -> None:
    given = {"genhub": 1, "environment": {"type": "maze"}}
    config = load(given, set=["task=rollout", "task.steps=3"], registries=registries).config
    assert (config.task.type, config.task.steps) == ("rollout", 3)


def test_python_maps_override_with_python_values(write: Write, registries: Registries) -> None:
    given = {
        "sampling": {"steps": 3},
        "attention.1.window": (2, 2),
        "output.dir": Path("a") / "b",
        "name": "12",
    }
    config = load(write(TEXT), set=given, registries=registries).config
    assert config.sampling.steps == 3
    assert config.attention[1].window == (2, 2)
    assert config.output.dir == str(Path("a") / "b")
    assert config.name == "12"


def test_the_file_is_left_as_it_is(write: Write, registries: Registries) -> None:
    loaded = load(write(TEXT), set=["seed=4"], registries=registries)
    assert loaded.text == TEXT
    assert "seed: 4" in to_yaml(loaded.config)


@pytest.mark.parametrize(
    ("argument", "code", "column", "phrase"),
    [
        ("sampling.steps=0", "GH302", 16, "sampling.steps is 0; it must be 1 to 1000"),
        ("sampling.steps=many", "GH303", 16, "must be a whole number, but is 'many'"),
        ("sampling.step=3", "GH301", 1, "sampling has no key 'step'"),
        ("attention.0.factor=20", "GH302", 20, "attention.0.factor is 20"),
        ("attention.0.type=scal", "GH201", 18, "no attention mixer is called 'scal'"),
        ("attention=[{type: focus, rank: 0}]", "GH302", 32, "attention.0.rank is 0"),
        ("attention.5.factor=2", "GH306", 1, "attention has entries 0 to 1, there is no '5'"),
        ("attention.one.factor=2", "GH306", 1, "there is no 'one'"),
        ("seed.low=2", "GH303", 1, "seed must be a whole number, found a map"),
        ("genhub.x=2", "GH306", 1, "genhub is one value, there is no 'x' in it"),
        ("compare.0=baseline", "GH306", 1, "compare is not a list, it has no entry 0"),
        ("sampling.steps", "GH306", 1, "is no override"),
        ("=3", "GH306", 1, "is no override"),
        ("sampling..steps=3", "GH306", 1, "is no path"),
        ("seed=007", "GH306", 6, "leading zero"),
        ("attention=[{type: scale}", "GH306", 11, "is no value"),
        ("attention=[*x]", "GH306", 11, "alias"),
        ("extends=other.yaml", "GH306", 1, "can only stand in a file"),
        ("name=${env:TOY_UNSET}", "GH110", 6, "TOY_UNSET is not set"),
    ],
)
def test_an_error_points_into_the_argument(
    argument: str, code: str, column: int, phrase: str, change: Callable[..., Any]
) -> None:
    with pytest.raises(GenHubError) as caught:
        change(argument)
    problem = caught.value.problems[0]
    assert (problem.code, phrase in problem.message) == (code, True), problem
    assert problem.mark is not None
    assert (problem.mark.file, problem.mark.text) == ("--set", argument)
    assert problem.mark.column == column


def test_an_error_in_a_python_override_shows_it(change: Callable[..., Any]) -> None:
    with pytest.raises(GenHubError) as caught:
        change(**{"sampling.steps": "many"})
    mark = caught.value.problems[0].mark
    assert mark is not None
    assert (mark.text, mark.column) == ("sampling.steps='many'", 16)
