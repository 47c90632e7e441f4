"""The engine without Python: its own test programs, and the beginning of what fuzzing runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAMS = sorted(path.stem for path in (HERE / "cpp").glob("*_test.cpp"))


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """Build the test programs from the source tree; gives their folder."""
    source = Path(os.environ.get("GENHUB_CPROCGEN_SOURCE", HERE.parent))
    if not (source / "CMakeLists.txt").exists():
        pytest.skip("needs the package's source tree: set GENHUB_CPROCGEN_SOURCE to it")
    if shutil.which("cmake") is None or not (shutil.which("c++") or shutil.which("cl")):
        pytest.skip("needs cmake and a C++ compiler")
    folder = tmp_path_factory.mktemp("engine")
    options = {
        "CPROCGEN_PYTHON": "OFF",
        "CPROCGEN_TESTS": "ON",
        "Python_EXECUTABLE": sys.executable,
    }
    options |= {"CMAKE_BUILD_TYPE": "Debug", "CMAKE_CXX_FLAGS_DEBUG": "-O1"}
    if sys.platform.startswith("linux"):  # what is undefined, or leaves a container, is a finding
        options["CPROCGEN_SANITIZE"] = "undefined,float-cast-overflow"
        options["CMAKE_CXX_FLAGS_DEBUG"] += " -D_GLIBCXX_ASSERTIONS"
    settings = [f"-D{name}={value}" for name, value in options.items()]
    _run("cmake", "-S", str(source), "-B", str(folder), *settings)
    _run("cmake", "--build", str(folder), "--parallel", "2")
    return folder


def _run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_finds_no_fault(built, program):
    assert _run(str(built / program)).endswith("ok\n")


def test_random_configurations_are_played_without_a_finding(built):
    said = _run(str(built / "cprocgen_fuzz"), "configurations", "1000")
    configurations, continued, impossible = (int(part.split()[0]) for part in said.split(", "))
    assert configurations == 1000
    assert continued > 100  # states saved, loaded into a used batch, and played on
    assert impossible < 200


def test_threads_change_nothing(built):
    assert _run(str(built / "cprocgen_fuzz"), "threads", "20").startswith("20 batches")


def test_long_play_does_not_take_more_and_more_memory(built):
    reports = _run(str(built / "cprocgen_fuzz"), "memory", "100000").splitlines()
    assert len(reports) == 10
