"""Every bad config in `bad/` is told what is wrong, where, and in words that a user knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from genhub.config import load
from genhub.errors import GenHubError, Problem
from genhub.registry import Registries

BAD = Path(__file__).parent / "bad"


def expectations() -> dict[str, list[tuple[str, str, str]]]:
    """Read bad/expected.txt: code, line:column and phrase of each problem, by file."""
    listed: dict[str, list[tuple[str, str, str]]] = {}
    for line in (BAD / "expected.txt").read_text(encoding="utf-8").splitlines()[1:]:
        name, code, place, phrase = line.split(maxsplit=3)
        listed.setdefault(name, []).append((code, place, phrase))
    return listed


EXPECTED = expectations()
# What pydantic and PyYAML say, and no user should have to read.
JARGON = re.compile(
    r"Input should|valid (integer|string|dictionary|object|array|boolean)|Extra inputs|Field req"
    r"|Value error|pydantic|type=|block mapping|<block|simple key|NoneType|\bdict\b|union"
)


def problems_of(path: Path, registries: Registries) -> tuple[Problem, ...]:
    with pytest.raises(GenHubError) as caught:
        load(path, registries=registries)
    return caught.value.problems


def test_every_bad_config_has_its_expectation() -> None:
    assert {path.stem for path in BAD.glob("*.yaml")} == set(EXPECTED)
    assert len(EXPECTED) >= 60


@pytest.mark.parametrize("name", EXPECTED)
def test_bad_config_gives_code_place_and_reason(
    name: str, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD)
    problems = problems_of(Path(f"{name}.yaml"), registries)
    seen = [(p.code, f"{p.mark.line}:{p.mark.column}") for p in problems if p.mark is not None]
    assert seen == [(code, place) for code, place, _ in EXPECTED[name]]
    for problem, (_, _, phrase) in zip(problems, EXPECTED[name], strict=True):
        assert phrase in problem.message
        assert problem.mark is not None
        assert problem.mark.file == f"{name}.yaml"
        assert not JARGON.search(f"{problem.message} {problem.hint}")
        assert "\n" not in problem.message


def test_an_unknown_name_reads_well(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD)
    (problem,) = problems_of(Path("unknown-mixer.yaml"), registries)
    assert problem.render() == (
        "error[GH201] no attention mixer is called 'scal'\n"
        "  --> unknown-mixer.yaml:3:11\n"
        "   3 |   - type: scal\n"
        "     |           ^^^^\n"
        "  did you mean 'scale'?  installed: faulty, focus, scale, two-words"
    )


def test_a_map_in_place_of_a_list_reads_well(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD)
    (problem,) = problems_of(Path("attention-map.yaml"), registries)
    assert problem.render() == (
        "error[GH303] attention must be a list, found a map\n"
        "  --> attention-map.yaml:3:3\n"
        "   3 |   type: scale\n"
        "     |   ^\n"
        "  put a '-' before type"
    )


def test_a_misspelt_key_reads_well(registries: Registries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    (problem,) = problems_of(Path("unknown-key.yaml"), registries)
    assert problem.render() == (
        "error[GH301] sampling has no key 'step'\n"
        "  --> unknown-key.yaml:3:3\n"
        "   3 |   step: 5\n"
        "     |   ^^^^\n"
        "  did you mean 'steps'?"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tab-indent", "spaces"),
        ("not-installed", "pip install genhub-litefocus"),
        ("steps-quoted", "write 20, without quotes"),
        ("steps-underscore", "write 1000"),
        ("steps-zero", "steps: denoising steps"),
        ("offline-no", "write false"),
        ("name-number", 'put quotes around it: "2024"'),
        ("attention-name", "write [{type: scale}]"),
        ("parallel-list", "take the '-' away"),
        ("mixer-without-type", "installed: faulty, focus, scale, two-words"),
        ("where-axis", "did you mean 'spatial'?"),
        ("key-outside", "did you mean 'sampling.steps'?"),
        ("prompt-without-text", "text: the prompt"),
        ("unknown-variant", "did you mean 'quick'?  there are: baseline, quick"),
        ("two-documents", "delete this '---'"),
        ("task-lacks-block", "add 'decoder: {type: ...}'"),
        ("needs-processes", "add 'launch: {processes: 2}'; with 'launch: {simulate: true}'"),
    ],
)
def test_hint_names_the_fix(
    name: str, hint: str, registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD)
    assert hint in problems_of(Path(f"{name}.yaml"), registries)[0].hint


def test_no_more_than_a_screen_of_problems_is_told(registries: Registries) -> None:
    with pytest.raises(GenHubError) as caught:
        load({"genhub": 1, "sampling": {f"x{i}": i for i in range(30)}}, registries=registries)
    assert len(caught.value.problems) == 20
    assert "and 10 more" in caught.value.problems[-1].hint


@pytest.mark.parametrize(
    ("name", "status"), [("steps-zero", 2), ("unknown-mixer", 2), ("not-installed", 3)]
)
def test_exit_status_tells_a_wrong_config_from_a_missing_plugin(
    name: str, status: int, registries: Registries
) -> None:
    with pytest.raises(GenHubError) as caught:
        load(BAD / f"{name}.yaml", registries=registries)
    assert caught.value.exit_code == status


def test_a_missing_file_suggests_its_neighbour(registries: Registries, tmp_path: Path) -> None:
    (tmp_path / "night.yaml").write_text("genhub: 1\n")
    with pytest.raises(GenHubError) as caught:
        load(tmp_path / "nigth.yaml", registries=registries)
    assert caught.value.code == "GH106"
    assert "night.yaml" in caught.value.problems[0].hint


def test_a_folder_is_no_config(registries: Registries, tmp_path: Path) -> None:
    with pytest.raises(GenHubError, match="is a folder"):
        load(tmp_path, registries=registries)


def test_a_name_no_file_can_have_is_refused(registries: Registries) -> None:
    with pytest.raises(GenHubError) as caught:
        load("a\0b.yaml", registries=registries)
    assert caught.value.code == "GH106"


def test_a_file_too_big_for_a_config_is_refused(registries: Registries, tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"genhub: 1\n# " + "é".encode() * (1 << 20))
    with pytest.raises(GenHubError) as caught:
        load(path, registries=registries)
    assert caught.value.code == "GH104"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"genhub": 1, 3: "x"}, "GH109"),
        ({"genhub": 1, "name": object()}, "GH303"),
        ({"genhub": 1, "name": "\ud800"}, "GH303"),
        ({"genhub": 1, "seed": 10**200}, "GH303"),
    ],
)
def test_python_data_that_no_file_could_hold_is_refused(
    value: dict[object, object], code: str, registries: Registries
) -> None:
    with pytest.raises(GenHubError) as caught:
        load(value, registries=registries)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_python_data_that_holds_itself_is_refused(registries: Registries) -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(GenHubError) as caught:
        load({"genhub": 1, "attention": loop}, registries=registries)
    assert caught.value.code == "GH104"
