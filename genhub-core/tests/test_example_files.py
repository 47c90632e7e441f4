from __future__ import annotations

from pathlib import Path

import pytest

from genhub.cli import main
from genhub.cli.examples import FOLDER
from toys import ToySite

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def test_every_example_is_listed_with_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples"]) == 0
    shown = capsys.readouterr().out.splitlines()
    listed = {line.split()[0]: line.split(maxsplit=1)[1] for line in shown if line[0] != " "}
    assert sorted(listed) == NAMES
    assert listed["quickstart"].startswith("Real pictures on a laptop's CPU")


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_printed_as_it_ships(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["examples", name]) == 0
    assert capsys.readouterr().out == (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def test_an_example_is_written_with_the_files_that_it_names(tmp_path: Path) -> None:
    assert main(["examples", "linear", "-o", str(tmp_path / "mine.yaml")]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions-200.txt", "mine.yaml"]
    assert (tmp_path / "mine.yaml").read_bytes() == (FOLDER / "linear.yaml").read_bytes()


def test_a_written_example_is_valid(tmp_path: Path) -> None:
    assert main(["examples", "quickstart", "-o", str(tmp_path)]) == 0
    assert main(["validate", str(tmp_path / "quickstart.yaml")]) == 0


def test_nothing_is_overwritten_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, captions = tmp_path / "mine.yaml", tmp_path / "captions-200.txt"
    captions.write_text("my own\n", encoding="utf-8")
    assert main(["examples", "linear", "-o", str(mine)]) == 1
    assert f"{captions} exists already" in capsys.readouterr().err
    assert captions.read_text(encoding="utf-8") == "my own\n" and not mine.exists()
    assert main(["examples", "linear", "-o", str(mine), "--force"]) == 0
    assert captions.read_bytes() == (FOLDER / "captions-200.txt").read_bytes()
    assert main(["examples", "linear", "-o", str(mine)]) == 0  # nothing would change


def test_a_file_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["examples", "quickstart", "-o", str(tmp_path / "file" / "x.yaml")]) == 1
    shown = capsys.readouterr().err
    assert "GH601" in shown and str(tmp_path / "file") in shown and "Traceback" not in shown


def test_an_unknown_example_is_told_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "nope"]) == 2
    assert "there are: " + ", ".join(NAMES) in capsys.readouterr().err


def test_writing_needs_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "-o", "x.yaml"]) == 2
    assert "name of an example" in capsys.readouterr().err


def test_an_example_of_an_absent_package_names_the_package(toys: ToySite) -> None:
    done = toys.genhub("examples", GENHUB_PLUGINS="genhub-core")  # installed here or not
    lines = done.stdout.splitlines()
    (at,) = (i for i, line in enumerate(lines) if line.startswith("linear "))
    assert "needs: " in lines[at + 1] and "genhub-linfusion" in lines[at + 1]
    printed = toys.genhub("examples", "linear", GENHUB_PLUGINS="genhub-core")
    assert printed.stdout.startswith("# ") and "genhub-linfusion" in printed.stderr
