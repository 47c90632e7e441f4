"""Whatever a text looks like: a config comes of it, or one GenHubError that says where it is wrong.

Hypothesis draws the same mutations every time. 1,500 of them run by default and 10,000 with
GENHUB_FUZZ=1, as `nox -s fuzz` sets it.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genhub.config import RunConfig, load
from genhub.config.reader import read
from genhub.config.resolved import as_written
from genhub.config.tree import plain
from genhub.errors import GenHubError, Mark
from genhub.registry import Registries

LONG = os.environ.get("GENHUB_FUZZ", "0") not in ("", "0")
RANDOM = st.randoms(use_true_random=True)  # a generator of its own, seeded by the one drawn
SEED_TEXT = """\
genhub: 1
name: night            # a comment
task: {type: generate}
attention:
  - type: scale
    factor: 2.5
    where: {kind: self, level: {min: 1}, name: ["*.attn1", "mid*"]}
  - {type: focus, rank: 3, window: [2, 2], parts: [a, "b"]}
input:
  prompts: ["a star", {text: a circle, start: 3}]
  negative: |
    two
    lines
sampling: {steps: 12, guidance: 3.0, extra: {eta: 1e-3}}
variants: {quick: {sampling.steps: 2}}
compare: [baseline, quick]
metrics: [psnr]
kernels: {mix: fast}
output: {dir: "${here}/runs"}
"""
PIECES = [
    "", " ", "  ", "\t", "\n", ":", ": ", "- ", "-", "[", "]", "{", "}", ",", "&a ", "*a", "!!str ",
    "<<: ", "'", '"', "\\", "|", ">", "#", "%", "@", "`", "?", "? ", "---\n", "...\n", "~", "null",
    "true", "no", "007", "1e999", ".nan", "0x", "-1", "9" * 200, "${", "${env:NOPE}", "${here}",
    "type", "type: 3", "extends: c.yaml\n", "extends: [c.yaml, nowhere.yaml]\n", "é", "😀", "\x00",
    "\x85", "\ufeff", "\u2028", "\r", "\r\n", "\x1b[2J", "a: " * 40, "[" * 40, "{a: " * 40,
    "x" * 10_000, '"\\uD800"', '"\\UFFFFFFFF"', '"\\x00"', "!!python/object:os.system ",
    "%YAML 9.9\n---\n", "%TAG ! tag:x,2000:\n---\n", "search: {type: grid}\n", "parallel: solo\n",
    "decoder: {type: linear}\n", "input: {prompts: absent.txt}\n", "hooks: [notes, report]\n",
]  # fmt: skip


def examples(share: float) -> Any:
    """Give the settings of a test that draws this share of all mutations."""
    return settings(
        max_examples=round((10_000 if LONG else 1_500) * share),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def mutated(rng: random.Random) -> str:
    """Cut, double, swap and sprinkle, as often at words as in the midst of them."""
    text = SEED_TEXT
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        words = [(m.start(), m.end()) for m in re.finditer(r"[\w.]+", text)]
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice([0, 0, 1, 1, 5, 40]))
        if rng.random() < 0.5 and words:
            start, end = rng.choice(words)
        other = text[slice(*rng.choice(words))] if words else ""
        doubled = text[end : end + rng.randint(0, 30)]
        text = text[:start] + rng.choice([rng.choice(PIECES), doubled, other]) + text[end:]
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutations")


@examples(0.55)
@given(rng=RANDOM)
def test_a_mutated_text_gives_a_config_or_one_error_with_a_place(
    folder: Path, registries: Registries, rng: random.Random
) -> None:
    text = mutated(rng)
    path = folder / "c.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    check(path, text, registries)


@examples(0.05)
@given(rng=RANDOM)
def test_without_libyaml_an_error_has_a_place_too(rng: random.Random) -> None:
    text = mutated(rng)
    try:
        problems = tuple(read(text, "c.yaml", loader=yaml.SafeLoader)[1])
    except GenHubError as error:
        problems = error.problems
    for problem in problems:
        assert problem.mark is not None and stands_in(problem.mark, text), problem


def check(path: Path, text: str, registries: Registries) -> None:
    """Assert that a config comes of a file, or an error of which every problem has a place."""
    try:
        loaded = load(path, registries=registries)
    except GenHubError as error:
        assert str(error)
        for problem in error.problems:
            assert problem.message and "\n" not in problem.message
            assert problem.mark is not None, problem
            assert stands_in(problem.mark, text), problem
    else:
        assert isinstance(loaded.config, RunConfig)


VALUES = [
    None, True, 0, -1, 1e9, float("nan"), "", "x", "no", "${here}", "type", [], {}, [[]], [None],
    {"type": "scale"}, {"type": None}, {"type": ["scale"]}, {"": ""}, {"a.b.c": 1}, "\x1b[31m",
    [{"type": "focus"}], "a\nb", 1 << 70, {"type": "scale", "where": {"level": {"min": 3}}},
]  # fmt: skip
TREE = plain(read(SEED_TEXT, "c.yaml")[0])


def transplanted(rng: random.Random, tree: Any) -> Any:
    """Put a strange value, or a strange key, somewhere into a tree."""
    if rng.random() < 0.25 or not isinstance(tree, dict | list) or not tree:
        return rng.choice(VALUES)
    if isinstance(tree, list):
        at = rng.randrange(len(tree))
        return [*tree[:at], transplanted(rng, tree[at]), *tree[at + 1 :]]
    key = rng.choice(list(tree))
    held = {k: v for k, v in tree.items() if k != key}
    name = rng.choice([key, key, key, f"{key}s", rng.choice(list(tree))])
    return {**held, name: transplanted(rng, tree[key])}


@examples(0.35)
@given(rng=RANDOM)
def test_a_mutated_tree_gives_a_config_or_one_error(
    folder: Path, registries: Registries, rng: random.Random
) -> None:
    changed = transplanted(rng, transplanted(rng, TREE) if rng.random() < 0.5 else TREE)
    changed = changed if isinstance(changed, dict) else {"genhub": changed}
    try:
        loaded = load(changed, registries=registries)
    except GenHubError as error:
        assert str(error)
    else:
        assert isinstance(loaded.config, RunConfig)
    text = as_written(changed)
    path = folder / "tree.yaml"
    path.write_text(text, encoding="utf-8")
    check(path, text, registries)


@examples(0.05)
@given(data=st.binary(max_size=200))
def test_random_bytes_give_one_error(folder: Path, registries: Registries, data: bytes) -> None:
    path = folder / "bytes.yaml"
    path.write_bytes(data)
    with pytest.raises(GenHubError) as caught:
        load(path, registries=registries)
    assert caught.value.problems[0].mark is not None


def stands_in(mark: Mark, text: str) -> bool:
    """Say whether a place lies in the text, or just behind it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").splitlines() or [""]
    return 1 <= mark.line <= len(lines) + 1 and 1 <= mark.column <= max(map(len, lines)) + 2
