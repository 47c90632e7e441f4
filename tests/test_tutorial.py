"""The tutorial, as its reader goes through it: files written, commands run, outputs compared."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import genhub.testing
from conftest import Environment
from genhub.testing.runner import CLASSES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tutorial.md"
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str, str]]:
    return FENCE.findall(PAGE.read_text(encoding="utf-8"))


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Give each command of a console block with the lines that are shown of its output."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.strip().splitlines()
        yield command, shown


def _words(text: str) -> str:
    return " ".join(text.split())


def carried_out(environment: Environment, command: str, cwd: Path) -> str:
    """Run a command of the page in the reader's environment and give what it prints."""
    program, *arguments = shlex.split(command)
    if program == "pip":  # no index is at hand, and what it would build with is installed
        if arguments[0] == "install":
            environment.install(cwd / arguments[-1])
            return ""
        offline = [sys.executable, "-m", "pip", *arguments, "--no-build-isolation", "--no-index"]
        return subprocess.check_output(offline, cwd=cwd, text=True, timeout=120)
    module = {"genhub": ["-m", "genhub.cli"], "pytest": ["-m", "pytest", "-p", "no:cacheprovider"]}
    done = environment.run(*module.get(program, []), *arguments, cwd=cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_everything_on_the_page_works_in_order(environment: Environment, tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    desk.mkdir()
    ran = []
    for language, title, text in blocks():
        if title:
            (desk / title).write_text(text, encoding="utf-8")
        elif language == "console":
            for command, shown in commands(text):
                printed = carried_out(environment, command, desk)
                for line in shown:
                    assert _words(line) in _words(printed), f"no '{line}' in\n{printed}"
                ran.append(command.split()[0])
        elif language == "python":  # quoted from the package that `genhub new` wrote
            sources = [_words(path.read_text()) for path in (desk / "pooled").rglob("*.py")]
            assert any(_words(text) in source for source in sources), f"no file holds:\n{text}"
    assert set(ran) == {"python", "genhub", "pip", "pytest"}
    assert (desk / "star.png").read_bytes().startswith(b"\x89PNG")
    assert list((desk / "runs").glob("*/report.html"))
    assert list((desk / "dist").glob("genhub_pooled-0.1.0-*.whl"))


def test_every_check_stands_on_the_page_of_checks() -> None:
    page = (PAGE.parent / "testing.md").read_text(encoding="utf-8")
    classes = [getattr(genhub.testing, n) for n in genhub.testing.__all__ if n.endswith("Tests")]
    assert set(CLASSES.values()) <= {cls.__name__ for cls in classes}
    written = set(re.findall(r"^\| ([a-z][a-z0-9 ]*) \|", page, re.MULTILINE)) - {"check"}
    known = {}
    for cls in classes:
        assert f"\n`{cls.__name__}`" in page
        for name in dir(cls):
            if name.startswith("test_"):
                known[name.removeprefix("test_").replace("_", " ")] = getattr(cls, name).__doc__
    assert written == set(known)
    for doc in filter(None, known.values()):
        assert doc.splitlines()[0] in page


def test_the_reader_has_a_mixer_after_ten_lines() -> None:
    code = next(text for _, title, text in blocks() if title == "pool.py")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
