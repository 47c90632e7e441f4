"""Every bad config in `bad/` is told what is wrong, where, and in words that a user knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from snapshots import compare, sections

from genhub.config import load
from genhub.errors import GenHubError, Problem
from genhub.registry import Registries

HERE = Path(__file__).parent
BAD = HERE / "bad"
NAMES = sorted(path.stem for path in BAD.glob("*.yaml"))
# What pydantic and PyYAML say, and no user should have to read.
JARGON = re.compile(
    r"Input should|valid (integer|string|dictionary|object|array|boolean)|Extra inputs|Field req"
    r"|Value error|pydantic|type=|block mapping|<block|simple key|NoneType|\bdict\b|union"
)


def problems_of(source: Any, registries: Registries, **more: Any) -> tuple[Problem, ...]:
    with pytest.raises(GenHubError) as caught:
        load(source, registries=registries, **more)
    return caught.value.problems


@pytest.fixture
def told(registries: Registries, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Load a bad config and give what its author reads."""
    monkeypatch.chdir(BAD)
    monkeypatch.delenv("GENHUB_TEST_UNSET", raising=False)

    def rendered(name: str) -> str:
        problems = problems_of(Path(f"{name}.yaml"), registries)
        for problem in problems:
            assert problem.mark is not None
            assert problem.mark.file == f"{name}.yaml"
            assert not JARGON.search(f"{problem.message} {problem.hint}")
            assert "\n" not in problem.message
        return str(GenHubError.several(problems)).replace(str(BAD), "/configs")

    return rendered


def test_bad_configs_are_told_as_reviewed(told: Callable[[str], str]) -> None:
    assert len(NAMES) >= 60
    compare(sections({name: told(name) for name in NAMES}), HERE / "expected" / "configs.txt")


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
