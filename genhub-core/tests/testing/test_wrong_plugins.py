"""Every deliberately wrong plugin fails the one check that is about what it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from genhub.testing.runner import check
from toys import ToySite

MIXERS = {
    "heavy": "import is light",
    "once": "import can be repeated",
    "mute": "summary is one line",
    "invaliddefault": "settings are valid",
    "lax": "unknown keys are refused",
    "undescribed": "fields are described",
    "boundless": "numbers have bounds",
    "rounded": "settings survive yaml",
    "unschooled": "settings match their json schema",
    "local": "settings survive pickling",
    "heavyneeds": "needs are pure",
    "asserting": "bad settings are told to the user",
    "presuming": "accepts answers for every family",
    "failing": "attaches to a model",
    "mutating": "detach restores the pipeline",
    "sharing": "attachments share no state",
    "averaging": "rows of a batch do not mix",
    "coarse": "half precision stays near full",
    "remembering": "reset makes generations equal",
    "dicing": "global dice stay put",
    "calling": "network is left alone",
    "littering": "files are written where told",
    "locked": "attached model can be copied",
    "drawn": "plans are equal everywhere",
    "nameless": "report names its sites",
    "unowned": "decode is owned",
}

SCHEDULERS = {
    "failing": "installs on ranks",
    "drawing": "plans are equal everywhere",
    "unpicklable": "plan survives pickling",
    "silent": "plan tells who computes what",
    "cropping": "output ranks have the output",
    "lying": "bytes are those of the plan",
    "approximate": "ranks give what one process gives",
    "remembering": "second generation is the first",
    "clinging": "leaving restores the pipeline",
    "dicing": "global dice stay put",
    "littering": "network and files are left alone",
}

TASKS = {
    "misreading": "reads are blocks of a config",
    "failing": "runs to the end",
    "unseeded": "same seed gives the same result",
    "forgetful": "interrupted run goes on",
    "littering": "files and network are left alone",
}

ENVIRONMENTS = {
    "single": "makes a vector environment",
    "beyond": "spaces hold what is returned",
    "threaded": "same seed gives the same observations",
    "ignoring": "another seed gives other observations",
    "lingering": "reset begins anew",
    "once": "closes twice",
    "dicing": "global dice stay put",
    "littering": "network and files are left alone",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def failures(kind: str, name: str) -> list[str]:
    return [each.check for each in check(kind, name) if each.status == "failed"]


@pytest.mark.parametrize(("name", "expected"), MIXERS.items())
def test_a_wrong_mixer_fails_the_one_check_that_is_about_it(
    wrong: ToySite, name: str, expected: str
) -> None:
    assert failures("attention_mixers", name) == [expected]


@pytest.mark.parametrize(("name", "expected"), SCHEDULERS.items())
def test_a_wrong_scheduler_fails_the_one_check_that_is_about_it(
    wrong: ToySite, name: str, expected: str
) -> None:
    assert failures("parallel_schedulers", name) == [expected]


@pytest.mark.parametrize(("name", "expected"), TASKS.items())
def test_a_wrong_task_fails_the_one_check_that_is_about_it(
    wrong: ToySite, name: str, expected: str
) -> None:
    assert failures("tasks", name) == [expected]


@pytest.mark.parametrize(("name", "expected"), ENVIRONMENTS.items())
def test_a_wrong_environment_fails_the_one_check_that_is_about_it(
    wrong: ToySite, name: str, expected: str
) -> None:
    pytest.importorskip("gymnasium")
    assert failures("environments", name) == [expected]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("parallel_schedulers", "faithful"), ("tasks", "counting"), ("environments", "walking")],
)
def test_a_plugin_that_does_nothing_wrong_passes(wrong: ToySite, kind: str, name: str) -> None:
    if kind == "environments":
        pytest.importorskip("gymnasium")
    outcomes = check(kind, name)
    assert [each for each in outcomes if each.status == "failed"] == []
    assert len([each for each in outcomes if each.status == "ok"]) > 15


def test_a_mixer_that_does_nothing_wrong_passes(wrong: ToySite) -> None:
    outcomes = check("attention_mixers", "honest")
    assert {each.status for each in outcomes} == {"ok"}
    assert {each.check for each in outcomes} == set(MIXERS.values())
