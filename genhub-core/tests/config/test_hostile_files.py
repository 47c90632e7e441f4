"""Files made to hurt whoever reads them: each is refused with one error, at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genhub.config import load
from genhub.errors import GenHubError
from genhub.registry import Registries

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
TEXTS = {
    "a bomb of aliases": (LAUGHS, "GH103"),
    "an alias to itself": ("a: &a [*a]\n", "GH103"),
    "a merge of everything": ("genhub: 1\n<<: {seed: 1}\n", "GH103"),
    "an object": ("genhub: !!python/object/apply:os.system [true]\n", "GH103"),
    "a tag of its own": ("%TAG ! tag:x.y,2000:\n---\ngenhub: !z 1\n", "GH103"),
    "deep brackets": ("genhub: " + "[" * 5_000, "GH104"),
    "deep maps": ("genhub: " + "{a: " * 5_000, "GH104"),
    "deep blocks": ("\n".join(" " * n + "a:" for n in range(500)), "GH104"),
    "deep lists on one line": ("- " * 5_000 + "a", "GH104"),
    "a key twice": ("genhub: 1\ngenhub: 1\n", "GH102"),
    "NUL": ("genhub: 1\nname: a\0b\n", "GH101"),
    "an escape sequence": ("genhub: 1\nname: \x1b[2J\n", "GH101"),
    "NUL by an escape": ('genhub: 1\nname: "a\\0b"\noutput: {dir: "\\0"}\nx: 1', "GH301"),
    "half a surrogate pair": ('genhub: 1\nname: "\\ud800"\n', "GH101"),
    "a long key": (f"genhub: 1\n{'k' * 1_000}: 1\n", "GH301"),
    "a long value": (f"genhub: 1\nseed: {'k' * 10_000}\n", "GH303"),
    "a long number": (f"genhub: 1\nseed: {'9' * 10_000}\n", "GH109"),
    "a long name of a driver": (f"genhub: 1\ntask: {'k' * 10_000}\n", "GH201"),
    "a million colons": (":" * (1 << 19) + " 1", "GH101"),
    "many keys": ("\n".join(f"k{n}: 1" for n in range(20_000)), "GH301"),
    "one byte too many": ("genhub: 1\n#" + "x" * (1 << 20), "GH104"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_made_to_hurt_is_one_error(
    name: str, tmp_path: Path, registries: Registries
) -> None:
    text, code = TEXTS[name]
    path = tmp_path / "c.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(GenHubError) as caught:
        load(path, registries=registries)
    assert code in {problem.code for problem in caught.value.problems}
    assert len(str(caught.value)) < 40_000
    if name != "one byte too many":
        assert all(problem.mark is not None for problem in caught.value.problems)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_byte_order_marks_and_line_ends_of_other_systems_are_read(
    tmp_path: Path, registries: Registries, ending: str, mark: str
) -> None:
    path = tmp_path / "c.yaml"
    lines = ["genhub: 1", "seed: 3", "sampling:", "  steps: 0", ""]
    path.write_bytes((mark + ending.join(lines)).encode())
    with pytest.raises(GenHubError) as caught:
        load(path, registries=registries)
    (problem,) = caught.value.problems
    assert problem.mark is not None and (problem.mark.line, problem.mark.column) == (4, 10)


def test_a_pipe_without_a_writer_and_a_device_without_end_do_not_hang(
    tmp_path: Path, registries: Registries
) -> None:
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    for source, code in ((pipe, "GH107"), ("/dev/zero", "GH104"), ("/dev/null", "GH107")):
        with pytest.raises(GenHubError) as caught:
            load(source, registries=registries)
        assert caught.value.code == code
    for key, code in ((f"extends: {pipe}", "GH107"), (f"input: {{prompts: {pipe}}}", "GH305")):
        config = tmp_path / "c.yaml"
        config.write_text(f"genhub: 1\n{key}\n")
        with pytest.raises(GenHubError) as caught:
            load(config, registries=registries)
        assert caught.value.code == code
    (tmp_path / "endless.txt").symlink_to("/dev/zero")
    with pytest.raises(GenHubError, match="is larger than"):
        load(
            {"genhub": 1, "input": {"prompts": str(tmp_path / "endless.txt")}},
            registries=registries,
        )


def test_a_pipe_is_read_to_its_end(tmp_path: Path, registries: Registries) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"genhub: 1\nseed: 4\n")
    os.close(writing)
    try:
        assert load(f"/dev/fd/{reading}", registries=registries).config.seed == 4
    finally:
        os.close(reading)
