"""The sort with a fixed order of equal elements, against the C++ library it follows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ and its library")
def test_equal_elements_come_in_the_order_of_gnus_sort(tmp_path):
    program = tmp_path / "introsort_test"
    source = PACKAGE / "tests" / "cpp" / "introsort_test.cpp"
    flags = ["-std=c++17", "-O1", f"-I{PACKAGE / 'cpp'}"]
    subprocess.run(["g++", *flags, str(source), "-o", str(program)], check=True)
    result = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "ok\n")
