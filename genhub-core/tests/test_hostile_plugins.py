"""Whatever an installed plugin does, every command works, and blames it where it is used."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import warnings
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from genhub.config import load
from genhub.errors import GenHubError
from genhub.registry import Registries
from toys import MIXER, ToySite

PLAIN = "\n" + dedent(MIXER)
# What a module does to the process that imports it, and what is told of it.
DEEDS = {
    "chdir": ("import os; os.chdir('/')", "changed the working directory"),
    "environment": (
        "import os; os.environ['GENHUB_DISABLE'] = 'genhub-core'; del os.environ['PATH']",
        "changed the environment",
    ),
    "signals": (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "changed the handlers of signals",
    ),
    "logging": (
        "import logging; logging.basicConfig(level=1); logging.getLogger('genhub').disabled = True",
        "changed the configuration of logging",
    ),
    "warnings": ("import warnings; warnings.simplefilter('error')", "changed the filters of warn"),
    "random": ("import random; random.seed(1)", "changed a global random generator"),
}
HARMLESS = {
    "prints": "print('look at me'); import os; os.write(2, b'and here')",
    "forks": "import os; os.fork()",
    "hangs": "import time; time.sleep(1)",
}


def config(folder: Path, mixer: str = "omega") -> str:
    file = folder / "c.yaml"
    file.write_text(
        f"genhub: 1\nattention:\n  - type: {mixer}\ninput: {{prompts: [a circle]}}\n",
        encoding="utf-8",
    )
    return str(file)


def state() -> list[Any]:
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    root, own = logging.root, logging.getLogger("genhub")
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    return [
        os.getcwd(), environment, handlers, root.level, list(root.handlers), own.disabled,
        list(warnings.filters), random.getstate(), sys.stdout,
    ]  # fmt: skip


@pytest.mark.parametrize("deed", DEEDS)
def test_what_a_module_does_to_the_process_is_undone_and_told_once(
    toys: ToySite, deed: str
) -> None:
    source, told = DEEDS[deed]
    toys.mixer("plg-rude", "omega", source + PLAIN)
    registries = Registries()
    before = state()
    registries.get("attention_mixers").load("omega")
    assert state() == before
    (remark,) = registries.take_remarks()
    assert remark.startswith(f"the attention mixer 'omega' of plg-rude 1.0 {told}")
    registries.get("attention_mixers").load("omega")
    assert registries.take_remarks() == []


@pytest.mark.parametrize("deed", DEEDS)
def test_a_command_tells_what_a_module_did_once_and_does_its_work(
    toys: ToySite, tmp_path: Path, deed: str
) -> None:
    source, told = DEEDS[deed]
    toys.mixer("plg-rude", "omega", source + PLAIN)
    done = toys.genhub("validate", config(tmp_path), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["ok"] is True
    assert done.stderr.count(told) == 1 and done.stderr.count("plg-rude") == 1


@pytest.mark.parametrize("deed", HARMLESS)
def test_stdout_holds_results_alone_and_one_process_writes_them(
    toys: ToySite, tmp_path: Path, deed: str
) -> None:
    toys.mixer("plg-loud", "omega", HARMLESS[deed] + PLAIN)
    for arguments in (
        ["validate", config(tmp_path), "--json"],
        ["run", config(tmp_path), "--dry-run", "--json"],
        ["plugins", "--check", "--json"],
        ["schema"],
    ):
        done = toys.genhub(*arguments)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
        assert ("look at me" in done.stderr) == (deed == "prints")


# What keeps the contract in form only, the code, and words of the message.
WRONG = {
    "reserved type": (
        "class C(PluginConfig):\n    type: str = 'x'\nclass Toy(AttentionMixer):\n    Config = C",
        "GH203", "declares 'type'",
    ),
    "needs nothing": (
        "class Toy(AttentionMixer):\n    def needs(self): return None",
        "GH203", "needs() gave None",
    ),
    "needs rubbish": (
        "class Toy(AttentionMixer):\n    def needs(self): return Needs(world='two')",
        "GH203", "Needs.world is 'two'",
    ),
    "needs a text": (
        "class Toy(AttentionMixer):\n    def needs(self): return Needs(owns='vae-decode')",
        "GH203", "Needs.owns is 'vae-decode'",
    ),
    "needs exits": (
        "class Toy(AttentionMixer):\n    def needs(self): raise SystemExit(0)",
        "GH203", "SystemExit: 0",
    ),
    "needs itself": (
        "class Toy(AttentionMixer):\n    def needs(self): return self.needs()",
        "GH203", "RecursionError",
    ),
    "constructor": (
        "class Toy(AttentionMixer):\n    def __init__(self, config): self.x = {}['absent']",
        "GH203", "KeyError: 'absent'",
    ),
    "validator exits": (
        "class C(PluginConfig):\n    @model_validator(mode='after')\n"
        "    def _v(self): raise SystemExit(0)\nclass Toy(AttentionMixer):\n    Config = C",
        "GH203", "SystemExit: 0",
    ),
    "validator fails": (
        "class C(PluginConfig):\n    @model_validator(mode='after')\n"
        "    def _v(self): return 1 / 0\nclass Toy(AttentionMixer):\n    Config = C",
        "GH203", "ZeroDivisionError: division by zero",
    ),
    "odd field": (
        "class Odd: ...\nclass C(PluginConfig):\n"
        "    model_config = {'arbitrary_types_allowed': True}\n    odd: Odd = Odd()\n"
        "class Toy(AttentionMixer):\n    Config = C",
        "GH203", "",
    ),
}  # fmt: skip
HEAD = "from genhub.api import AttentionMixer, Needs, PluginConfig\nfrom pydantic import *\n"


@pytest.mark.parametrize("wrong", [name for name in WRONG if name != "odd field"])
def test_a_driver_that_breaks_its_contract_is_blamed_at_its_block(
    toys: ToySite, tmp_path: Path, wrong: str
) -> None:
    source, code, words = WRONG[wrong]
    toys.mixer("plg-wrong", "omega", HEAD + source + "\n")
    with pytest.raises(GenHubError) as caught:
        load(config(tmp_path), registries=Registries())
    (problem,) = caught.value.problems
    assert problem.code == code and words in problem.message
    assert "plg-wrong" in problem.message + problem.hint
    assert problem.mark is not None and problem.mark.line == 3
    assert caught.value.exit_code == 3


def test_wrong_drivers_leave_every_other_command_as_it_was(toys: ToySite, tmp_path: Path) -> None:
    plain = toys.genhub("schema").stdout
    for index, (source, _, _) in enumerate(WRONG.values()):
        toys.mixer(f"plg-wrong-{index}", f"omega-{index}", HEAD + source + "\n")
    toys.install("plg-torn", {})
    (toys.folder / "plg_torn-1.0.dist-info" / "entry_points.txt").write_bytes(b"[genhub.\xff\n=\n")
    toys.install("plg-nameless", {"attention_mixers": {"nobody": "nowhere:Toy"}})
    (toys.folder / "plg_nameless-1.0.dist-info" / "METADATA").write_text("Version: 1.0\n")
    (toys.folder / "plg_bare-1.0.dist-info").mkdir()
    toys.mixer("plg-good", "alpha")

    listed = toys.genhub("plugins", "--json")
    names = {row["name"]: row["status"] for row in json.loads(listed.stdout)}
    assert names["alpha"] == "ok" and "omega-0" in names and names["nobody"] == "ok"
    assert listed.stderr.count("plg-torn") == 1
    checked = toys.genhub("plugins", "--check", "--json")
    assert checked.returncode == 3 and json.loads(checked.stdout)
    schema = toys.genhub("schema")
    assert schema.returncode == 0 and '"alpha"' in schema.stdout
    assert set(json.loads(plain)["properties"]) == set(json.loads(schema.stdout)["properties"])
    for arguments, status in (
        (["--help"], 0),
        (["plugins"], 0),
        (["validate", config(tmp_path, "alpha")], 0),
        (["run", config(tmp_path, "alpha"), "--dry-run"], 0),
        (["explain", "GH203"], 0),
        (["doctor", "--json"], 3),
    ):
        done = toys.genhub(*arguments)
        assert done.returncode == status and "Traceback" not in done.stderr, arguments
    assert "omega-0" in done.stdout and json.loads(done.stdout)
    used = toys.genhub("validate", config(tmp_path, "nobody"))
    assert used.returncode == 3 and "attention mixer 'nobody' of unknown" in used.stderr


def test_no_text_of_a_plugin_or_a_config_commands_the_terminal(
    toys: ToySite, tmp_path: Path
) -> None:
    evil = "\\x1b]0;title\\x07\\x1b[2J\\x9b31m\\u202e"
    toys.mixer("plg-evil", "omega", PLAIN + f"Toy.summary = '{evil}'\n")
    toys.mixer("plg-worse", "sigma", f"raise ValueError('{evil}')")
    odd = tmp_path / "odd.yaml"
    odd.write_text(f'genhub: 1\nattention: [{{type: "{evil}"}}]\n"{evil}": 1\n', encoding="utf-8")
    for arguments in (
        ["plugins", "--check"],
        ["plugins", "--check", "--json"],
        ["validate", str(odd)],
        ["validate", config(tmp_path, "sigma")],
        ["run", str(odd), "--dry-run"],
        ["validate", config(tmp_path), "--set", "name=\x1b[31mred\u202e"],
        ["\x1b[2J"],
        ["validate", "\x1b[2J.yaml"],
        ["show", "\x1b[2J"],
    ):
        done = toys.genhub(*arguments)
        shown = done.stdout + done.stderr
        assert shown and not set(shown) & set("\x1b\x07\x9b\u202e"), arguments
