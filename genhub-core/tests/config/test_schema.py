"""The JSON Schema: valid itself, accepts what loads, rejects what has the wrong structure."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from genhub.config import json_schema, load, to_yaml
from genhub.config.reader import read
from genhub.config.tree import plain
from genhub.registry import Registries

BAD = Path(__file__).parent / "bad"
# Codes of what the shape of a file alone tells.
DRAFT = "https://json-schema.org/draft/2020-12/schema"
STRUCTURAL = ("GH301", "GH302", "GH303", "GH304")
GOOD: list[dict[str, Any]] = [
    {"genhub": 1},
    {"genhub": 1, "task": "generate"},
    {"genhub": 1, "task": {"type": "rollout", "steps": 3}, "environment": {"type": "maze"}},
    {"genhub": 1, "extends": ["a.yaml", "b.yaml"]},
    {"genhub": 1, "attention": [{"type": "scale", "where": {"level": {"min": 1}}}]},
    {"genhub": 1, "attention": [{"type": "focus", "rank": 2, "window": [1, 2]}]},
    {"genhub": 1, "input": {"prompts": ["a", {"text": "b", "start": 2}]}},
    {"genhub": 1, "launch": {"processes": "auto"}, "metrics": ["psnr"], "hooks": ["notes"]},
    {
        "genhub": 1,
        "search": {
            "type": "grid",
            "strategy": {"type": "random", "trials": 4},
            "objective": [{"metric": "psnr", "goal": "max"}],
        },
    },
]


@pytest.fixture(scope="module")
def validator(registries: Registries) -> Draft202012Validator:
    schema = json_schema(registries)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("config", GOOD)
def test_good_configs_are_accepted(config: dict[str, Any], validator: Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(config)] == []


def test_resolved_configs_are_accepted(
    validator: Draft202012Validator, registries: Registries
) -> None:
    for config in GOOD:
        if "extends" in config or "search" in config:
            continue
        text = to_yaml(load(config, registries=registries).config)
        assert list(validator.iter_errors(plain(read(text, "r")[0]))) == []


def structural() -> list[str]:
    told = (BAD.parent / "expected" / "configs.txt").read_text(encoding="utf-8")
    names = {
        text.split("\n")[0]
        for text in told.split("=== ")
        if any(f"error[{code}]" in text for code in STRUCTURAL)
    }
    return sorted(names - {"variant-value", "guidance-nan"})  # JSON has neither paths nor NaN


@pytest.mark.parametrize("name", structural())
def test_bad_structure_is_rejected(name: str, validator: Draft202012Validator) -> None:
    root, _ = read((BAD / f"{name}.yaml").read_text(encoding="utf-8"), name)
    assert not validator.is_valid(plain(root))


def test_blocks_are_one_of_the_drivers_told_apart_by_type(registries: Registries) -> None:
    schema = json_schema(registries)
    entry = schema["properties"]["attention"]["items"]
    assert entry["discriminator"]["propertyName"] == "type"
    assert set(entry["discriminator"]["mapping"]) == {"faulty", "focus", "scale", "two-words"}
    assert len(entry["oneOf"]) == 4
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_field_of_the_host_is_described(registries: Registries) -> None:
    schema = json_schema(registries)
    blocks = [
        schema,
        *(schema["$defs"][n] for n in ("Model", "Input", "Sampling", "Launch", "Output")),
    ]
    for each in blocks:
        for name, field in each["properties"].items():
            assert field.get("description"), name


def test_names_are_offered_and_others_are_valid_too(registries: Registries) -> None:
    schema = json_schema(registries)
    tasks = ["generate", "reconstruct", "rollout", "search"]
    free = {"type": "string", "minLength": 1}
    names = {"anyOf": [{"enum": tasks}, free], "description": "name of a task"}
    assert schema["properties"]["task"] == {
        "anyOf": [names, schema["properties"]["task"]["anyOf"][1]],
        "default": "generate",
        "description": "what to do: a task's name, or a block with its type",
    }
    assert {entry["$ref"] for entry in schema["properties"]["task"]["anyOf"][1]["oneOf"]} == {
        f"#/$defs/{name.capitalize()}Task" for name in tasks
    }
    assert schema["required"] == ["genhub"]
    for key, kind, known in (
        ("metrics", "metric", ["caption-accuracy", "psnr"]),
        ("hooks", "hook", ["notes", "report"]),
    ):
        about = {"anyOf": [{"enum": known}, free], "description": f"name of a {kind}"}
        assert schema["properties"][key]["items"] == about


def test_a_file_may_extend_one_or_several(registries: Registries) -> None:
    assert json_schema(registries)["properties"]["extends"] == {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": (
            "a file, or several, whose fields this one has unless it gives them itself"
        ),
    }


def test_a_sweep_lists_values_of_the_fields_that_may_differ(registries: Registries) -> None:
    schema = json_schema(registries)
    swept = schema["properties"]["sweep"]["properties"]
    blocks = {
        f"{name.lower()}.{field}": {"$ref": f"#/$defs/{name}/properties/{field}"}
        for name in ("Model", "Input", "Sampling")
        for field in schema["$defs"][name]["properties"]
    }
    whole = {name: {"$ref": f"#/properties/{name}"} for name in ("seed", "attention", "parallel")}
    assert {path: values.pop("items") for path, values in swept.items()} == {**whole, **blocks}
    assert all(values == {"type": "array", "minItems": 1} for values in swept.values())
    validator = Draft202012Validator(json_schema(registries))
    assert validator.is_valid({"genhub": 1, "sweep": {"sampling.steps": [1, 2]}})
    assert not validator.is_valid({"genhub": 1, "sweep": {"sampling.steps": ["many"]}})


def test_a_kind_without_drivers_has_no_valid_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "entry_points", lambda: metadata.EntryPoints([]))
    assert json_schema(Registries(), "decoders") == {"$schema": DRAFT, "not": {}}
    names = json_schema(Registries(), "metrics")
    assert names == {"$schema": DRAFT, "type": "string", "minLength": 1}


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("attention_mixers", {"type": "focus", "rank": 3}, {"type": "focus"}),
        ("parallel_schedulers", {"type": "solo", "stride": 2}, {"type": "solo", "stride": 9}),
        ("tasks", {"type": "rollout"}, {"type": "rollout", "steps": 0}),
        ("decoders", {"type": "linear"}, {"type": "other"}),
        (
            "search_spaces",
            {
                "type": "grid",
                "strategy": {"type": "random", "trials": 1},
                "objective": [{"metric": "psnr", "goal": "max"}],
                "budget_s": 0.5,
            },
            {
                "type": "grid",
                "strategy": {"type": "random"},
                "objective": [{"metric": "psnr", "goal": "max"}],
            },
        ),
        ("search_strategies", {"type": "random", "trials": 1}, {"type": "random"}),
        ("metrics", "psnr", 3),
    ],
)
def test_one_kind_alone(kind: str, good: Any, bad: Any, registries: Registries) -> None:
    validator = Draft202012Validator(json_schema(registries, kind))
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)
