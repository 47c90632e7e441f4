from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from genhub import __version__
from genhub.cli import COMMANDS, main
from toys import FAULTS, ToySite

CONFIG = (
    "genhub: 1\ntask: generate\nattention:\n  - type: {mixer}\ninput: {{prompts: [a circle]}}\n"
)

COMMAND = """
    from genhub.api import Command, GenHubError

    class Greet(Command):
        summary = "greet somebody"

        def arguments(self, parser):
            parser.add_argument("who")

        def run(self, args):
            if args.who == "nobody":
                raise GenHubError("GH301", "nobody is there", hint="greet somebody")
            if args.who == "fault":
                raise KeyError("a key that\\nis missing")
            if args.who == "ctrl-c":
                raise KeyboardInterrupt
            print(f"hello {args.who}")
            return 5
"""


def using(tmp_path: Path, mixer: str) -> str:
    file = tmp_path / f"{mixer.replace(':', '-')}.yaml"
    file.write_text(CONFIG.format(mixer=mixer), encoding="utf-8")
    return str(file)


def listed(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [row for row in json.loads(done.stdout) if row["dist"].startswith("plg-")]


@pytest.fixture
def greet(toys: ToySite) -> ToySite:
    toys.install("plg-greet", {"commands": {"greet": "plg_greet:Greet"}}, {"plg_greet": COMMAND})
    return toys


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command_and_gives_an_example(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in COMMANDS)
    assert "genhub run" in shown
    assert len(shown.splitlines()) <= 24 and max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: genhub {name}")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"genhub {__version__}\n"


def test_a_misspelt_command_is_told_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["valdate", "x.yaml"]) == 2
    assert "did you mean 'genhub validate'?" in capsys.readouterr().err


def test_the_command_of_a_missing_package_names_the_package(
    toys: ToySite, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["asyncdiff"]) == 3
    assert "package genhub-asyncdiff, which is not installed" in capsys.readouterr().err


def test_wrong_usage_has_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate"]) == 2
    assert main(["plugins", "--no-such-option"]) == 2
    assert "genhub plugins: error:" in capsys.readouterr().err


def test_a_package_brings_its_own_command(greet: ToySite) -> None:
    done = greet.genhub("greet", "you")
    assert (done.returncode, done.stdout) == (5, "hello you\n")
    assert "Greet somebody." in greet.genhub("greet", "--help").stdout
    assert "greet" in greet.genhub("plugins", "commands").stdout


def test_a_users_error_is_shown_without_a_traceback(greet: ToySite) -> None:
    done = greet.genhub("greet", "nobody")
    assert done.returncode == 2
    assert done.stderr == "error[GH301] nobody is there\n  greet somebody\n"


def test_an_unexpected_error_is_one_sentence_that_asks_for_verbose(greet: ToySite) -> None:
    done = greet.genhub("greet", "fault")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "unexpected KeyError" in done.stderr and "--verbose" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["greet", "fault", "--verbose"], ["--verbose", "greet", "fault"]]
)
def test_verbose_shows_the_traceback(greet: ToySite, arguments: list[str]) -> None:
    done = greet.genhub(*arguments)
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "plg_greet.py" in done.stderr


def test_ctrl_c_has_status_130(greet: ToySite) -> None:
    done = greet.genhub("greet", "ctrl-c")
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_a_reader_that_stops_early_is_no_error(toys: ToySite) -> None:
    child = """
        import subprocess, sys
        command = [sys.executable, "-m", "genhub.cli", "plugins"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        child.stdout.close()
        print(child.stderr.read().decode(), child.wait())
    """
    assert toys.python(child).stdout.strip() == "1"


def test_plugins_are_listed_in_order_with_their_packages(toys: ToySite) -> None:
    toys.mixer("plg-b", "beta")
    toys.mixer("plg-a", "alpha")
    rows = listed(toys.genhub("plugins", "--json"))
    assert rows[0] == {
        "kind": "attention_mixers",
        "name": "alpha",
        "dist": "plg-a",
        "version": "1.0",
        "entry_point": "plg_a:Toy",
        "status": "ok",
    }
    assert [row["name"] for row in rows] == ["alpha", "beta"]
    shown = toys.genhub("plugins", "attention-mixers").stdout.splitlines()
    assert shown[0].split() == ["KIND", "NAME", "PACKAGE", "VERSION", "STATUS"]
    assert ["attention_mixers", "alpha", "plg-a", "1.0", "ok"] in [line.split() for line in shown]


def test_all_that_the_host_offers_is_listed_with_its_version(toys: ToySite) -> None:
    rows = json.loads(toys.genhub("plugins", "--json").stdout)
    core = [(row["kind"], row["name"]) for row in rows if row["dist"] == "genhub-core"]
    assert {("tasks", "generate"), ("models", "shapes"), ("hooks", "report")} <= set(core)
    assert {row["version"] for row in rows if row["dist"] == "genhub-core"} == {__version__}


def test_disabled_plugins_are_listed_as_such(toys: ToySite) -> None:
    toys.mixer("plg-a", "alpha")
    rows = listed(toys.genhub("plugins", "--json", GENHUB_DISABLE="plg-a"))
    assert [row["status"] for row in rows] == ["disabled"]


def test_checking_tells_good_from_broken(toys: ToySite) -> None:
    toys.mixer("plg-good", "alpha")
    for fault, (source, _) in FAULTS.items():
        toys.mixer(f"plg-{fault}", f"bad-{fault}", source)
    toys.install("plg-hook", {"hooks": {"audit": "plg_hook"}}, {"plg_hook": "x = 1"})
    done = toys.genhub("plugins", "--check", "--json")
    assert done.returncode == 3
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["alpha"]["status"] == "ok" and rows["alpha"]["summary"] == "scales attention"
    assert "implements no hook" in rows["audit"]["problem"]
    for fault, (_, cause) in FAULTS.items():
        assert rows[f"bad-{fault}"]["status"] == "broken"
        assert cause in rows[f"bad-{fault}"]["problem"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plugin_that_fails_at_import_breaks_no_command_until_it_is_used(
    toys: ToySite, tmp_path: Path, fault: str
) -> None:
    source, cause = FAULTS[fault]
    toys.mixer("plg-bad", "omega", source)
    toys.mixer("plg-good", "alpha")
    others = (["--help"], ["plugins"], ["schema"], ["explain"], ["examples"])
    for arguments in (*others, ["validate", using(tmp_path, "alpha")]):
        assert toys.genhub(*arguments).returncode == 0
    done = toys.genhub("validate", using(tmp_path, "omega"))
    assert done.returncode == 3
    assert "error[GH203]" in done.stderr and "plg-bad 1.0" in done.stderr and cause in done.stderr
    assert "omega.yaml:4:" in done.stderr and "Traceback" not in done.stderr


def test_a_broken_plugin_does_not_keep_the_schema_from_the_others(toys: ToySite) -> None:
    toys.mixer("plg-bad", "omega", "assert False")
    toys.mixer("plg-good", "alpha")
    done = toys.genhub("schema")
    assert done.returncode == 0, done.stderr
    assert '"alpha"' in done.stdout


def test_an_entry_point_added_to_an_installed_package_is_in_the_next_command(
    toys: ToySite,
) -> None:
    toys.mixer("plg-a", "alpha")
    assert [row["name"] for row in listed(toys.genhub("plugins", "--json"))] == ["alpha"]
    toys.offer("plg-a", {"attention_mixers": {"alpha": "plg_a:Toy", "beta": "plg_a:Toy"}})
    assert [row["name"] for row in listed(toys.genhub("plugins", "--json"))] == ["alpha", "beta"]


def test_a_name_with_two_owners_needs_the_qualified_spelling(toys: ToySite, tmp_path: Path) -> None:
    toys.mixer("plg-one", "alpha")
    toys.mixer("plg-two", "alpha")
    done = toys.genhub("validate", using(tmp_path, "alpha"))
    assert done.returncode == 3 and "error[GH204]" in done.stderr
    assert "'plg-one:alpha' or 'plg-two:alpha'" in done.stderr
    assert toys.genhub("validate", using(tmp_path, "plg-two:alpha")).returncode == 0


def test_validating_several_files_tells_all_and_gives_the_gravest_status(
    toys: ToySite, tmp_path: Path
) -> None:
    toys.mixer("plg-good", "alpha")
    good, missing = using(tmp_path, "alpha"), using(tmp_path, "asyncdif")
    done = toys.genhub("validate", good, missing, "nowhere.yaml", "--json")
    findings = json.loads(done.stdout)
    assert done.returncode == 2 and done.stderr == ""
    assert [finding["ok"] for finding in findings] == [True, False, False]
    codes = [[problem["code"] for problem in f["problems"]] for f in findings]
    assert codes == [[], ["GH201"], ["GH106"]]
    assert {"kind": "attention_mixers", "name": "alpha", "dist": "plg-good"} in findings[0][
        "drivers"
    ]


def test_overrides_are_validated_too(toys: ToySite, tmp_path: Path) -> None:
    toys.mixer("plg-good", "alpha")
    done = toys.genhub("validate", using(tmp_path, "alpha"), "--set", "sampling.steps=0")
    assert done.returncode == 2 and "error[GH302]" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: {source: ./nowhere}", ["GH501", "nowhere does not exist", "wrong.yaml:2:17"]),
        ("model: {source: .}", ["GH502", "without model_index.json", "wrong.yaml:2:17"]),
        ("model: {revision: abc}", ["GH305", "model.revision means nothing", "wrong.yaml:2:19"]),
        ("metrics: [psnr]", ["GH409", "'psnr' compares with the baseline", "wrong.yaml:2:11"]),
    ],
)
def test_what_would_end_a_run_before_it_begins_is_not_valid(
    text: str, said: list[str], toys: ToySite, tmp_path: Path
) -> None:
    (tmp_path / "wrong.yaml").write_text(f"genhub: 1\n{text}\ninput: {{prompts: [a star]}}\n")
    done = toys.genhub("validate", str(tmp_path / "wrong.yaml"))
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert all(part in done.stderr for part in said)


def test_json_gives_problems_in_a_stable_form(toys: ToySite) -> None:
    done = toys.genhub("run", "nowhere.yaml", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 2 and done.stderr == ""
    assert told["ok"] is False
    assert set(told["problems"][0]) == {"code", "message", "hint", "file", "line", "column"}


def test_a_dry_run_prints_the_full_config_which_is_a_fixed_point(
    toys: ToySite, tmp_path: Path
) -> None:
    toys.mixer("plg-good", "alpha")
    first = toys.genhub(
        "run", using(tmp_path, "alpha"), "--dry-run", "--set", "attention.0.scale=2.5"
    )
    assert first.returncode == 0 and "scale: 2.5" in first.stdout
    full = tmp_path / "full.yaml"
    full.write_text(first.stdout, encoding="utf-8")
    assert toys.genhub("run", str(full), "--dry-run").stdout == first.stdout


@pytest.mark.parametrize("command", ["show", "run"])
def test_a_folder_that_is_no_run_is_one_sentence(
    toys: ToySite, tmp_path: Path, command: str
) -> None:
    done = toys.genhub(command, str(tmp_path))
    assert done.returncode == 1 and done.stderr.startswith("error[GH608]")


@pytest.mark.skipif(find_spec("torch") is not None, reason="the libraries of a run are installed")
@pytest.mark.parametrize("command", ["run", "plan"])
def test_without_torch_a_run_names_the_extra_to_install(
    toys: ToySite, tmp_path: Path, command: str
) -> None:
    toys.mixer("plg-good", "alpha")
    done = toys.genhub(command, using(tmp_path, "alpha"))
    assert done.returncode == 1 and "error[GH505]" in done.stderr
    assert 'pip install "genhub-core[run]"' in done.stderr
