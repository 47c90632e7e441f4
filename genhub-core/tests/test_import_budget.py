from __future__ import annotations

import json
from pathlib import Path

import pytest

from toys import MIXER, ToySite

HEAVY = {"torch", "numpy", "diffusers", "transformers", "accelerate", "PIL", "rich", "matplotlib"}
SENTINEL = "import toy_that_is_heavy\n"

LIST_MODULES = """
    import json, sys
    before = set(sys.modules)
    {code}
    print(json.dumps(sorted(set(sys.modules) - before)))
"""
RUN_COMMAND = """
    import contextlib, io, sys
    from genhub.cli import main
    with contextlib.redirect_stdout(io.StringIO()):
        status = main({arguments!r})
    assert status == 0, status
"""


def modules_after(toys: ToySite, code: str) -> set[str]:
    """Give what a fresh interpreter imports for `code`, as full module names."""
    code = code.strip().replace("\n    ", "\n")
    source = LIST_MODULES.replace("\n    ", "\n").format(code=code)
    done = toys.python(source)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def modules_of(toys: ToySite, *arguments: str) -> set[str]:
    return modules_after(toys, RUN_COMMAND.format(arguments=list(arguments)))


@pytest.fixture
def site(toys: ToySite) -> ToySite:
    """Install a light mixer, and a heavy one that no file names."""
    toys.mixer("plg-light", "light")
    toys.mixer("plg-heavy", "heavy", SENTINEL + MIXER)
    (toys.folder / "toy_that_is_heavy.py").write_text("import plg_light\n", encoding="utf-8")
    return toys


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "run.yaml"
    file.write_text(
        "genhub: 1\ntask: generate\nattention: [{type: light}]\ninput: {prompts: [a circle]}\n",
        encoding="utf-8",
    )
    return str(file)


@pytest.mark.parametrize(
    "module",
    ["genhub", "genhub.api", "genhub.cli", "genhub.registry", "genhub.config", "genhub.hooks"],
)
def test_importing_the_host_is_light(site: ToySite, module: str) -> None:
    assert not HEAVY & modules_after(site, f"import {module}")


def test_the_command_line_needs_neither_pydantic_nor_metadata_to_start(site: ToySite) -> None:
    loaded = modules_after(site, "import genhub.cli")
    assert not {"pydantic", "importlib.metadata", "stevedore", "pluggy", "yaml"} & loaded


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_reads_no_metadata(site: ToySite, arguments: list[str]) -> None:
    loaded = modules_of(site, *arguments)
    assert not {"pydantic", "importlib.metadata", "stevedore", "genhub.registry"} & loaded


@pytest.mark.parametrize("arguments", [["plugins"], ["plugins", "--json"], ["plugins", "tasks"]])
def test_listing_plugins_imports_none_of_them(site: ToySite, arguments: list[str]) -> None:
    loaded = modules_of(site, *arguments)
    assert not {*HEAVY, "pydantic", "plg_light", "plg_heavy", "toy_that_is_heavy"} & loaded
    assert not any(name.startswith(("genhub.tasks", "genhub.models")) for name in loaded)


def test_validating_imports_only_the_drivers_that_the_file_names(
    site: ToySite, config: str
) -> None:
    loaded = modules_of(site, "validate", config)
    assert "plg_light" in loaded
    assert not {*HEAVY, "plg_heavy", "toy_that_is_heavy"} & loaded


def test_the_schema_of_everything_needs_no_torch(toys: ToySite) -> None:
    toys.mixer("plg-light", "light")
    assert not HEAVY & modules_of(toys, "schema")


def test_checking_our_own_plugins_needs_no_torch(toys: ToySite) -> None:
    assert not HEAVY & modules_of(toys, "plugins", "--check")


def test_a_dry_run_needs_no_torch(site: ToySite, config: str) -> None:
    assert not HEAVY & modules_of(site, "run", config, "--dry-run")


def test_a_wrong_config_is_told_before_torch_is_imported(site: ToySite, config: str) -> None:
    code = f"from genhub.cli import main; assert main(['run', {config!r}, '--set', 'a=1']) == 2"
    assert not HEAVY & modules_after(site, code)


@pytest.mark.parametrize("arguments", [["explain"], ["explain", "GH203"]])
def test_explaining_reads_no_metadata(site: ToySite, arguments: list[str]) -> None:
    loaded = modules_of(site, *arguments)
    assert not {*HEAVY, "pydantic", "importlib.metadata", "stevedore", "genhub.registry"} & loaded


@pytest.mark.parametrize("arguments", [["examples"], ["examples", "quickstart"]])
def test_examples_need_no_torch(site: ToySite, arguments: list[str]) -> None:
    assert not {*HEAVY, "plg_light", "plg_heavy"} & modules_of(site, *arguments)


def test_a_new_package_is_written_without_torch(site: ToySite, tmp_path: Path) -> None:
    loaded = modules_of(site, "new", "attention-mixer", "demo", "--dir", str(tmp_path))
    assert not {*HEAVY, "plg_light", "plg_heavy"} & loaded
    assert any(tmp_path.rglob("pyproject.toml"))


def test_the_doctor_leaves_torch_to_another_process(toys: ToySite) -> None:
    toys.mixer("plg-light", "light")
    assert not HEAVY & modules_of(toys, "doctor")


def test_showing_a_run_needs_no_torch(toys: ToySite, tmp_path: Path) -> None:
    manifest = {"genhub": 1, "run": "try-1", "status": "done"}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert not HEAVY & modules_of(toys, "show", str(tmp_path))


def test_writing_a_new_package_needs_no_torch(toys: ToySite, tmp_path: Path) -> None:
    arguments = ["new", "parallel-scheduler", "mine", "--dir", str(tmp_path / "new")]
    loaded = modules_of(toys, *arguments)
    assert not {*HEAVY, "pydantic", "pytest"} & loaded


def test_the_authoring_kit_imports_neither_pytest_nor_torch_by_itself(toys: ToySite) -> None:
    assert not {*HEAVY, "pytest"} & modules_after(toys, "import genhub.testing")
