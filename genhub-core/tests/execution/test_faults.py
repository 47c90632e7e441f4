from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import genhub
from genhub import GenHubError
from genhub.api import hookimpl


def fail(config: Any, **kwargs: Any) -> tuple[GenHubError, dict[str, Any]]:
    """Run what fails; gives the error and the manifest."""
    with pytest.raises(GenHubError) as caught:
        genhub.run(config, **kwargs)
    manifest = Path(config["output"]["dir"]) / "latest" / "manifest.json"
    return caught.value, json.loads(manifest.read_text())


@contextmanager
def largest_file(limit: int) -> Iterator[None]:
    """Let every write beyond `limit` bytes of a file fail, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mounting, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs privileges")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_keeps_what_exists(config: Any, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(b"\0" * 600_000)
    config["output"]["dir"] = str(small_disk / "runs")
    config["sampling"]["samples"] = 200  # more pictures than there is room for

    error, manifest = fail(config)

    assert error.code == "GH602" and error.exit_code == 1
    assert "no space" in str(error).lower()
    assert manifest["status"] == "failed"
    assert manifest["error"][0]["code"] == "GH602"
    kept = list((small_disk / "runs" / "latest" / "artifacts").iterdir())
    assert kept and all(path.suffix == ".png" for path in kept)
    assert {a["path"] for a in manifest["artifacts"]} == {f"artifacts/{p.name}" for p in kept}


def test_a_disk_too_full_for_the_first_manifest_is_one_sentence(
    config: Any, small_disk: Path
) -> None:
    (small_disk / "ballast").write_bytes(b"\0" * 900_000)
    config["output"]["dir"] = str(small_disk / "runs")

    with pytest.raises(GenHubError) as caught:
        genhub.run(config)

    assert caught.value.code == "GH602"


def test_a_picture_that_cannot_be_written_ends_the_run(config: Any, registries: Any) -> None:
    stack = ExitStack()

    class Filling:
        @hookimpl
        def genhub_attached(self) -> None:
            stack.enter_context(largest_file(30_000))  # holds the manifest, and no such picture

    registries.get("hooks").add("filling", Filling)
    config["sampling"] |= {"height": 256, "width": 256}
    with stack:
        error, manifest = fail(config | {"hooks": ["filling"]}, registries=registries)

    assert error.code == "GH602" and "during save" in str(error)
    assert manifest["status"] == "failed" and manifest["artifacts"] == []
    assert list((Path(config["output"]["dir"]) / "latest" / "artifacts").iterdir()) == []


@pytest.mark.parametrize("depth", ["", "/deeper"])
def test_a_run_folder_below_a_file_is_refused(config: Any, tmp_path: Path, depth: str) -> None:
    (tmp_path / "file").write_text("")
    config["output"]["dir"] = f"{tmp_path}/file{depth}"

    with pytest.raises(GenHubError) as caught:
        genhub.run(config)

    assert caught.value.code == "GH601" and caught.value.exit_code == 1
    assert str(tmp_path / "file") in str(caught.value)


def test_ctrl_c_in_mid_run_keeps_pictures_and_says_interrupted(model: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("interruptible.py")
    process = subprocess.Popen(
        [sys.executable, str(script), str(model), str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A background job of a shell hands down an ignored SIGINT; a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob("long-*/artifacts/000003.png")):
            assert time.monotonic() < deadline
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.05)
                pytest.fail(f"ended too soon: {process.communicate()[1]}")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    finally:
        process.kill()

    assert process.returncode == 130
    assert said.splitlines()[-2].startswith("error[GH603] interrupted during")
    (folder,) = tmp_path.glob("long-*")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    assert len(manifest["artifacts"]) >= 4
    assert (folder / "report.html").is_file()
    assert not list(folder.rglob("*.part")) and not (folder / ".reserve").exists()


@pytest.mark.parametrize("batch", [1, 2])
def test_stray_latents_end_the_run_with_step_site_and_driver(
    config: Any, registries: Any, batch: int
) -> None:
    config |= {"attention": [{"type": "late"}]}
    config["sampling"] = {"steps": 3, "batch": batch}

    error, manifest = fail(config, registries=registries)

    assert error.code == "GH604"
    message = error.problems[0].message
    assert "after step 2 of 3" in message
    assert "unet.mid_block.attentions.0.transformer_blocks.0.attn1 (held by 'late')" in message
    assert ("samples 0, 1" if batch == 2 else "sample 0") in message
    assert manifest["status"] == "failed" and manifest["artifacts"] == []


def test_stray_latents_are_kept_where_the_config_says_so(config: Any, registries: Any) -> None:
    config |= {"attention": [{"type": "gain", "gain": 1e38}]}
    result = genhub.run(config, set={"output.allow_nan": True}, registries=registries)

    assert result.status == "done" and len(result.artifacts) == 2
    assert any("not finite" in problem for problem in result.problems)


def test_a_plugin_that_raises_is_named_and_its_traceback_is_logged(
    config: Any, registries: Any
) -> None:
    config |= {"attention": [{"type": "clumsy"}]}

    error, manifest = fail(config, registries=registries)

    assert error.code == "GH606" and error.exit_code == 1
    assert "'clumsy' of toy-dist" in str(error)
    assert "ValueError: the cat sat on the keyboard" in str(error)
    assert manifest["status"] == "failed"
    log = (Path(config["output"]["dir"]) / "latest" / "log.txt").read_text()
    assert "Traceback" in log and "rundrivers.py" in log


def test_out_of_memory_is_told_with_remedies(config: Any, registries: Any) -> None:
    config |= {"attention": [{"type": "greedy"}]}

    error, _ = fail(config, registries=registries)

    assert error.code == "GH605"
    assert error.problems[0].hint.count("{") == 3


def test_a_metric_that_raises_is_named_and_the_pictures_are_kept(
    config: Any, registries: Any
) -> None:
    error, manifest = fail(config | {"metrics": ["broken"]}, registries=registries)

    assert error.code == "GH606" and "metric 'broken' of toy-dist" in str(error)
    assert len(manifest["artifacts"]) == 2


def test_a_driver_that_exits_does_not_end_the_process(config: Any, registries: Any) -> None:
    from genhub.api import Task

    class Leaver(Task):
        def run(self, run: Any) -> None:
            sys.exit(3)

    registries.get("tasks").add("leaver", Leaver)
    config = {"genhub": 1, "task": "leaver", "output": config["output"]}

    error, manifest = fail(config, registries=registries)

    assert error.code == "GH606" and manifest["status"] == "failed"


def test_a_report_that_fails_does_not_pass_in_silence(config: Any, registries: Any) -> None:
    class Blind:
        @hookimpl
        def genhub_report(self) -> None:
            raise LookupError("no ink")

    registries.get("hooks").add("blind", Blind)
    error, manifest = fail(config | {"hooks": ["blind"]}, registries=registries)

    assert "no ink" in str(error)
    assert manifest["status"] == "failed" and len(manifest["artifacts"]) == 2
