"""What the wheels hold, and that the packages stand beside each other without leaning."""

from __future__ import annotations

import os
import re
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import pytest

PACKAGES = {
    "genhub-core": "genhub",
    "genhub-linfusion": "genhub_linfusion",
    "genhub-litefocus": "genhub_litefocus",
    "genhub-asyncdiff": "genhub_asyncdiff",
    "genhub-cprocgen": "genhub_cprocgen",
}
WITH_WEIGHTS = ("genhub-core", "genhub-linfusion", "genhub-litefocus")


def _files(distribution: str) -> list[str]:
    return [str(path) for path in metadata.files(distribution) or []]


@pytest.mark.parametrize(("distribution", "package"), PACKAGES.items())
def test_a_wheel_holds_types_weights_and_no_tests(distribution: str, package: str) -> None:
    listed = _files(distribution)
    assert f"{package}/py.typed" in listed
    held = any(path.endswith(".safetensors") for path in listed)
    assert held == (distribution in WITH_WEIGHTS)
    top = {path.split("/")[0] for path in listed if not path.startswith("..")}
    assert top <= {package, *(name for name in top if name.endswith(".dist-info"))}


def test_the_host_brings_the_error_page_and_the_examples() -> None:
    listed = _files("genhub-core")
    assert "genhub/explain/errors.md" in listed
    for name in ("quickstart.yaml", "linear.yaml", "captions-200.txt", "demo-prompts.txt"):
        assert f"genhub/examples/{name}" in listed


@pytest.mark.parametrize("distribution", PACKAGES)
def test_entry_points_resolve(distribution: str) -> None:
    ours = [
        entry
        for entry in metadata.distribution(distribution).entry_points
        if entry.group.startswith("genhub.")
    ]
    assert ours
    for entry in ours:
        assert entry.load() is not None


def test_versions_of_a_release_are_equal() -> None:
    assert len({metadata.version(name) for name in PACKAGES}) == 1


def test_wheels_are_imported_and_not_the_source_tree() -> None:
    for package in PACKAGES.values():
        assert "site-packages" in str(files(package))


@pytest.mark.parametrize("package", [name for name in PACKAGES.values() if name != "genhub"])
def test_packages_import_the_host_through_its_public_names_only(package: str) -> None:
    for path in Path(str(files(package))).rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"^\s*(?:from|import) genhub\.(\w+)", text, re.MULTILINE)
        assert set(found) <= {"api", "testing", "shapes"}, (path.name, found)


def test_shipped_weights_stay_small() -> None:
    shapes = Path(str(files("genhub.shapes"))) / "model"
    size = sum(path.stat().st_size for path in shapes.rglob("*.safetensors"))
    assert size <= 12 * 2**20
    tones = Path(str(files("genhub_litefocus.tones"))) / "weights"
    assert 0 < sum(path.stat().st_size for path in tones.rglob("*.safetensors")) <= 8 * 2**20


def test_the_games_need_numpy_and_gymnasium_only_and_little_room() -> None:
    declared = metadata.requires("genhub-cprocgen") or []
    needed = {re.split(r"[<>=!~ ;\[]", text)[0] for text in declared if "extra ==" not in text}
    assert needed == {"numpy", "gymnasium"}
    [wheel] = (Path(os.environ["GENHUB_WHEELS"]) / "cprocgen").glob("*.whl")
    assert wheel.stat().st_size <= 3 * 2**20
