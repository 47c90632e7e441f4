from __future__ import annotations

import re
from pathlib import Path

import pytest

import genhub
from genhub.cli import main
from genhub.cli.explain import PAGE, sections

SOURCES = Path(genhub.__file__).parent


def test_every_code_of_the_host_has_a_section_and_every_section_a_code() -> None:
    raised = {
        code
        for path in SOURCES.rglob("*.py")
        for code in re.findall(r"\bGH\d{3}\b", path.read_text(encoding="utf-8"))
    }
    assert raised == set(sections(PAGE.read_text(encoding="utf-8")))


def test_no_section_is_empty() -> None:
    assert all(len(text) > 20 for text in sections(PAGE.read_text(encoding="utf-8")).values())


@pytest.mark.parametrize("written", ["GH203", "gh203", "203", "error[GH203]"])
def test_a_code_is_explained_however_it_is_copied(
    capsys: pytest.CaptureFixture[str], written: str
) -> None:
    assert main(["explain", written]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("GH203\nThe plugin cannot be imported")
    assert "GH204" not in shown


def test_without_a_code_each_is_listed_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:5] for line in lines] == list(sections(PAGE.read_text(encoding="utf-8")))
    assert "GH107  The file is empty." in lines
    assert all(line.endswith(".") and line.count("`") % 2 == 0 for line in lines)


@pytest.mark.parametrize(
    ("written", "hint"),
    [("GH299", "there are: GH201, GH202"), ("banana", "`genhub explain` lists all")],
)
def test_an_unknown_code_is_told_its_neighbours(
    capsys: pytest.CaptureFixture[str], written: str, hint: str
) -> None:
    assert main(["explain", written]) == 2
    assert hint in capsys.readouterr().err
