"""Whatever a text looks like: a config comes of it, or one GenHubError."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from genhub.config import RunConfig, load
from genhub.config.reader import read
from genhub.config.tree import plain
from genhub.errors import GenHubError, Mark
from genhub.registry import Registries

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
    "type", "type: 3", "extends: c.yaml\n", "é", "😀", "\x00", "\x85", "\ufeff", "\u2028", "\r",
    "a: " * 40, "[" * 40, "{a: " * 40,
]  # fmt: skip


def mutated(rng: random.Random) -> str:
    """Cut, double, swap and sprinkle."""
    text = SEED_TEXT
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice([0, 0, 1, 1, 5, 40]))
        piece = rng.choice([rng.choice(PIECES), text[end : end + rng.randint(0, 30)]])
        text = text[:start] + piece + text[end:]
    return text


@pytest.mark.parametrize("seed", range(10))
def test_a_mutated_text_gives_a_config_or_one_error(
    seed: int, tmp_path: Path, registries: Registries
) -> None:
    rng = random.Random(seed)
    path = tmp_path / "c.yaml"
    for _ in range(40):
        text = mutated(rng)
        path.write_text(text, encoding="utf-8", newline="")
        try:
            loaded = load(path, registries=registries)
        except GenHubError as error:
            assert str(error)
            for problem in error.problems:
                assert problem.mark is None or stands_in(problem.mark, text)
        else:
            assert isinstance(loaded.config, RunConfig)


VALUES = [
    None, True, 0, -1, 1e9, float("nan"), "", "x", "no", "${here}", "type", [], {}, [[]], [None],
    {"type": "scale"}, {"type": None}, {"type": ["scale"]}, {"": ""}, {"a.b.c": 1},
    [{"type": "focus"}],
]  # fmt: skip


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


@pytest.mark.parametrize("seed", range(10))
def test_a_mutated_tree_gives_a_config_or_one_error(seed: int, registries: Registries) -> None:
    rng = random.Random(seed)
    tree = plain(read(SEED_TEXT, "c.yaml")[0])
    for _ in range(40):
        changed = transplanted(rng, transplanted(rng, tree))
        changed = changed if isinstance(changed, dict) else {"genhub": changed}
        try:
            loaded = load(changed, registries=registries)
        except GenHubError as error:
            assert str(error)
        else:
            assert isinstance(loaded.config, RunConfig)


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_give_one_error(seed: int, tmp_path: Path, registries: Registries) -> None:
    rng = random.Random(seed)
    path = tmp_path / "c.yaml"
    for _ in range(30):
        path.write_bytes(rng.randbytes(rng.randint(0, 200)))
        with pytest.raises(GenHubError):
            load(path, registries=registries)


def stands_in(mark: Mark, text: str) -> bool:
    """Say whether a place lies in the text, or just behind it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").splitlines() or [""]
    return mark.file == "--set" or (
        1 <= mark.line <= len(lines) + 1 and 1 <= mark.column <= max(map(len, lines)) + 2
    )
