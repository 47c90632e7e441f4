"""`genhub asyncdiff`: tables to choose from, pictures to look at, and what is wrong with a call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from genhub.cli import main

CONFIG = {
    "genhub": 1,
    "model": {"source": "tiny:shapes"},
    "parallel": {"type": "asyncdiff", "components": 2},
    "launch": {"processes": 2},
    "input": {"prompts": ["a large red star in the center on white"]},
    "sampling": {"steps": 20, "guidance": 3.0},
    "compare": ["baseline"],
    "metrics": ["psnr", "caption-accuracy"],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def recommended(text: str) -> dict:
    """Read the block to paste out of what was printed."""
    start = text.index("\nparallel: ")
    return yaml.safe_load(text[start : text.index("\n", text.index("launch: ", start))])


def test_guidance_comes_first_where_it_is_as_fast(file, capsys):
    assert main(["asyncdiff", "plan", "--devices", "2", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "exact" in printed and "2 components, stride 1" in printed
    assert recommended(printed) == {
        "parallel": {"type": "cfg-parallel"},
        "launch": {"processes": 2},
    }


def test_without_guidance_or_with_more_devices_pieces_come_in(file, capsys):
    command = ["asyncdiff", "plan", "--bandwidth", "10", "--latency", "20", str(file)]
    assert main([*command, "--devices", "4"]) == 0
    block = recommended(capsys.readouterr().out)
    assert block["parallel"]["cfg_parallel"] is True and block["parallel"]["components"] == 2
    assert block["launch"] == {"processes": 4}
    assert main([*command, "--devices", "2", "--set", "sampling.guidance=1.0"]) == 0
    printed = capsys.readouterr().out
    assert "cfg-parallel" not in printed
    assert recommended(printed)["parallel"]["components"] == 2


def test_what_is_recommended_can_be_run(file, tmp_path, capsys):
    assert main(["asyncdiff", "plan", "--devices", "4", str(file)]) == 0
    block = recommended(capsys.readouterr().out)
    config = {**CONFIG, **block, "output": {"dir": str(tmp_path / "runs")}}
    config["launch"]["simulate"] = True
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(config))
    assert main(["validate", str(other)]) == 0


def test_few_calls_are_advised_against(file, capsys):
    assert main(["asyncdiff", "plan", "--set", "sampling.steps=4", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "4 calls are few" in printed
    assert recommended(printed)["parallel"] == {"type": "cfg-parallel"}


def test_schedules_are_drawn_beside_the_serial_picture(file, tmp_path, capsys):
    command = ["asyncdiff", "simulate", str(file), "--output", str(tmp_path / "out")]
    schedules = ["--try", "components=2,warmup=4", "--try", "components=3,stride=2,warmup=20"]
    assert main([*command, *schedules]) == 0
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line for line in printed.splitlines() if line.strip()}
    assert {"serial", "components-2-warmup-4", "components-3-stride-2-warmup-20"} <= rows.keys()
    (folder,) = (path for path in (tmp_path / "out").iterdir() if path.name != "latest")
    metrics = json.loads((folder / "manifest.json").read_text())["metrics"]
    assert metrics["components-2-warmup-4"]["caption-accuracy/joint"] == 1
    # All calls of the second are full: its picture is the serial one.
    assert metrics["components-3-stride-2-warmup-20"]["psnr"] == metrics["main"]["psnr"]
    assert 20 < metrics["components-2-warmup-4"]["psnr"] < metrics["main"]["psnr"]
    assert (folder / "report.html").exists()


@pytest.mark.parametrize(
    "command, words",
    [
        (["plan", "--devices", "0"], ["--devices", "0"]),
        (["plan", "--bandwidth", "-1"], ["--bandwidth", "-1"]),
        (["simulate", "--try", "components"], ["--try", "FIELD=VALUE"]),
        (["simulate", "--try", "components=12"], ["components", "8"]),
        (["simulate", "--try", "komponents=2"], ["komponents", "components"]),
    ],
)
def test_a_wrong_call_is_told_in_a_sentence(file, capsys, command, words):
    assert main(["asyncdiff", *command, str(file)]) != 0
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert all(word in said for word in words), said
