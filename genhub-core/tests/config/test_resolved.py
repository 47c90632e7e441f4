"""The resolved config: written in full, read back equal, the same text the second time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genhub.config import load, to_yaml
from genhub.registry import Registries

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAMES = st.text(alphabet="abcdefghij-_ 0123456789.:#'\"", min_size=1, max_size=12)
FREE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), TEXTS)
    | st.floats(allow_nan=False),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


def fields(**each: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=each)


def block(name: str, **each: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return fields(**each).map(lambda given: {"type": name, **given})


WHERE = fields(
    kind=st.sampled_from(["self", "cross"]),
    level=st.integers(0, 3) | fields(min=st.integers(0, 3)),
    name=NAMES | st.lists(NAMES, max_size=3),
)
SCALE = block(
    "scale",
    factor=st.floats(min_value=0.01, max_value=10),
    mode=st.sampled_from(["mean", "max"]),
    where=WHERE | st.none(),
)
FOCUS = st.builds(
    lambda rank, rest: {"type": "focus", "rank": rank, **rest},
    st.integers(1, 100),
    fields(
        window=st.tuples(st.integers(), st.integers()),
        sizes=st.lists(st.integers(), max_size=3),
        parts=st.lists(TEXTS.filter(lambda text: text != "none"), max_size=4),
        where=WHERE,
    ),
)
CONFIGS = st.builds(
    lambda rest: {"genhub": 1, **rest},
    fields(
        name=TEXTS,
        seed=st.integers(0, 2**63 - 1),
        attention=st.lists(SCALE | FOCUS, max_size=3),
        input=fields(
            prompts=st.lists(TEXTS | st.builds(lambda t: {"text": t}, TEXTS), max_size=3),
            negative=TEXTS | st.none(),
        ),
        sampling=fields(
            steps=st.integers(1, 1000),
            guidance=st.floats(min_value=0, max_value=1000),
            extra=st.dictionaries(TEXTS, FREE, max_size=3),
        ),
        model=fields(
            source=st.sampled_from(["tiny:shapes", "a/b", "./folder", "0x10", "007"]),
            scheduler_args=st.dictionaries(TEXTS, FREE, max_size=2),
        ),
        output=fields(report=st.booleans()),
        metrics=st.lists(st.sampled_from(["psnr", "caption-accuracy"]), max_size=2),
        variants=st.dictionaries(
            st.sampled_from(["quick", "a b", "7"]),
            fields(**{"sampling.steps": st.integers(1, 9)}),
            max_size=2,
        ),
    ),
)


def escaped(value: Any) -> Any:
    """Write texts so that none of them is read as a reference."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: escaped(inner) for key, inner in value.items()}
    return [escaped(inner) for inner in value] if isinstance(value, list | tuple) else value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resolved")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(given_=CONFIGS)
def test_writing_and_reading_is_a_fixed_point(
    given_: dict[str, Any], folder: Path, registries: Registries
) -> None:
    loaded = load(escaped(given_), registries=registries)
    text = to_yaml(loaded.config)
    path = folder / "resolved.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    again = load(path, registries=registries)
    assert again.config == loaded.config
    assert to_yaml(again.config) == text
    assert to_yaml(load(path, registries=registries).variant("main").config).startswith("genhub: 1")


@settings(max_examples=30, deadline=None)
@given(text=TEXTS, data=st.data())
def test_the_text_of_a_python_map_reads_back(
    text: str, data: st.DataObject, folder: Path, registries: Registries
) -> None:
    extra = data.draw(st.dictionaries(TEXTS, FREE, max_size=3))
    given_ = escaped({"genhub": 1, "input": {"prompts": [text]}, "sampling": {"extra": extra}})
    loaded = load(given_, registries=registries)
    path = folder / "given.yaml"
    path.write_text(loaded.text, encoding="utf-8", newline="")
    assert load(path, set={"name": None}, registries=registries).config == loaded.config


def test_every_field_is_written_and_the_driver_comes_first(registries: Registries) -> None:
    text = to_yaml(
        load({"genhub": 1, "attention": [{"type": "scale"}]}, registries=registries).config
    )
    assert "attention:\n- type: scale\n  factor: 1.0\n  mode: mean\n" in text
    for field in ("seed: 0", "steps: 20", "guidance: 7.5", "dtype: auto", "compare: []"):
        assert field in text


def test_blocks_that_the_task_does_not_read_are_left_out(registries: Registries) -> None:
    given_ = {"genhub": 1, "task": "rollout", "environment": {"type": "maze"}}
    loaded = load(given_, registries=registries)
    text = to_yaml(loaded.config)
    assert "sampling" not in text
    assert "environment:\n  type: maze\n  size: 8\n" in text


def test_sets_are_written_in_one_order(registries: Registries) -> None:
    texts = set()
    for parts in (["b", "a", "c"], ["c", "b", "a"]):
        given_ = {"genhub": 1, "attention": [{"type": "focus", "rank": 1, "parts": parts}]}
        texts.add(to_yaml(load(given_, registries=registries).config))
    assert len(texts) == 1


def test_a_repeated_value_is_written_out_each_time(registries: Registries) -> None:
    shared = {"a": [1, 2]}
    given_ = {"genhub": 1, "sampling": {"extra": {"x": shared, "y": shared}}}
    text = to_yaml(load(given_, registries=registries).config)
    assert "&" not in text
    assert text.count("- 1\n") == 2
