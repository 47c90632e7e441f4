"""`genhub check`: what it prints, and with which status it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from genhub.cli import main
from genhub.registry import default
from genhub.testing import runner
from toys import FAULTS, ToySite


@pytest.fixture(autouse=True)
def _fresh_registries(
    wrong: ToySite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)  # one of the wrong plugins litters where it stands
    for variable in ("OMP_NUM_THREADS", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(variable, "1")
    default.cache_clear()
    yield
    default.cache_clear()


def test_a_sound_plugin_ends_with_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "counting"]) == 0
    said = capsys.readouterr().out
    assert "interrupted run goes on" in said
    assert "task 'counting' of wrong-plugins 1.0: 17 ok" in said


def test_a_failed_check_ends_with_status_1_and_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "misreading"]) == 1
    said = capsys.readouterr().out
    assert "reads are blocks of a config       failed\n    reads names 'modell'" in said
    assert "16 ok" in said and "1 failed" in said


def test_json_holds_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "misreading", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["plugin"] == "wrong-plugins:misreading"
    assert (found["kind"], found["ok"]) == ("tasks", False)
    (failed,) = [each for each in found["checks"] if each["status"] == "failed"]
    assert failed["check"] == "reads are blocks of a config"


def test_a_name_of_several_kinds_asks_for_the_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "littering"]) == 2
    said = capsys.readouterr().err
    assert "--kind attention_mixers" in said and "--kind tasks" in said
    assert main(["check", "littering", "--kind", "tasks"]) == 1


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("linear-attention", "'linear-attention' is an operation; its kernels are "),
        ("countin", "did you mean 'counting'?"),
    ],
)
def test_an_unknown_name_is_told_what_may_be_meant(
    name: str, hint: str, toys: ToySite, capsys: pytest.CaptureFixture[str]
) -> None:
    toys.install("toy-kernels", {"kernels": {"linear_attention.fast": "absent:Fast"}})
    assert main(["check", name]) == 2
    assert hint in capsys.readouterr().err


def test_an_unknown_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nobody-has-this"]) == 2
    assert "no plugin is called 'nobody-has-this'" in capsys.readouterr().err


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plugin_that_cannot_be_loaded_ends_with_status_3(
    fault: str, toys: ToySite, capsys: pytest.CaptureFixture[str]
) -> None:
    toys.mixer("plg-broken", "unloadable", FAULTS[fault][0])
    assert main(["check", "unloadable"]) == 3
    said = capsys.readouterr().err
    assert FAULTS[fault][1] in said and "Traceback" not in said


def test_missing_pytest_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "find_spec", lambda name: None)
    assert main(["check", "counting"]) == 1
    said = capsys.readouterr().err
    assert "GH505" in said and 'pip install "genhub-core[testing]"' in said
