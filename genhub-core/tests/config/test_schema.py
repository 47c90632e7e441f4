"""The JSON Schema: valid itself, accepts what loads, rejects what has the wrong structure."""

from __future__ import annotations

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
    lines = (BAD / "expected.txt").read_text(encoding="utf-8").splitlines()[1:]
    found = {line.split()[0] for line in lines if line.split()[1] in STRUCTURAL}
    return sorted(found - {"variant-value", "guidance-nan"})  # JSON has neither paths nor NaN


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


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("attention_mixers", {"type": "focus", "rank": 3}, {"type": "focus"}),
        ("parallel_schedulers", {"type": "solo", "stride": 2}, {"type": "solo", "stride": 9}),
        ("tasks", {"type": "rollout"}, {"type": "rollout", "steps": 0}),
        ("decoders", {"type": "linear"}, {"type": "other"}),
        ("search_strategies", {"type": "random", "trials": 1}, {"type": "random"}),
        ("metrics", "psnr", 3),
    ],
)
def test_one_kind_alone(kind: str, good: Any, bad: Any, registries: Registries) -> None:
    validator = Draft202012Validator(json_schema(registries, kind))
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)
