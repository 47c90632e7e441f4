"""Disks that are full, refuse or vanish: one sentence, what existed is kept, the folder is read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import genhub
from genhub import GenHubError
from genhub.api import Metric, Task, hookimpl
from genhub.cli import main
from genhub.execution.folder import read_manifest


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mounting, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs privileges")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Leave no byte."""
    with (disk / "ballast").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return


def full_when(disk: Path, moment: str) -> Any:
    """Give a hook that fills the disk at a moment of the run."""

    class Filling:
        pass

    def act(self: Any) -> None:
        fill(disk)

    setattr(Filling, moment, hookimpl(act))
    return Filling


class Rows(Metric):
    """Fills the disk before its figures are written."""

    disk: Path

    def __call__(self, run: Any, artifacts: Any, baseline: Any = ()) -> dict[str, float]:
        fill(self.disk)
        return {f"figure {n}": float(n) for n in range(2_000)}


class Heavy(Task):
    """Keeps a state that is larger than what is left."""

    reads = frozenset({"input"})

    def run(self, run: Any) -> None:
        import torch

        checkpoint = run.checkpoint()
        checkpoint.save(1, {"a": torch.ones(8)}, {})
        checkpoint.save(2, {"a": torch.ones(1 << 20)}, {})


def check_full(config: Any, registries: Any) -> dict[str, Any]:
    with pytest.raises(GenHubError) as caught:
        genhub.run(config, registries=registries)
    assert caught.value.code == "GH602" and caught.value.exit_code == 1
    assert len(caught.value.problems) == 1 and "\n" not in caught.value.problems[0].message
    folder = (Path(config["output"]["dir"]) / "latest").resolve()
    manifest = read_manifest(folder)
    assert manifest["status"] == "failed" and manifest["error"][0]["code"] == "GH602"
    assert {a["path"] for a in manifest["artifacts"]} == {
        f"artifacts/{path.name}" for path in (folder / "artifacts").iterdir()
    }
    assert not list(folder.rglob("*.part"))
    return manifest


@pytest.mark.parametrize(
    ("moment", "kept"), [("genhub_attached", 0), ("genhub_artifact", 1), ("genhub_report", 2)]
)
def test_a_disk_that_fills_up_ends_the_run_and_what_existed_is_kept(
    config: Any, registries: Any, disk: Path, moment: str, kept: int
) -> None:
    registries.get("hooks").add("filling", full_when(disk, moment))
    config |= {"hooks": ["filling"]}
    config["output"] |= {"dir": str(disk / "runs"), "report": True}
    manifest = check_full(config, registries)
    assert len(manifest["artifacts"]) == kept


def test_a_run_goes_on_when_there_is_space_again(config: Any, registries: Any, disk: Path) -> None:
    filling = full_when(disk, "genhub_artifact")
    registries.get("hooks").add("filling", filling)
    config |= {"hooks": ["filling"]}
    config["output"]["dir"] = str(disk / "runs")
    manifest = check_full(config, registries)
    (disk / "ballast").unlink()
    del filling.genhub_artifact
    filling.genhub_step = hookimpl(lambda self: None)

    folder = (disk / "runs" / "latest").resolve()
    again = genhub.run(folder, registries=registries)
    assert again.folder == folder and again.status == "done"
    assert again.artifacts[0].path == manifest["artifacts"][0]["path"]


def test_figures_that_cannot_be_written_end_the_run(
    config: Any, registries: Any, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rows, "disk", disk, raising=False)
    registries.get("metrics").add("rows", Rows)
    config |= {"metrics": ["rows"]}
    config["output"]["dir"] = str(disk / "runs")
    assert len(check_full(config, registries)["artifacts"]) == 2


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    config: Any, registries: Any, disk: Path
) -> None:
    from genhub.execution.checkpoint import FileCheckpoint

    registries.get("tasks").add("heavy", Heavy)
    config = {"genhub": 1, "task": "heavy", "output": {"dir": str(disk / "runs")}}
    check_full(config, registries)
    found = FileCheckpoint(disk / "runs" / "latest").load()
    assert found is not None and found[0] == 1


@contextmanager
def somebody_else() -> Iterator[None]:
    """Work as a user who may write nowhere: permissions mean nothing to root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_of_somebody_else_is_refused(
    registries: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    theirs = tmp_path_factory.mktemp("theirs")
    for folder in (theirs, *theirs.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o111)
    config = {"genhub": 1, "task": "count"}
    with somebody_else(), pytest.raises(GenHubError) as caught:
        genhub.run(config, output=theirs / "runs", registries=registries)
    assert caught.value.code == "GH601" and "permission denied" in str(caught.value)
    assert list(theirs.iterdir()) == []


def test_a_path_that_leads_in_a_circle_or_is_too_long_is_refused(
    config: Any, tmp_path: Path
) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for path in (tmp_path / "a" / "runs", tmp_path / ("x" * 300), Path(*["y" * 200] * 30)):
        with pytest.raises(GenHubError) as caught:
            genhub.run(config, output=path)
        assert caught.value.code == "GH601" and caught.value.exit_code == 1


@pytest.mark.parametrize(
    "name", ["with spaces", "ünïcødé 😀", "-rf", "a'b\"c", "new\nline", "x" * 200]
)
def test_any_name_that_a_file_system_takes_will_do(config: Any, tmp_path: Path, name: str) -> None:
    result = genhub.run(config | {"name": name}, output=tmp_path / name)
    assert result.folder.parent == tmp_path / name
    assert main(["show", str(result.folder)]) == 0


def test_a_folder_that_is_deleted_under_a_run_is_one_sentence(config: Any, registries: Any) -> None:
    class Deleting:
        @hookimpl
        def genhub_artifact(self, run: Any) -> None:
            shutil.rmtree(run.folder)

    registries.get("hooks").add("deleting", Deleting)
    with pytest.raises(GenHubError) as caught:
        genhub.run(config | {"hooks": ["deleting"]}, registries=registries)
    assert caught.value.code in ("GH601", "GH606")
    assert "no such file or directory" in str(caught.value).lower()


def test_a_full_disk_has_its_exit_status_and_no_traceback(disk: Path, model: Path) -> None:
    fill(disk)
    text = json.dumps({"genhub": 1, "model": {"source": str(model)}, "input": {"prompts": ["a"]}})
    config = disk.parent / "c.yaml"
    config.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "genhub.cli", "run", str(config), "--output", str(disk / "runs")],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("error[GH602]") == 1 and "Traceback" not in done.stderr
