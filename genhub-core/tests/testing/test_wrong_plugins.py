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


def test_a_mixer_that_does_nothing_wrong_passes(wrong: ToySite) -> None:
    outcomes = check("attention_mixers", "honest")
    assert {each.status for each in outcomes} == {"ok"}
    assert {each.check for each in outcomes} == set(MIXERS.values())
