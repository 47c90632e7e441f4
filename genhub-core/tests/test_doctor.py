from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from genhub.doctor.kernels import look_at_kernels
from genhub.doctor.packages import look_at_requirements
from genhub.doctor.surroundings import about_folder
from genhub.errors import Problem
from genhub.registry import Registries
from toys import FAULTS, MIXER, ToySite

KERNELS = """
    from genhub.api import Availability, Kernel

    class Plain(Kernel):
        reference = True
        def __call__(self, x):
            return x + x

    class Gpu(Kernel):
        priority = 9
        def available(self):
            return Availability(False, "there is no compiler")

    class Raises(Kernel):
        priority = 5
        def available(self):
            raise OSError("libfast.so is missing")
"""


def requires(toys: ToySite, dist: str, *requirements: str) -> None:
    """Let an installed toy distribution require something."""
    (info,) = toys.folder.glob(f"{dist.replace('-', '_')}-*.dist-info")
    with open(info / "METADATA", "a", encoding="utf-8") as file:
        file.writelines(f"Requires-Dist: {text}\n" for text in requirements)


def examined(toys: ToySite, *options: str, **environment: str) -> tuple[int, dict[str, Any]]:
    done = toys.genhub("doctor", "--json", *options, **environment)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def told(found: dict[str, Any]) -> list[str]:
    return [f"{problem['code']} {problem['message']}" for problem in found["problems"]]


def test_a_sound_installation_has_status_0(toys: ToySite) -> None:
    toys.mixer("plg-good", "alpha")
    done = toys.genhub("doctor")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("GenHub ") and "pydantic " in done.stdout
    assert "plg-good 1.0 (1 ok)" in done.stdout
    assert done.stdout.endswith("nothing is broken\n")


def test_what_runs_need_is_said_where_it_is_absent(toys: ToySite) -> None:
    status, found = examined(toys)
    assert status == 0 and found["ok"]
    absent = [name for name, version in found["libraries"].items() if version is None]
    assert ("torch" in absent) == (find_spec("torch") is None)
    hints = [note for note in found["notes"] if "pip install 'genhub-core[run]'" in note]
    assert len(hints) == bool(absent)
    assert all(name in hints[0] for name in absent)


def test_everything_that_is_broken_is_named_with_its_cause(toys: ToySite) -> None:
    toys.mixer("plg-good", "alpha")
    for fault, (source, _) in FAULTS.items():
        toys.mixer(f"plg-{fault}", f"bad-{fault}", source)
    toys.install("plg-hook", {"hooks": {"audit": "plg_hook"}}, {"plg_hook": "x = 1"})
    toys.mixer("plg-one", "twin")
    toys.mixer("plg-two", "twin")
    toys.mixer("plg-off", "off")
    status, found = examined(toys, GENHUB_DISABLE="plg-off")
    assert status == 3 and not found["ok"]
    said = told(found)
    for fault, (_, cause) in FAULTS.items():
        (line,) = (line for line in said if f"plg-{fault} 1.0" in line)
        assert line.startswith("GH203") and cause in line
    assert [line for line in said if "plg-hook" in line and "implements no hook" in line]
    (twins,) = (line for line in said if "twin" in line)
    assert twins.startswith("GH204") and "plg-one 1.0 and plg-two 1.0" in twins
    assert len(said) == len(FAULTS) + 2
    statuses = {row["name"]: row["status"] for row in found["plugins"]}
    assert statuses["alpha"] == "ok" and statuses["off"] == "disabled"
    assert {statuses[f"bad-{fault}"] for fault in FAULTS} == {"broken"}
    assert [note for note in found["notes"] if "off of plg-off is disabled" in note]


def test_what_a_plugin_does_while_it_is_imported_is_noted(toys: ToySite) -> None:
    toys.mixer("plg-loud", "loud", "import random; random.seed(1)\n" + dedent(MIXER))
    status, found = examined(toys)
    assert status == 0
    assert [note for note in found["notes"] if "'loud' of plg-loud 1.0" in note]


def test_unmet_requirements_are_told_with_who_else_asks(toys: ToySite) -> None:
    toys.install("toylib", {}, version="2.1")
    toys.mixer("plg-old", "old")
    toys.mixer("plg-new", "new")
    requires(toys, "plg-old", "toylib<2", "toy-that-is-absent>=3")
    requires(toys, "plg-new", "toylib>=2", 'toylib>=9; python_version < "3"')
    problems: list[Problem] = []
    look_at_requirements(Registries(), problems)
    ours = {problem.message: problem.hint for problem in problems if "toy" in problem.message}
    assert list(ours) == [
        "plg-old 1.0 requires toylib<2, but 2.1 is installed",
        "plg-old 1.0 requires toy-that-is-absent>=3, which is not installed",
    ]
    assert "plg-new 1.0 requires toylib>=2" in ours[next(iter(ours))]
    assert {problem.code for problem in problems} <= {"GH208"}


def test_extras_that_a_plugin_asks_for_are_followed(toys: ToySite) -> None:
    toys.install("toylib", {}, version="2.1")
    requires(toys, "toylib", 'toy-that-is-absent; extra == "run"', 'toy-other; extra == "no"')
    toys.mixer("plg-new", "new")
    requires(toys, "plg-new", "toylib[run]")
    problems: list[Problem] = []
    look_at_requirements(Registries(), problems)
    assert [p.message for p in problems if "toy" in p.message] == [
        "toylib 2.1 requires toy-that-is-absent, which is not installed"
    ]


def test_a_requirement_that_cannot_be_read_is_told(toys: ToySite) -> None:
    toys.mixer("plg-odd", "odd")
    requires(toys, "plg-odd", "what is this")
    problems: list[Problem] = []
    look_at_requirements(Registries(), problems)
    (problem,) = (p for p in problems if "plg-odd" in p.message)
    assert problem.code == "GH208" and "cannot be read" in problem.message


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("raise ImportError('libcudart.so.12: no such file')", "ImportError: libcudart.so.12"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "was ended by SIGILL"),
        ("raise SystemExit(4)", "ended with status 4"),
        ("print('not what was asked')\nraise SystemExit(0)", "it said 'not what was asked"),
    ],
)
def test_a_broken_torch_is_a_finding(toys: ToySite, source: str, cause: str) -> None:
    (toys.folder / "torch.py").write_text(source, encoding="utf-8")
    status, found = examined(toys, "--verify")
    assert status == 3
    assert "kernels were not verified: that needs torch" in found["notes"]
    (line,) = told(found)
    assert line.startswith("GH505 torch is installed, but") and cause in line
    assert found["torch"]["broken"]


def test_kernels_are_listed_with_what_would_be_chosen(toys: ToySite) -> None:
    points = {"toy_double.plain": "plg_k:Plain", "toy_double.gpu": "plg_k:Gpu"}
    points["toy_double.raises"] = "plg_k:Raises"
    toys.install("plg-k", {"kernels": points}, {"plg_k": KERNELS})
    problems: list[Problem] = []
    found = look_at_kernels(Registries(), {"version": "2.8"}, problems)
    rows = {row["impl"]: row for row in found if row["op"] == "toy_double"}
    assert problems == []
    assert rows["plain"]["chosen"] and rows["plain"]["reference"]
    assert rows["gpu"]["reason"] == "there is no compiler" and not rows["gpu"]["available"]
    assert "raised OSError: libfast.so is missing" in rows["raises"]["reason"]
    assert [row["chosen"] for row in rows.values()].count(True) == 1


def test_nothing_is_asked_of_kernels_without_torch(toys: ToySite) -> None:
    points = {"toy_double.plain": "plg_k:Plain", "toy_double.raises": "plg_k:Raises"}
    toys.install("plg-k", {"kernels": points}, {"plg_k": KERNELS})
    found = look_at_kernels(Registries(), {"broken": "it is not there"}, [])
    rows = [row for row in found if row["op"] == "toy_double"]
    assert {row["reason"] for row in rows} == {"torch does not work here"}
    assert not any(row["chosen"] or row["available"] for row in rows)


def test_an_operation_without_a_reference_is_told(toys: ToySite) -> None:
    toys.install("plg-k", {"kernels": {"toy_double.gpu": "plg_k:Gpu"}}, {"plg_k": KERNELS})
    problems: list[Problem] = []
    look_at_kernels(Registries(), {"version": "2.8"}, problems)
    assert [(p.code, p.message) for p in problems] == [
        ("GH507", "0 kernels of 'toy_double' say that they are its reference, not one")
    ]


def test_a_folder_that_refuses_runs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(about_folder("runs")) == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "runs").touch()
    (note,) = about_folder("runs")
    assert str(tmp_path / "runs") in note and "output.dir" in note
