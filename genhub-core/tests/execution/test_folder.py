from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genhub import GenHubError
from genhub.execution.checkpoint import FileCheckpoint
from genhub.execution.faults import explain, is_disk_full
from genhub.execution.folder import RunFolder, read_manifest, replace_file


def test_the_manifest_says_running_from_the_first_moment(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", "name", "0123456789")
    assert read_manifest(folder.path)["status"] == "running"
    folder.finish("done")
    manifest = read_manifest(folder.path)
    assert manifest["status"] == "done" and manifest["started"] <= manifest["ended"]


def test_runs_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    made = [RunFolder.create(tmp_path, "same", "abcdef").path for _ in range(3)]
    assert len(set(made)) == 3
    assert (tmp_path / "latest").resolve() == made[-1]


@given(name=st.text(max_size=60))
def test_no_name_leads_out_of_the_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    parent = tmp_path_factory.mktemp("runs")
    folder = RunFolder.create(parent, name, "abcdef")
    assert folder.path.parent == parent
    assert folder.path.name.isascii() and not folder.path.name.startswith(".")


def test_a_file_system_without_links_does_without_latest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(os, "symlink", refuse)
    folder = RunFolder.create(tmp_path, "plain", "abcdef")
    assert folder.path.is_dir() and not (tmp_path / "latest").exists()


def test_a_file_holds_the_old_or_the_new_content_never_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")

    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_texts_of_the_manifest_are_redacted_at_any_depth(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "n", "a" * 6, lambda text: text.replace("key", "***"))
    folder.note(deep=[{"text": "the key", "number": 1, "none": None}])
    assert read_manifest(folder.path)["deep"] == [{"text": "the ***", "number": 1, "none": None}]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"genhub": 99}'])
def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(GenHubError) as caught:
        read_manifest(tmp_path)
    assert caught.value.code == "GH608"


def test_a_checkpoint_gives_back_the_last_state(tmp_path: Path) -> None:
    import torch

    checkpoint = FileCheckpoint(tmp_path)
    assert checkpoint.load() is None
    for step in (1, 2):
        tensors = {"a.weight": torch.full((2, 3), step), "b": torch.arange(4.0).to(torch.bfloat16)}
        checkpoint.save(step, tensors, {"losses": [0.5, step], "note": "äöü"})

    found = FileCheckpoint(tmp_path).load()
    assert found is not None
    step, tensors, state = found
    assert step == 2 and state == {"losses": [0.5, 2], "note": "äöü"}
    assert torch.equal(tensors["a.weight"], torch.full((2, 3), 2))
    assert tensors["b"].dtype == torch.bfloat16
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    checkpoint = FileCheckpoint(tmp_path)
    checkpoint.save(1, {"a": torch.ones(2)}, {})

    def stop(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(OSError):
        checkpoint.save(2, {"a": torch.zeros(2)}, {})
    assert checkpoint.load()[0] == 1  # type: ignore[index]


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"rubbish")
    with pytest.raises(GenHubError, match="damaged") as caught:
        FileCheckpoint(tmp_path).load()
    assert caught.value.code == "GH608"


def test_a_full_disk_is_recognised_behind_other_errors() -> None:
    def wrapped(cause: Exception) -> Exception:
        try:
            raise RuntimeError("while saving") from cause
        except RuntimeError as error:
            return error

    assert is_disk_full(wrapped(OSError(28, "No space left on device")))
    assert is_disk_full(RuntimeError("I/O error: File too large (os error 27)"))
    assert not is_disk_full(OSError(13, "Permission denied"))
    assert not is_disk_full(RuntimeError("os error 280"))
    driver_failed = GenHubError("GH606", "'x' failed in save()")
    driver_failed.__cause__ = OSError(28, "No space left on device")
    assert explain(driver_failed, during="save").code == "GH602"
    assert json.dumps(explain(ValueError("a"), during="steps").problems[0].to_json())
