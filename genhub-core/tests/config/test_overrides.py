"""Overrides: `--set` arguments and Python maps, with places in the argument."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from snapshots import compare, sections

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
        "input.negative=no", "name = a: b #c ", "model.offline=true", "sampling.guidance=1e0"
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


def test_one_text_is_one_override(registries: Registries) -> None:
    assert load({"genhub": 1}, set="seed=9", registries=registries).config.seed == 9


def test_the_file_is_left_as_it_is(write: Write, registries: Registries) -> None:
    loaded = load(write(TEXT), set=["seed=4"], registries=registries)
    assert loaded.text == TEXT
    assert "seed: 4" in to_yaml(loaded.config)


WRONG = [
    "sampling.steps=0",
    "sampling.steps=many",
    "sampling.step=3",
    "attention.0.factor=20",
    "attention.0.type=scal",
    "attention=[{type: focus, rank: 0}]",
    'attention=[{type: scale, "factor": 20}]',
    "attention=[{type: focus,\n  rank: 0}]",
    "attention.5.factor=2",
    "attention.2.factor=2",
    "attention.one.factor=2",
    "seed.low=2",
    "genhub.x=2",
    "compare.0=baseline",
    "input.images.0=a.png",
    "sampling.steps",
    "",
    "=3",
    " =3",
    "sampling..steps=3",
    ".=3",
    "0=3",
    "seed=007",
    "seed=",
    "seed = high ",
    "attention=[{type: scale}",
    "attention=[*x]",
    "name='two\nlines",
    "extends=other.yaml",
    "extends.0=other.yaml",
    "name=${env:TOY_UNSET}",
]
WRONG_FROM_PYTHON: list[dict[Any, Any]] = [
    {"sampling.steps": "many"},
    {"sampling.steps": 0},
    {"sampling.step": 3},
    {"sampling": {"step": 3}},
    {"attention": [{"type": "focus", "rank": 0}]},
    {"seed": "x" * 293},
    {"seed": "x" * 294},
    {"output.dir": b"runs"},
    {"output": {"dir": b"runs"}},
    {"output": {1: "runs"}},
    {"name": "${env:TOY_UNSET}"},
    {3: 4},
    {"": 4},
    {"a..b": 4},
    {"extends": "other.yaml"},
]


def test_wrong_overrides_are_told_as_reviewed(
    change: Callable[..., Any], registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOY_UNSET", raising=False)
    told = {}
    for given in WRONG:
        with pytest.raises(GenHubError) as caught:
            change(given)
        told[f"--set {given!r}"] = str(caught.value)
    for python in WRONG_FROM_PYTHON:
        with pytest.raises(GenHubError) as caught:
            load({"genhub": 1}, set=python, registries=registries)
        told[f"set={python!r}"] = str(caught.value)
    compare(sections(told), Path(__file__).parent / "expected" / "overrides.txt")
