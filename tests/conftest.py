"""Environments as a user has them: an interpreter of its own that sees what is installed here."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Environment:
    """A virtual environment into which wheels can be installed without touching this one."""

    python: Path

    def install(self, source: Path) -> None:
        """Build the wheel of the package in `source` and install it."""
        wheels = source / "wheels"
        pip = [sys.executable, "-m", "pip"]
        build = [
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(wheels),
            str(source),
        ]
        subprocess.run([*pip, *build], check=True, timeout=120)
        install = ["--python", str(self.python), "install", "--quiet", "--no-deps", "--no-index"]
        subprocess.run([*pip, *install, *map(str, wheels.glob("*.whl"))], check=True, timeout=120)

    def genhub(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run the command and give what it printed."""
        return self.run("-m", "genhub.cli", *arguments, cwd=cwd)

    def run(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run Python and give what it printed."""
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd,
            text=True,
            capture_output=True,
            timeout=300,
            env={**os.environ, "PYTHONPATH": "", "HF_HUB_OFFLINE": "1"},
        )


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Give an environment that sees the packages installed in this one."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([str(python), "-c", code], text=True).strip())
    seen = [path for path in sys.path if path.endswith("site-packages")]
    (site / "seen.pth").write_text("\n".join(seen) + "\n", encoding="utf-8")
    return Environment(python)
