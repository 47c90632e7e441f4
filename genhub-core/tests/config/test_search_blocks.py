"""The block of a search: names and blocks that its space lists, and what it is measured by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field
from snapshots import compare, sections
from toydrivers import toy_registries

from genhub.api import Cost, PluginConfig, SearchSpace, SearchStrategy
from genhub.config import load, to_yaml
from genhub.errors import GenHubError
from genhub.registry import Registries

Write = Callable[..., Path]


class PlacesConfig(PluginConfig):
    choices: list[Any] = Field(min_length=1, description="mixers that a place may have")


class Places(SearchSpace):
    Config = PlacesConfig
    blocks: ClassVar = {"choices": "attention_mixers"}
    figures: ClassVar = ("beauty",)
    capabilities: ClassVar = frozenset({"enumerable"})

    def cost(self, g, role, **dims):
        return Cost(0, 0)


class Steep(SearchStrategy):
    requires: ClassVar = frozenset({"differentiable", "smooth"})


@pytest.fixture
def places() -> Registries:
    registries = toy_registries()
    registries.get("search_spaces").add("places", Places)
    registries.get("search_strategies").add("steep", Steep)
    return registries


def search(choices: str, metric: str = "psnr", strategy: str = "{type: random, trials: 2}") -> str:
    return (
        "genhub: 1\ntask: search\nsearch:\n  type: places\n"
        f"  choices: {choices}\n  strategy: {strategy}\n"
        f"  objective: [{{metric: {metric}, goal: max}}]\n"
    )


def test_names_and_blocks_of_a_list_are_drivers(write: Write, places: Registries) -> None:
    text = search("[none, scale, {type: focus, rank: 3}, two_words]")
    loaded = load(write(text), registries=places)
    none, scale, focus, words = loaded.config.search.choices
    assert none == "none"
    assert (scale.type, scale.factor, focus.rank, words.type) == ("scale", 1.0, 3, "two-words")
    assert [used.loc for used in loaded.drivers if used.kind == "attention_mixers"] == [
        ("search", "choices", index) for index in (1, 2, 3)
    ]
    again = load(write(to_yaml(loaded.config), "r.yaml"), registries=places)
    assert again.config == loaded.config


@pytest.mark.parametrize("metric", ["psnr", "macs", "flops", "beauty", "psnr/least"])
def test_an_objective_is_a_metric_or_a_figure_of_the_space(
    metric: str, write: Write, places: Registries
) -> None:
    config = load(write(search("[none]", metric)), registries=places).config
    assert config.search.objective[0].metric == metric


WRONG = {
    "a misspelt choice": search("[scal, none]"),
    "a choice of a wrong value": search("[{type: scale, factor: 20}]"),
    "a choice without a type": search("[{factor: 2}]"),
    "a number": search("[3]"),
    "no text": search("['']"),
    "a list in the list": search("[[scale]]"),
    "no list": search("scale"),
    "no choices": search("[]"),
    "a misspelt metric": search("[none]", "pnsr"),
    "a metric of nobody": search("[none]", "speed"),
    "a metric of a package": search("[none]", "tone-accuracy"),
    "a cost of another space": search("[none]", "macs").replace("places", "grid"),
    "a strategy as a name": search("[none]", strategy="steep"),
    "a strategy that asks for more": search("[none]", strategy="{type: steep}"),
    "a strategy for a space of nothing": search("[none]", strategy="{type: steep}")
    .replace("places", "grid")
    .replace("  choices: [none]\n", ""),
}


def test_wrong_searches_are_told_as_reviewed(write: Write, places: Registries) -> None:
    texts = {}
    for name, text in WRONG.items():
        path = write(text)
        with pytest.raises(GenHubError) as caught:
            load(path, registries=places)
        texts[name] = str(caught.value).replace(str(path), "c.yaml")
    compare(sections(texts), Path(__file__).parent / "expected" / "searches.txt")


def test_a_loaded_config_can_be_overridden(write: Write, places: Registries) -> None:
    loaded = load(write("genhub: 1\nattention: [{type: scale}]\n"), registries=places)
    other = loaded.overridden({"attention": [{"type": "focus", "rank": 2}], "seed": 4})
    assert (other.config.attention[0].rank, other.config.seed) == (2, 4)
    assert [used.name for used in other.drivers] == ["generate", "focus"]
    assert (loaded.config.attention[0].type, loaded.config.seed) == ("scale", 0)
    with pytest.raises(GenHubError) as caught:
        loaded.overridden({"seed": -1, "attention.0.factor": 0, "name": "${env:TOY_UNSET}"})
    codes = sorted(problem.code for problem in caught.value.problems)
    assert codes == ["GH110", "GH302", "GH302"]
