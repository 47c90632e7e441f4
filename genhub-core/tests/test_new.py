"""`genhub new`: what it writes, and how it refuses."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from genhub.cli import main
from genhub.scaffold import SCAFFOLDS
from toys import ToySite


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, which must refuse, and give what it says."""
    assert main(["new", *arguments]) != 0
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) <= 2  # one sentence, and how to fix it
    return said


@pytest.mark.parametrize("kind", SCAFFOLDS)
def test_a_new_package_is_complete(kind: str, tmp_path: Path) -> None:
    assert main(["new", kind, "my-own", "--dir", str(tmp_path)]) == 0
    root = tmp_path / "my-own"
    written = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert written == [
        "README.md",
        "pyproject.toml",
        "src/genhub_my_own/__init__.py",
        "src/genhub_my_own/method.py",
        "src/genhub_my_own/plugin.py",
        "src/genhub_my_own/py.typed",
        "tests/test_my_own.py",
    ]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {
        f"genhub.{SCAFFOLDS[kind]}": {"my-own": "genhub_my_own.plugin:MyOwn"}
    }
    assert "genhub-core[run]>=0.1,<1" in project["dependencies"]
    assert "Licence: Apache-2.0" in (root / "README.md").read_text()
    for path in root.rglob("*.py"):
        ast.parse(path.read_text())
        assert "$" not in path.read_text()


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert main(["new", "task", "mine", "--dir", str(tmp_path)]) == 0
    assert (tmp_path / "mine" / "pyproject.toml").is_file()


def test_the_parent_folder_is_made(tmp_path: Path) -> None:
    assert main(["new", "task", "mine", "--dir", str(tmp_path / "a" / "b")]) == 0
    assert (tmp_path / "a" / "b" / "mine" / "README.md").is_file()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("My Mixer!", "use 'my-mixer'"),
        ("9lives", "use 'lives'"),
        ("x", "2 to 32"),
        ("a" * 33, "2 to 32"),
        ("under_score", "use 'under-score'"),
        ("lambda", "use 'my-lambda'"),
        ("none", "use 'my-none'"),
        ("linfusion", "taken by the attention mixer of genhub-linfusion"),
        ("dual-scope", "taken by the attention mixer of genhub-videoinf"),
    ],
)
def test_a_bad_name_is_refused_in_a_sentence_with_its_fix(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, "attention-mixer", name, "--dir", str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_name_that_an_installed_package_offers_is_taken(toys: ToySite, tmp_path: Path) -> None:
    toys.mixer("plg-a", "mine")
    done = toys.genhub("new", "attention-mixer", "mine", "--dir", str(tmp_path / "new"))
    assert done.returncode == 3
    assert "the name 'mine' is taken by the attention mixer of plg-a" in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_something_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert "exists and is not empty" in refused(capsys, "task", "mine", "--dir", str(tmp_path))
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.txt"]


def test_a_place_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert "GH601" in refused(capsys, "task", "mine", "--dir", str(tmp_path / "file" / "inside"))
    assert [path.name for path in tmp_path.rglob("*")] == ["file"]


def test_a_failure_half_way_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: Path, *args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert "No space left" in refused(capsys, "task", "mine", "--dir", str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_an_unknown_kind_is_told_with_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "decoder", "mine", "--dir", str(tmp_path)]) == 2
    assert "attention-mixer" in capsys.readouterr().err
