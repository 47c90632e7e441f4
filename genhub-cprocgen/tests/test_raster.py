"""Rectangles and pictures, against a pixel-by-pixel reading of the drawing rules."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]
SOURCES = ("tests/cpp/raster_test.cpp", "cpp/raster.cpp", "cpp/raster_shapes.cpp", "cpp/strips.cpp")


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_pictures_follow_the_rules_in_every_pixel(tmp_path):
    program = tmp_path / "raster_test"
    sources = [str(PACKAGE / source) for source in SOURCES]
    flags = ["-std=c++17", "-O1", "-ffp-contract=off", f"-I{PACKAGE / 'cpp'}"]
    subprocess.run(["c++", *flags, *sources, "-o", str(program)], check=True)
    result = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "ok\n")
