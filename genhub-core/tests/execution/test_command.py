"""The commands that need a model: `genhub run` in its three forms, `plan`, `show` of results."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from genhub.api import hookimpl
from genhub.cli import main
from genhub.config.resolved import as_written
from genhub.execution.folder import read_manifest

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def file(config: dict[str, Any], tmp_path: Path) -> str:
    path = tmp_path / "try.yaml"
    path.write_text(as_written(config), encoding="utf-8")
    return str(path)


def results(capsys: Captured, *arguments: str) -> dict[str, Any]:
    assert main(["run", *arguments, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_sigterm_ends_a_run_as_ctrl_c_does(
    config: dict[str, Any], file: str, registries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ending:
        @hookimpl
        def genhub_artifact(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    registries.get("hooks").add("ending", Ending)
    monkeypatch.setattr("genhub.cli.run.default", lambda: registries)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["run", file, "--set", "hooks=[ending]"]) == 130
    assert signal.getsignal(signal.SIGTERM) is before
    manifest = read_manifest(Path(config["output"]["dir"]) / "latest")
    assert manifest["status"] == "interrupted" and len(manifest["artifacts"]) == 1


def test_json_tells_what_a_run_made(file: str, tmp_path: Path, capsys: Captured) -> None:
    elsewhere = tmp_path / "else where: 1"
    told = results(capsys, file, "--output", str(elsewhere))
    assert told["ok"] is True and told["status"] == "done"
    folder = Path(told["folder"])
    assert folder.parent == elsewhere
    assert [a["path"] for a in told["artifacts"]] == [
        "artifacts/000000.png",
        "artifacts/000001.png",
    ]
    assert all((folder / a["path"]).is_file() for a in told["artifacts"])


def test_a_run_and_a_picture_are_shown_and_repeated(file: str, capsys: Captured) -> None:
    first = results(capsys, file, "--set", "seed=7")
    folder = Path(first["folder"])
    picture = folder / first["artifacts"][1]["path"]

    assert main(["show", str(folder)]) == 0
    assert "done" in capsys.readouterr().out
    assert main(["show", str(picture), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 8

    again = results(capsys, str(folder))
    sole = results(capsys, str(picture))
    assert [_pixels(again, i) for i in (0, 1)] == [_pixels(first, i) for i in (0, 1)]
    assert _pixels(sole, 0) == _pixels(first, 1)


def test_quiet_says_nothing(file: str, capsys: Captured) -> None:
    assert main(["run", file, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_plan_shows_sites_and_makes_nothing(file: str, tmp_path: Path, capsys: Captured) -> None:
    assert main(["plan", file]) == 0
    assert "attn1" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def _pixels(told: dict[str, Any], index: int) -> bytes:
    from PIL import Image

    with Image.open(Path(told["folder"]) / told["artifacts"][index]["path"]) as image:
        return image.tobytes()
