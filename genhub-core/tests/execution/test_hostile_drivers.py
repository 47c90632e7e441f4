"""Drivers and hooks that misbehave in the midst of a run: one sentence says whose fault it is."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rundrivers import Gain

import genhub
from genhub import GenHubError
from genhub.api import AttentionMixer, Metric, Section, Task, Where, hookimpl
from toys import ToySite


class Unwelcome(BaseException):
    """No Exception, no exit, no interrupt."""


def endless() -> None:
    endless()


def leave() -> None:
    raise SystemExit(0)


def swell() -> None:
    raise MemoryError


def escape() -> None:
    raise Unwelcome("let me out")


DEEDS = {
    "exits": (leave, "GH606", "SystemExit"),
    "recursion": (endless, "GH606", "RecursionError"),
    "memory": (swell, "GH605", "out of memory"),
    "base exception": (escape, "GH606", "Unwelcome"),
}


def ended(config: Any, registries: Any, **kwargs: Any) -> tuple[GenHubError, dict[str, Any]]:
    with pytest.raises(GenHubError) as caught:
        genhub.run(config, registries=registries, **kwargs)
    folder = (Path(config["output"]["dir"]) / "latest").resolve()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    assert manifest["error"][0]["code"] == caught.value.code
    kept = {f"artifacts/{path.name}" for path in (folder / "artifacts").iterdir()}
    assert {a["path"] for a in manifest["artifacts"]} == kept
    return caught.value, manifest


def mixer_that(deed: Any, moment: str) -> type[AttentionMixer]:
    class Mixer(Gain):
        default_where = Where(kind="self", stage="mid")

    def method(self: Any, *args: Any) -> Any:
        return deed()

    setattr(Mixer, moment, method)
    return Mixer


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("moment", ["accepts", "build", "before_call", "reset"])
def test_a_mixer_that_fails_is_blamed(config: Any, registries: Any, deed: str, moment: str) -> None:
    act, code, words = DEEDS[deed]
    registries.get("attention_mixers").add("bad", mixer_that(act, moment), origin="toy-dist")
    error, _ = ended(config | {"attention": [{"type": "bad"}]}, registries)
    assert error.code == code and error.exit_code == 1
    assert words in str(error)
    if code == "GH606":
        assert "'bad'" in str(error)


@pytest.mark.parametrize("deed", DEEDS)
def test_a_task_that_fails_is_blamed_and_its_files_are_kept(
    config: Any, registries: Any, deed: str
) -> None:
    act, code, words = DEEDS[deed]

    class Bad(Task):
        reads = frozenset({"model", "input", "sampling"})

        def run(self, run: Any) -> None:
            with run.pipeline():
                for request in run.requests():
                    run.generate(request)
                    act()

    registries.get("tasks").add("bad", Bad, origin="toy-dist")
    error, manifest = ended(config | {"task": "bad"}, registries)
    assert error.code == code and words in str(error)
    assert len(manifest["artifacts"]) == 1
    if code == "GH606":
        assert "'bad' of toy-dist" in str(error)


@pytest.mark.parametrize("deed", [*DEEDS, "wrong type", "wrong figures"])
def test_a_metric_that_fails_is_blamed_and_every_picture_kept(
    config: Any, registries: Any, deed: str
) -> None:
    wrong = {"wrong type": [1], "wrong figures": {"x": "much"}}
    act, code, words = DEEDS.get(deed, (lambda: wrong[deed], "GH606", "not numbers by name"))

    class Bad(Metric):
        def __call__(self, run: Any, artifacts: Any, baseline: Any = ()) -> Any:
            return act()

    registries.get("metrics").add("bad", Bad, origin="toy-dist")
    error, manifest = ended(config | {"metrics": ["bad"]}, registries)
    assert error.code == code and words in str(error)
    assert len(manifest["artifacts"]) == 2


def test_a_mixer_that_builds_no_processor_is_blamed(config: Any, registries: Any) -> None:
    registries.get("attention_mixers").add(
        "bad", mixer_that(lambda: "processor", "build"), origin="toy-dist"
    )
    error, _ = ended(config | {"attention": [{"type": "bad"}]}, registries)
    assert "'bad'" in str(error)


MIXER = """
    import random
    random.seed(0)
    import os
    os.environ["GENHUB_RUDE"] = "1"
    from genhub.api import AttentionMixer, Where, hookimpl

    class Toy(AttentionMixer):
        summary = "changes nothing"
        default_where = Where(kind="self")

        def build(self, site, attn, ctx):
            import random, numpy, torch
            random.random(), numpy.random.rand(), torch.rand(1)
            torch.manual_seed(99)
            from diffusers.models.attention_processor import AttnProcessor2_0
            return AttnProcessor2_0()
"""
HOOK_FAULTS = {
    "exception": "@hookimpl\ndef genhub_artifact(artifact): raise ValueError('torn')",
    "exit": "@hookimpl\ndef genhub_finished(run): raise SystemExit(3)",
    "metrics": "@hookimpl\ndef genhub_metrics(run): return ['no map']",
    "report": "@hookimpl\ndef genhub_report(run): return 'no list'",
    "signature": "@hookimpl\ndef genhub_artifact(picture): pass",
    "misspelt": "@hookimpl\ndef genhub_artefact(artifact): pass",
    "import": "raise RuntimeError('torn')",
}


@pytest.mark.parametrize("fault", HOOK_FAULTS)
def test_a_hook_of_a_plugin_in_use_that_fails_changes_neither_files_nor_status(
    config: Any, toys: ToySite, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genhub.registry import Registries

    monkeypatch.setenv("CI", "true")  # where strict is only the default
    config |= {"strict": False}
    plain = genhub.run(config)
    source = "from genhub.api import hookimpl\n" + HOOK_FAULTS[fault]
    toys.install(
        "plg-torn",
        {"attention_mixers": {"toy": "plg_torn:Toy"}, "hooks": {"audit": "plg_audit"}},
        {"plg_torn": MIXER, "plg_audit": source},
    )
    result = genhub.run(config | {"attention": [{"type": "toy"}]}, registries=Registries())

    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert result.status == manifest["status"] == "done"
    (problem,) = [text for text in manifest["problems"] if "'audit'" in text]
    assert "plg-torn 1.0" in problem and "switched off" in problem
    assert any("changed the environment" in text for text in manifest["problems"])
    assert "GENHUB_RUDE" not in os.environ
    for ours, theirs in zip(result.artifacts, plain.artifacts, strict=True):
        assert pixels(result.folder / ours.path) == pixels(plain.folder / theirs.path)


def pixels(path: Path) -> bytes:
    from PIL import Image

    with Image.open(path) as image:
        return image.tobytes()


def test_a_second_ctrl_c_leaves_a_folder_that_says_interrupted(
    config: Any, registries: Any
) -> None:
    class Impatient:
        @hookimpl
        def genhub_artifact(self) -> None:
            raise KeyboardInterrupt

        @hookimpl
        def genhub_report(self) -> None:
            raise KeyboardInterrupt

    registries.get("hooks").add("impatient", Impatient)
    with pytest.raises(GenHubError) as caught:
        genhub.run(config | {"hooks": ["impatient"]}, registries=registries)
    assert caught.value.code == "GH603" and caught.value.exit_code == 130
    folder = Path(config["output"]["dir"]) / "latest"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "interrupted" and len(manifest["artifacts"]) == 1


def test_an_installed_hook_that_nothing_uses_is_not_even_imported(
    config: Any, toys: ToySite
) -> None:
    from genhub.registry import Registries

    toys.install("plg-idle", {"hooks": {"idle": "plg_idle"}}, {"plg_idle": "raise ValueError"})
    result = genhub.run(config, registries=Registries())
    assert result.problems == ()


def test_generators_of_the_process_do_not_reach_the_pictures(config: Any) -> None:
    def digests() -> list[str]:
        return [artifact.sha256 for artifact in genhub.run(config).artifacts]

    first = digests()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    assert digests() == first


@pytest.mark.parametrize("path", ["../../secret.png", "/etc/passwd", "artifacts/../../x", "a\0b"])
def test_a_section_shows_no_file_from_outside_the_folder(
    config: Any, registries: Any, tmp_path: Path, path: str
) -> None:
    from PIL import Image

    Image.new("RGB", (3, 3), "red").save(tmp_path / "secret.png")

    class Nosy:
        @hookimpl
        def genhub_report(self) -> list[Section]:
            return [Section("look", pictures=((path, "a secret"),))]

    registries.get("hooks").add("nosy", Nosy)
    result = genhub.run(
        config | {"hooks": ["nosy"]}, set={"output.report": True}, registries=registries
    )
    page = (result.folder / "report.html").read_text()
    assert "look" in page and "a secret" not in page


def test_a_folder_with_links_out_of_it_is_not_gone_on_with(config: Any, tmp_path: Path) -> None:
    folder = genhub.run(config).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"status": "failed"}))
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (folder / "metrics.jsonl").symlink_to(precious)
    with pytest.raises(GenHubError, match=r"metrics\.jsonl in it is a link") as caught:
        genhub.run(folder)
    assert caught.value.code == "GH608" and precious.read_text() == "mine"


@pytest.mark.parametrize(
    "change",
    [
        {"artifacts": [{"path": "../../x", "sample": 3}]}, {"artifacts": 3}, {"variants": []},
        {"metrics": "x"}, {"artifacts": [{"path": "x", "kind": "image", "sha256": "", "odd": 1}]},
    ],
)  # fmt: skip
def test_a_manifest_that_makes_no_sense_is_refused(
    config: Any, change: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from genhub.cli import main

    folder = tmp_path / "made"
    folder.mkdir()
    manifest = {"genhub": 1, "status": "running", **change}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "resolved.yaml").write_text("genhub: 1\n")
    for command in ("show", "run"):
        assert main([command, str(folder)]) == 1
        assert "error[GH608]" in capsys.readouterr().err
    (folder / "manifest.json").write_text("[" * 100_000)
    assert main(["show", str(folder)]) == 1
    assert "error[GH608]" in capsys.readouterr().err
