"""Tiny distributions, installed for real: a folder on the path with modules and their metadata."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

MIXER = """
    from genhub.api import AttentionMixer, PluginConfig
    from pydantic import Field

    class Config(PluginConfig):
        scale: float = Field(1.0, gt=0, description="factor of the output")

    class Toy(AttentionMixer):
        Config = Config
        summary = "scales attention"
"""

# What a module may do to whoever imports it, and what the user is told of it.
FAULTS = {
    "import": ("import a_module_nobody_has", "ModuleNotFoundError: No module named"),
    "assertion": ("assert 1 == 2, 'the world is odd'", "AssertionError: the world is odd"),
    "exit": ("import sys; sys.exit(7)", "SystemExit: 7"),
    "recursion": ("def f(): return f()\nf()", "RecursionError: maximum recursion depth"),
}


class ToySite:
    """A site-packages folder that tests install toys into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def install(
        self,
        dist: str,
        points: Mapping[str, Mapping[str, str]],
        modules: Mapping[str, str] = {},
        version: str = "1.0",
    ) -> None:
        """Install `dist`: entry points `{kind: {name: value}}` and modules `{name: source}`."""
        info = self.folder / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n", encoding="utf-8"
        )
        self.offer(dist, points, version)
        for name, source in modules.items():
            (self.folder / f"{name}.py").write_text(dedent(source), encoding="utf-8")

    def offer(
        self, dist: str, points: Mapping[str, Mapping[str, str]], version: str = "1.0"
    ) -> None:
        """Replace the entry points of an installed distribution."""
        lines = []
        for kind, named in points.items():
            lines += [f"[genhub.{kind}]", *(f"{name} = {value}" for name, value in named.items())]
        info = self.folder / f"{dist.replace('-', '_')}-{version}.dist-info"
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def mixer(self, dist: str, name: str, source: str = MIXER) -> str:
        """Install a distribution with one mixer and give the name of its module."""
        module = dist.replace("-", "_")
        self.install(dist, {"attention_mixers": {name: f"{module}:Toy"}}, {module: source})
        return module

    def genhub(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command `genhub` with these toys installed."""
        return self.python(
            "from genhub.cli import main; raise SystemExit(main())", *arguments, **environment
        )

    def python(
        self, code: str, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these toys installed."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("GENHUB_")}
        return subprocess.run(
            [sys.executable, "-c", dedent(code), *arguments],
            env={**kept, "PYTHONPATH": str(self.folder), **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
