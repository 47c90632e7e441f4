"""What users read of values, files and YAML that are wrong, as somebody has reviewed it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, field_validator
from snapshots import compare, sections
from toydrivers import toy_registries

from genhub.api import AttentionMixer, PluginConfig
from genhub.config import checks, load
from genhub.config.reader import read
from genhub.errors import GenHubError
from genhub.registry import Registries

Write = Callable[..., Path]
EXPECTED = Path(__file__).parent / "expected"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel, extra="forbid"):
    depth: int = Field(description="how deep it is")
    names: dict[str, int] = Field(default_factory=dict, description="numbers by name")


class EveryConfig(PluginConfig):
    """One field of every kind that a driver may have."""

    flag: bool = Field(False, description="whether it is on")
    number: float = Field(1.0, lt=2.5, description="below two and a half")
    whole: int = Field(1, gt=0, lt=10, description="more than none")
    most: int = Field(1, le=3)
    either: int | bool = Field(1, description="a number, or whether")
    word: str = Field("ab", min_length=2, max_length=4, description="a short word")
    form: str = Field("a", pattern="^a", description="begins with an a")
    colour: Colour = Field(Colour.RED, description="one of two")
    choice: Literal["left", "right"] | None = Field(None, description="a side")
    mixed: Literal["auto"] | list[int] = Field("auto", description="auto, or numbers")
    day: date | None = Field(None, description="a day")
    folder: Path | None = Field(None, description="a folder")
    raw: bytes = Field(b"", description="bytes")
    some: list[Annotated[int, Field(ge=1)]] = Field([1], min_length=1, description="numbers")
    bag: set[str] = Field(default_factory=set, max_length=2, description="words, in no order")
    pair: tuple[int, str] = Field((1, "a"), description="a number and a word")
    table: dict[str, float] = Field(default_factory=dict, max_length=1, description="by name")
    inner: Inner | None = Field(None, description="a block of its own")
    never: None = Field(None, description="is left out")
    checked: str = Field("", description="is looked at closely")

    @field_validator("checked")
    @classmethod
    def _good(cls, value: str) -> str:
        if value == "odd":
            raise AssertionError("it is odd")
        if value == "bad":
            raise ValueError("it is bad: bad")
        return value


class Every(AttentionMixer):
    Config = EveryConfig


VALUES = [
    "flag: yes", "flag: Off", "flag: 1", "flag: maybe", "flag: [true]", "flag:",
    "number: 2.5", "number: 3", "number: '1.5'", "number: '1,000.5'", "number: 1_0.5e3",
    "number: x1", "number: true", "number: {a: 1}",
    "whole: 0", "whole: 10", "whole: 0.5", "whole: '-3'", "whole: 1e3", "most: 4",
    "either: x", "either: [1]",
    "word: a", "table: {}", "word: abcde", "word: ''", "word: 12", "word: 0x1F",
    "word: true", "word: [a]",
    "word: {a: b}", "word: 2.50", "form: b", "form: " + "b" * 60, "form: " + "b" * 61,
    "colour: green", "colour: rot", "colour: bleu", "colour: 3", "choice: lift", "choice: up",
    "choice: 3", "mixed: car", "mixed: 3", "mixed: [a]", "mixed: {a: 1}",
    "day: someday", "day: 3", "folder: 3", "folder: [a]", "raw: 3",
    "some: 3", "some: a", "some: []", "some: [0]", "some: [1, b]", "some: {a: 1}", "some: ''",
    "some: [[1]]", "some:",
    "bag: [a, b, c]", "bag: a",
    "pair: [1]", "pair: []", "pair: [1, b, c]", "pair: 1", "pair: [a, 1]",
    "table: [a]", "table: 3", "table: {a: b}", "table: {a: 1, b: 2}",
    "inner: 3", "inner: [{depth: 1}]", "inner: {}", "inner: {deep: 1}", "inner: {depth: x}",
    "inner: {depth: 1, names: {a: b}}", "inner: {depth: 1, names: 3}",
    "never: 3", "checked: odd", "checked: bad", "checked: '${env:TOY_BAD}'",
    "colour: '${env:TOY_BAD}'", "whole: '${env:TOY_BAD}'", "some: ['${env:TOY_BAD}']",
    "where: 3", "where: {kind: selfish}", "where: {level: {min: a}}",
    "where: {name: 3}", "where: {nam: a}", "where: {level: {mon: 1}}",
    "zzz: 1", "inner: {zzz: 1, depth: 1}", "type: scale", "Flag: true",
]  # fmt: skip


def told(call: Callable[[], Any]) -> str:
    """Give what the user reads."""
    try:
        call()
    except GenHubError as error:
        return str(error)
    return "nothing is wrong"


def test_values_of_every_kind_are_told_as_reviewed(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOY_BAD", "bad")
    registries = toy_registries()
    registries.get("attention_mixers").add("every", Every)
    texts = {}
    for value in VALUES:
        path = write(f"genhub: 1\nattention:\n  - type: every\n    {value}\n")
        texts[value] = told(partial(load, path, registries=registries))
    compare(sections(texts).replace(str(tmp_path), "/tmp"), EXPECTED / "values.txt")


TEXTS = [
    "a: b: c", "a: [1, 2", "a: {b: 1", "a: 'b", 'a: "b\n\n', "a: @x", "a: `x", "a: %x",
    "\ta: 1", "a:\n\t- 1", "a:\n  b: 1\n\tc: 2", "a\nb: 1", "a: 1\nb\nc: 2", 'a: "\\q"',
    'a: "\\x1"', "a: 1\n b: 2", "- a\nb: 1", "a: 1\n- b", "a:\n  - b\n - c", "a: - b", "a: ]",
    "a: }", "a: ,", "a: [b}", "a: *", "a: &", "a: !<", "%YAML 9\n-", "%FOO\n", "? a\n: b\n? c",
    "a: |x\n b", "a: >\n\tb", "a: |\n  b\n c", "a: 1\n---\nb: 2", "a: 1\n...\nb: 2",
    '"\\ud800": 1', '"\\Uffffffff": 1', "a: \x07", "x: 1\n\n  \x7f", "a: 1\r\nb: \x00",
    "a: &x 1\nb: *x", "a: !!int 3", "a: !mine {b: 1}", "<<: {a: 1}", "'<<': 1",
    "1: a", "~: a", ": a", "true: a", "1.5: a", "[a]: b", "{a: b}: c", "? |\n  a\n: b",
    "a: 1\na: 2", "a: 1\nb: 1\na: 2\na: 3", "a: 08", "a: -007", "a: +00", "a: 1e999", "a: -1e999",
    "a: " + "9" * 101, "a: " + "0" * 30, "a: " + "12" * 12 + "e999", "x" * 301 + ": [",
    "x" * 299 + ":[", "", "\n\n", "# only\n", "---\n", "...", "a: 1 # b: [\n---\n", "[" * 34,
    "a:\n" + "".join("  " * n + "- \n" for n in range(1, 40)),
]  # fmt: skip


def test_texts_that_are_no_yaml_are_told_as_reviewed() -> None:
    def reading(text: str) -> None:
        if problems := read(text, "c.yaml")[1]:
            raise GenHubError.several(problems)

    texts = {f"{text!r:.70} ({len(text)})": told(partial(reading, text)) for text in TEXTS}
    compare(sections(texts), EXPECTED / "texts.txt")


def test_files_that_cannot_be_read_are_told_as_reviewed(
    write: Write, registries: Registries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOY_NIGHT", "nihgt.txt")
    monkeypatch.setattr(checks, "MOST_PROMPTS", 20)
    write("genhub: 1\n", "night.yaml")
    write("genhub: 1\n", "below/day.yaml")
    (tmp_path / "below.txt").mkdir()
    for name, content in {
        "latin.yaml": b"genhub: 1\nname: caf\xe9\n",
        "first.yaml": b"\xe9",
        "latin.txt": b"caf\xe9",
        "marked.txt": b"\xef\xbb\xbf \n",
        "blank.txt": b" \n\t\n",
        "most.txt": b"x" * 20,
        "more.txt": b"x" * 21,
    }.items():
        (tmp_path / name).write_bytes(content)
    paths = [
        "nigth.yaml", "below/dya.yaml", "nowhere/day.yaml", "zzz", ".", "below", "night.yaml/x",
        "a\0b", "latin.yaml", "first.yaml", os.path.join(str(tmp_path), "nihgt.yaml"),
    ]  # fmt: skip
    texts = {repr(p): told(partial(load, p, registries=registries)) for p in paths}
    for base in (
        "nigth.yaml", "[night.yaml, nigth.yaml]", "below", "latin.yaml", "''", "[3]", "{a: b}",
        '"a\\0b"', "~", "c.yaml",
    ):  # fmt: skip
        path = write(f"genhub: 1\nextends: {base}\n")
        texts[f"extends: {base}"] = told(partial(load, path, registries=registries))
    for prompts in (
        "latin.txt", "marked.txt", "blank.txt", "more.txt", "nihgt.txt", "below.txt", "a star",
        "night.yaml/x.txt", '"a\\0b.txt"', "${env:TOY_NIGHT}", "'${env:TOY_NIGHT} star'",
    ):  # fmt: skip
        path = write(f"genhub: 1\ninput:\n  prompts: {prompts}\n")
        texts[f"prompts: {prompts}"] = told(partial(load, path, registries=registries))
    compare(sections(texts).replace(str(tmp_path), "/tmp"), EXPECTED / "files.txt")
    assert load(write("genhub: 1\ninput: {prompts: most.txt}\n"), registries=registries)
