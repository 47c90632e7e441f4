"""A stranger writes a plugin in half a page, and it behaves like one of ours."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import Environment

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "halve-attention"
version = "0.3"
dependencies = ["genhub-core[run]>=0.1,<1"]

[project.entry-points."genhub.attention_mixers"]
halve = "halve_attention:Scale"
"""

MODULE = """
from pydantic import Field

from genhub.api import AttentionMixer, PluginConfig, Where


class ScaleConfig(PluginConfig):
    factor: float = Field(0.5, ge=0, le=2, description="what attention's output is multiplied by")


class Scale(AttentionMixer):
    Config = ScaleConfig
    summary = "scale what attention adds"
    default_where = Where(kind="self")

    def build(self, site, attn, ctx):
        original, factor = attn.processor, self.config.factor

        def scaled(attn, hidden_states, *args, **kwargs):
            return factor * original(attn, hidden_states, *args, **kwargs)

        return scaled
"""

RUN = """
genhub: 1
model: {{source: "tiny:shapes"}}
attention: [{mixers}]
input: {{prompts: [a large red star in the center on white]}}
sampling: {{steps: 2, guidance: 3.0}}
compare: [baseline]
metrics: [psnr]
"""


def _write_plugin(folder: Path) -> Path:
    folder.mkdir()
    assert len(MODULE.splitlines()) < 40
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "halve_attention.py").write_text(MODULE)
    return folder


def test_a_new_plugin_installs_is_listed_runs_and_conflicts_like_any_other(
    environment: Environment, tmp_path: Path
) -> None:
    before = environment.genhub("plugins", "--json", cwd=tmp_path)
    assert "halve" not in before.stdout
    environment.install(_write_plugin(tmp_path / "plugin"))

    listed = json.loads(environment.genhub("plugins", "--json", cwd=tmp_path).stdout)
    ours = [entry for entry in listed if entry["name"] == "halve"]
    assert [(entry["dist"], entry["version"]) for entry in ours] == [("halve-attention", "0.3")]

    config = tmp_path / "run.yaml"
    config.write_text(RUN.format(mixers="{type: halve, factor: 0.9}"))
    ran = environment.genhub("run", "run.yaml", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    (manifest,) = (tmp_path / "runs").glob("run-*/manifest.json")
    written = json.loads(manifest.read_text())
    assert written["status"] == "done"
    assert "halve-attention" in json.dumps(written["plugins"])
    assert written["metrics"]["main"]["psnr"] < 60  # the pictures differ from the baseline's

    config.write_text(RUN.format(mixers="{type: halve}, {type: linfusion}"))
    clash = environment.genhub("run", "run.yaml", cwd=tmp_path)
    assert clash.returncode == 3
    assert "GH401" in clash.stderr and "'halve'" in clash.stderr and "'linfusion'" in clash.stderr
    assert "where" in clash.stderr
    assert "Traceback" not in clash.stderr


def test_a_plugins_own_bounds_are_reported_with_their_place(
    environment: Environment, tmp_path: Path
) -> None:
    environment.install(_write_plugin(tmp_path / "plugin"))
    (tmp_path / "run.yaml").write_text(RUN.format(mixers="{type: halve, factor: 3}"))
    answer = environment.genhub("validate", "run.yaml", cwd=tmp_path)
    assert answer.returncode == 2
    assert "GH302" in answer.stderr and "run.yaml:4:" in answer.stderr
