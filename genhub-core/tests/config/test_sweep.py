"""`sweep`: variants by the grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from genhub.config import json_schema, load, to_map, to_yaml
from genhub.errors import GenHubError
from genhub.registry import Registries


def swept(sweep: dict[str, Any], registries: Registries, **more: Any) -> Any:
    return load({"genhub": 1, "sweep": sweep, **more}, registries=registries)


def test_every_combination_becomes_a_variant_and_is_compared(registries: Registries) -> None:
    sweep = {"sampling.steps": [10, 20], "sampling.guidance": [2, 7.5]}
    loaded = swept(sweep, registries, compare=["baseline"])

    names = [
        "steps=10,guidance=2", "steps=10,guidance=7.5",
        "steps=20,guidance=2", "steps=20,guidance=7.5",
    ]  # fmt: skip
    assert list(loaded.config.variants) == names
    assert loaded.config.compare == ["baseline", *names]
    sampling = loaded.variant("steps=20,guidance=7.5").config.sampling
    assert (sampling.steps, sampling.guidance) == (20, 7.5)


def test_it_stands_beside_named_variants(registries: Registries) -> None:
    loaded = swept({"seed": [1]}, registries, variants={"big": {"seed": 9}}, compare=["big"])
    assert list(loaded.config.variants) == ["big", "seed=1"]
    assert loaded.config.compare == ["big", "seed=1"]


def test_entries_of_lists_and_whole_blocks_can_be_swept(registries: Registries) -> None:
    attention = [{"type": "focus", "rank": 2}]
    ranks = swept({"attention.0.rank": [4, 8]}, registries, attention=attention)
    assert [v.config.attention[0].rank for v in map(ranks.variant, ranks.config.variants)] == [4, 8]

    blocks = [[], [{"type": "scale"}], [{"type": "scale", "factor": 2}]]
    whole = swept({"attention": blocks, "parallel": [None, {"type": "solo"}]}, registries)
    assert list(whole.config.variants) == [
        "attention=none,parallel=null",
        "attention=none,parallel=solo",
        "attention=scale,parallel=null",
        "attention=scale,parallel=solo",
        "attention=scale-factor-2,parallel=null",
        "attention=scale-factor-2,parallel=solo",
    ]
    last = whole.variant("attention=scale-factor-2,parallel=solo")
    assert [used.name for used in last.drivers] == ["generate", "scale", "solo"]


def test_paths_that_end_alike_are_told_apart(registries: Registries) -> None:
    attention = [{"type": "scale"}, {"type": "focus", "rank": 1, "where": {"kind": "cross"}}]
    attention[0]["where"] = {"kind": "self"}
    sweep = {"attention.0.where.level": [0], "attention.1.where.level": [1], "seed": [3]}
    loaded = swept(sweep, registries, attention=attention)
    assert list(loaded.config.variants) == [
        "attention.0.where.level=0,attention.1.where.level=1,seed=3"
    ]


def test_texts_become_names_that_any_file_system_takes(registries: Registries) -> None:
    texts = ["a b/c", "../..", "", "\N{SNOWMAN}", "x" * 80, "x" * 90]
    names = list(swept({"input.negative": texts}, registries).config.variants)
    assert names == [
        "negative=a-b-c", "negative=empty-2", "negative=empty-3", "negative=empty-4",
        f"negative={'x' * 32}-5", f"negative={'x' * 32}-6",
    ]  # fmt: skip


def test_the_value_of_a_variable_is_in_no_name(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TEXT", "quagga")
    loaded = swept({"input.negative": ["${env:SECRET_TEXT}", "b"]}, registries)
    assert list(loaded.config.variants) == ["negative=env-SECRET_TEXT", "negative=b"]
    assert "quagga" not in to_yaml(loaded.config)
    assert loaded.variant("negative=env-SECRET_TEXT").config.input.negative == "quagga"


def test_an_unknown_field_is_told_once_at_its_path(
    registries: Registries, write: Callable[..., Path]
) -> None:
    config = write("genhub: 1\nsweep:\n  sampling.stesp: [10, 20]\n  seed: [1, 2]\n")
    with pytest.raises(GenHubError) as caught:
        load(config, registries=registries)
    (problem,) = caught.value.problems
    assert problem.message == "variant 'stesp=10,seed=1': sampling has no key 'stesp'"
    assert problem.mark is not None and (problem.mark.line, problem.mark.column) == (3, 3)


def test_a_sweep_can_come_from_the_command_line(registries: Registries) -> None:
    loaded = load({"genhub": 1}, set=["sweep={sampling.steps: [5, 6]}"], registries=registries)
    assert loaded.config.compare == ["steps=5", "steps=6"]
    with pytest.raises(GenHubError) as caught:
        load({"genhub": 1}, set=["sweep={sampling.steps: [5, 0]}"], registries=registries)
    (problem,) = caught.value.problems
    assert problem.message == "variant 'steps=0': sampling.steps is 0; it must be 1 to 1000"
    assert problem.mark is not None and (problem.mark.file, problem.mark.column) == ("--set", 28)


def test_files_of_prompts_are_found_from_the_config_file(
    registries: Registries, write: Callable[..., Path]
) -> None:
    prompts = write("a star\n", "lists/one.txt")
    config = write("genhub: 1\nsweep: {input.prompts: [lists/one.txt]}\n")
    loaded = load(config, registries=registries)
    assert loaded.variant("prompts=lists-one.txt").config.input.prompts == str(prompts)


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True),
        "sampling.guidance": st.lists(
            st.floats(0, 1000), min_size=1, max_size=4, unique_by=lambda value: f"{value}"
        ),
        "input.negative": st.lists(
            st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            min_size=1, max_size=4, unique=True,
        ),
    },
)  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(sweep=VALUES)
def test_the_resolved_config_has_the_variants_and_stays_as_it_is(
    sweep: dict[str, list[Any]], registries: Registries
) -> None:
    loaded = swept(sweep, registries)
    expected = 1
    for values in sweep.values():
        expected *= len(values)
    assert len(loaded.config.variants) == len(loaded.config.compare) == (expected if sweep else 0)
    again = load(to_map(loaded.config), registries=registries)
    assert again.config == loaded.config
    assert to_yaml(again.config) == to_yaml(loaded.config)
    for name in loaded.config.variants:
        assert again.variant(name).config == loaded.variant(name).config


ODD_PATHS = st.sampled_from(
    ["seed", "sampling", "sampling.steps", "attention", "attention.0.factor", "a..b", "", ".", "x",
     "input.prompts", "variants.a.seed", "compare", "sweep", "task.type", "model.source", "0"]
)  # fmt: skip
ODD_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.floats()
    | st.text("a:/.\x00 $", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_PATHS, inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    sweep=st.dictionaries(ODD_PATHS, st.lists(ODD_VALUES, max_size=3) | ODD_VALUES) | ODD_VALUES,
    more=st.fixed_dictionaries(
        {}, optional={"variants": ODD_VALUES, "compare": ODD_VALUES, "time": ODD_VALUES}
    ),
)
def test_whatever_is_swept_is_a_config_or_an_error_of_ours(
    sweep: Any, more: dict[str, Any], registries: Registries
) -> None:
    config = {"genhub": 1, "attention": [{"type": "scale"}], "sweep": sweep, **more}
    try:
        loaded = load(config, registries=registries)
    except GenHubError as error:
        assert error.problems
    else:
        assert load(to_map(loaded.config), registries=registries).config == loaded.config


def test_the_schema_knows_sweeps_and_offers_paths(registries: Registries) -> None:
    schema = json_schema(registries)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    good = {"genhub": 1, "sweep": {"sampling.steps": [5], "attention.0.rank": [1]}, "time": True}
    assert list(validator.iter_errors(good)) == []
    for sweep in (
        {"sampling.steps": 5}, {"sampling.steps": []}, {"sampling.steps": [0]}, {"x": 1}, [1],
        {"model.dtype": ["fp8"]}, {"attention": [[{"type": "nothing"}]]}, {"seed": [-1]},
    ):  # fmt: skip
        assert list(validator.iter_errors({"genhub": 1, "sweep": sweep})), sweep
    assert "sampling.guidance" in schema["properties"]["sweep"]["properties"]


def test_what_belongs_to_the_whole_run_cannot_differ(registries: Registries) -> None:
    for key, value in (("output.dir", "x"), ("metrics", []), ("time", True), ("launch", {})):
        with pytest.raises(GenHubError, match="cannot differ between variants"):
            load({"genhub": 1, "variants": {"a": {key: value}}}, registries=registries)


def test_a_name_too_long_for_a_file_is_refused(registries: Registries) -> None:
    fields = ("negative", "subject")
    sweep: dict[str, Any] = {f"input.{name}": ["y" * 40] for name in fields}
    sweep |= {"model.revision": ["z" * 40], "model.variant": ["v" * 40]}
    with pytest.raises(GenHubError, match=r"a name of 1[0-9][0-9] characters"):
        swept(sweep, registries)
