"""The pages: complete, made from the code where they can be, and true where they show a config."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from inspect import getmembers, isclass, isfunction
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from genhub import api, hookspecs
from genhub.cli import COMMANDS
from genhub.config import RunConfig, load
from genhub.config.model import Block
from genhub.execution import plan_text

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def reference() -> Iterator[ModuleType]:
    """Give the module that makes pages, as mkdocs loads it."""
    sys.path.insert(0, str(DOCS))
    try:
        import reference

        yield reference
    finally:
        sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def pages(reference: ModuleType) -> dict[str, str]:
    return reference.pages()


def _blocks(model: type[Block]) -> Iterator[type[Block]]:
    yield model
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Block):
            yield from _blocks(field.annotation)


def test_every_yaml_field_stands_on_its_page(pages: dict[str, str]) -> None:
    rows = pages["reference/yaml.md"]
    for block in _blocks(RunConfig):
        for name, field in block.model_fields.items():
            assert f"| `{name}` |" in rows
            assert " ".join((field.description or "?").split()).replace("|", "\\|") in rows


def test_every_command_stands_on_its_page(pages: dict[str, str]) -> None:
    for name in COMMANDS:
        assert f"## genhub {name}\n" in pages["reference/commands.md"]


def test_every_public_name_stands_on_the_page_of_the_api(pages: dict[str, str]) -> None:
    undocumented = [
        name
        for name in api.__all__
        if f"::: genhub.api.{name}\n" not in pages["reference/api.md"]
        and (isclass(getattr(api, name)) or isfunction(getattr(api, name)))
    ]
    assert undocumented == []


def test_every_hook_and_kind_stands_on_its_page(reference: ModuleType) -> None:
    hooks = reference.hooks_list()
    for name, _ in getmembers(hookspecs, isfunction):
        assert name == "hookspec" or f"## {name}\n" in hooks
    assert "{{ hooks }}" in (DOCS / "hooks.md").read_text(encoding="utf-8")
    assert "{{ kinds }}" in (DOCS / "plugins.md").read_text(encoding="utf-8")


def test_what_is_not_described_cannot_get_onto_a_page(reference: ModuleType) -> None:
    with pytest.raises(ValueError, match="'rank' of Toy has no description"):
        reference._fields({"title": "Toy", "properties": {"rank": {"type": "integer"}}}, {})
    with pytest.raises(ValueError, match="my-command is not described"):
        reference._help("my-command", "", None)


@pytest.mark.parametrize(
    "path", [*sorted(DOCS.glob("*.md")), ROOT / "README.md"], ids=lambda path: path.stem
)
def test_configs_on_the_pages_work(path: Path, tmp_path: Path) -> None:
    for language, text in FENCE.findall(path.read_text(encoding="utf-8")):
        if language == "yaml" and text.startswith("genhub: 1"):
            file = tmp_path / "shown.yaml"
            file.write_text(text, encoding="utf-8")
            loaded = load(file)
            for name in {"main", *loaded.config.compare} - {"baseline"}:  # which has no drivers
                assert plan_text(loaded.variant(name))
        elif language == "python":
            compile(text, str(path), "exec")


def test_every_page_is_in_the_navigation() -> None:
    text = re.sub(r"!!python\S*", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = re.findall(r"[\w/-]+\.md", str(yaml.safe_load(text)["nav"]))
    written = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert [page for page in written if page not in listed] == []
