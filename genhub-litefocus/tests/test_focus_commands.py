"""`genhub litefocus`: what is printed, what a config brings, and what is wrong with a call."""

from __future__ import annotations

import pytest
import small_pipelines
import yaml

from genhub.cli import main

CONFIG = {
    "genhub": 1,
    "model": {"source": "tiny:tones"},
    "attention": [{"type": "litefocus", "time_window": 40}],
    "input": {"prompts": ["slow high e beeps over low noise"]},
    "sampling": {"seconds": 24, "steps": 2},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("commands") / "audioldm2"
    small_pipelines.audioldm2().save_pretrained(path)
    return path


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def rows_of(printed):
    return [line.split() for line in printed.splitlines() if line.strip()]


def test_a_shipped_model_is_estimated(capsys):
    assert main(["litefocus", "estimate", "--model", "tiny:tones", "--seconds", "80"]) == 0
    printed = capsys.readouterr()
    assert ["0", "800", "16", "12800", "5", "5"] in [row[:6] for row in rows_of(printed.out)]
    assert "times fewer FLOP" in printed.out and printed.err == ""


def test_a_folder_is_estimated_without_its_weights(folder, capsys):
    for weights in folder.rglob("*.safetensors"):
        weights.rename(weights.with_suffix(".gone"))
    try:
        status = main(["litefocus", "estimate", "--model", str(folder), "--seconds", "40"])
    finally:
        for weights in folder.rglob("*.gone"):
            weights.rename(weights.with_suffix(".safetensors"))
    assert status == 0
    assert ["1", "500", "8", "4000", "12", "12"] in [
        row[:6] for row in rows_of(capsys.readouterr().out)
    ]


def test_a_config_brings_model_length_and_fields(file, capsys):
    command = ["litefocus", "estimate", "--config", str(file)]
    assert main(command) == 0
    banded = capsys.readouterr().out
    assert banded.startswith("TonesPipeline, 24 s of sound")
    assert main([*command, "--set", "time_window=null"]) == 0
    whole = capsys.readouterr().out
    assert main([*command, "--seconds", "12", "--set", "sparse_ratio=0.5"]) == 0
    assert capsys.readouterr().out.startswith("TonesPipeline, 12 s of sound")
    ratio = [float(next(r[-1] for r in rows_of(t) if r[0] == "litefocus")) for t in (banded, whole)]
    assert ratio[0] > ratio[1] > 1


def test_kernels_are_timed_in_turns_at_the_shapes_of_a_model(folder, capsys):
    command = ["litefocus", "bench", "--model", str(folder), "--device", "cpu", "--rounds", "2"]
    assert main([*command, "--seconds", "2", "4"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("AudioLDM2Pipeline, level 1: 4 heads of 8, 8 frequency rows")
    rows = rows_of(printed)
    timed = [row for row in rows if row[:2] in (["2", "200"], ["4", "400"])]
    assert [row[2] for row in timed] == ["full", "dense", "merge", "rows"] * 2
    assert [row[2] for row in timed if row[-1] == "auto"] == ["rows", "rows"]
    assert all(float(row[3 if row[2] != "full" else 5]) > 0 for row in timed)
    assert "triton was not timed" in printed


def test_without_a_model_the_shapes_of_audioldm2_are_timed(capsys):
    command = ["litefocus", "bench", "--seconds", "3", "--rounds", "1", "--device", "cpu"]
    assert main(command) == 0
    assert "8 heads of 32, 8 frequency rows, 12.5 frames a second" in capsys.readouterr().out


def test_scores_that_would_fill_memory_are_not_held(capsys):
    command = ["litefocus", "bench", "--seconds", "30", "--rounds", "1", "--device", "cpu"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "dense was not timed everywhere: its scores would take more than" in printed


@pytest.mark.parametrize(
    "command, words",
    [
        (["estimate", "--seconds", "80"], ["--model"]),
        (["estimate", "--model", "tiny:tones"], ["--seconds"]),
        (["estimate", "--model", "tiny:tones", "--seconds", "0"], ["--seconds is 0", "above 0"]),
        (["estimate", "--model", "tiny:tones", "--seconds", "8", "--set", "x"], ["FIELD=VALUE"]),
        (["estimate", "--model", "tiny:tones", "--seconds", "8", "--set", "x=1"], ["'x'"]),
        (["estimate", "--model", "tiny:shapes", "--seconds", "8"], ["time from frequency"]),
        (["estimate", "--model", "absent", "--seconds", "8"], ["absent", "tiny:NAME"]),
        (["estimate", "--config", "absent.yaml"], ["absent.yaml cannot be read"]),
        (["bench", "--seconds", "-1"], ["--seconds is -1", "above 0"]),
        (["bench", "--rounds", "0"], ["--rounds is 0"]),
        (["bench", "--ratio", "2"], ["--ratio is 2"]),
        (["bench", "--device", "tpu"], ["--device is 'tpu'"]),
    ],
)
def test_a_wrong_call_is_told_in_a_sentence(capsys, command, words):
    assert main(["litefocus", *command]) != 0
    said = capsys.readouterr().err
    assert "Traceback" not in said and "unexpected" not in said
    assert all(word in said for word in words), said


def test_a_config_without_the_mixer_is_told(file, capsys):
    file.write_text(yaml.safe_dump({**CONFIG, "attention": []}))
    assert main(["litefocus", "estimate", "--config", str(file)]) != 0
    assert "no litefocus under attention" in capsys.readouterr().err
