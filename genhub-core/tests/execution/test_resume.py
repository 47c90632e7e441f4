"""A run that was cut short goes on in its folder: what is there stays, what is missing is made."""

from __future__ import annotations

import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import pytest
from smallruns import small_config, toy_registries

import genhub
from genhub import GenHubError
from genhub.api import hookimpl
from genhub.execution.folder import RunFolder
from genhub.execution.lock import FolderLock


class StopAfter:
    """Ctrl-C when so many artifacts are written."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.seen: list[str] = []

    @hookimpl
    def genhub_artifact(self, artifact: Any) -> None:
        self.seen.append(artifact.path)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def hooked(count: int) -> tuple[StopAfter, Any]:
    registries = toy_registries()
    stop = StopAfter(count)
    registries.get("hooks").add("stop", stop)
    return stop, registries


def compared(model: Path, folder: Path) -> dict[str, Any]:
    config = small_config(model, folder) | {
        "hooks": ["stop"],
        "attention": [{"type": "gain", "gain": 1.5}],
        "variants": {"loud": {"attention.0.gain": 3.0}},
        "compare": ["baseline", "loud"],
        "metrics": ["psnr"],
    }
    config["sampling"] |= {"samples": 2, "batch": 3}
    return config


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The run that nothing interrupted."""
    return genhub.run(compared(model, tmp_path_factory.mktemp("whole")), registries=hooked(0)[1])


def cut_short(whole: Any, after: int) -> Path:
    """Run the same config, in the same place, up to so many artifacts."""
    with pytest.raises(GenHubError) as caught:
        genhub.run(whole.folder / "config.yaml", registries=hooked(after)[1])
    assert caught.value.code == "GH603"
    return (whole.folder.parent / "latest").resolve()


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "artifacts").iterdir()}


def identities(folder: Path) -> dict[str, tuple[int, int]]:
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.glob("artifacts/*")}


@pytest.mark.parametrize("after", [1, 3, 7, 12])
def test_the_missing_samples_are_made_and_equal_those_of_a_run_that_was_not_cut_short(
    whole: Any, after: int
) -> None:
    folder = cut_short(whole, after)
    before = identities(folder)
    stop, registries = hooked(0)

    again = genhub.run(folder, registries=registries)

    assert again.folder == folder and again.status == "done"
    assert files_of(folder) == files_of(whole.folder)
    assert before.items() <= identities(folder).items()
    assert again.metrics == whole.metrics
    assert [(a.path, a.sha256, a.info) for a in again.artifacts] == [
        (a.path, a.sha256, a.info) for a in whole.artifacts
    ]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [a["path"] for a in manifest["artifacts"]] == [a.path for a in whole.artifacts]
    assert "repeats" not in manifest and manifest["error"] is None
    assert not set(stop.seen) & {f"artifacts/{name}" for name in before}
    assert (folder / "config.yaml").read_text() == (whole.folder / "config.yaml").read_text()


def unlist(folder: Path) -> None:
    """Leave the folder as a kill between a file and its entry does."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"artifacts": [], "status": "running"}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_file_without_an_entry_is_adopted_where_it_is_whole_and_of_this_sample(
    whole: Any,
) -> None:
    folder = cut_short(whole, 7)
    unlist(folder)
    pictures = folder / "artifacts"
    torn = pictures / "000001-baseline.png"
    torn.write_bytes(torn.read_bytes()[:-40])
    shutil.copy(pictures / "000000-baseline.png", pictures / "000002-baseline.png")
    (pictures / ".000003.png.part").write_bytes(b"half")
    before = identities(folder)

    genhub.run(folder, registries=hooked(0)[1])

    assert files_of(folder) == files_of(whole.folder)
    remade = {name for name, was in before.items() if identities(folder).get(name) != was}
    assert remade == {torn.name, "000002-baseline.png", ".000003.png.part"}


def test_a_listed_file_that_was_changed_is_made_again(whole: Any) -> None:
    folder = cut_short(whole, 7)
    (folder / "artifacts" / "000000-baseline.png").write_bytes(b"scribble")
    (folder / "artifacts" / "000003-baseline.png").unlink()
    genhub.run(folder, registries=hooked(0)[1])
    assert files_of(folder) == files_of(whole.folder)


def test_files_that_carry_no_config_are_kept_by_their_entries_alone(config: Any) -> None:
    config |= {"hooks": ["stop"]}
    config["output"]["embed_config"] = False
    config["sampling"]["samples"] = 2
    with pytest.raises(GenHubError):
        genhub.run(config, registries=hooked(3)[1])
    folder = (Path(config["output"]["dir"]) / "latest").resolve()
    before = identities(folder)
    copy = Path(shutil.copytree(folder, folder.with_name("copy")))
    unlist(copy)

    genhub.run(folder, registries=hooked(0)[1])
    assert before.items() <= identities(folder).items()
    of_copy = identities(copy)
    genhub.run(copy, registries=hooked(0)[1])
    assert not of_copy.items() & identities(copy).items()
    assert files_of(copy) == files_of(folder)


def test_a_sample_made_twice_in_one_process_is_computed_twice(config: Any) -> None:
    from genhub.api import Task

    made: list[Any] = []

    class Twice(Task):
        reads = frozenset({"model", "input", "sampling"})

        def run(self, run: Any) -> None:
            for _ in range(2):
                with run.pipeline():
                    for request in run.requests():
                        (artifact, *_) = run.generate(request)
                        made.append((run.folder / artifact.path).stat().st_ino)
                        if len(made) == 1:
                            raise KeyboardInterrupt

    registries = toy_registries()
    registries.get("tasks").add("twice", Twice)
    config |= {"task": "twice"}
    config["input"] = {"prompts": config["input"]["prompts"][:1]}
    with pytest.raises(GenHubError):
        genhub.run(config, registries=registries)
    genhub.run((Path(config["output"]["dir"]) / "latest").resolve(), registries=registries)
    assert made[0] == made[1] != made[2]


def test_a_changed_config_and_another_place_for_the_output_are_other_runs(
    whole: Any, tmp_path: Path
) -> None:
    folder = cut_short(whole, 1)
    elsewhere = genhub.run(folder, output=tmp_path, registries=hooked(0)[1])
    assert elsewhere.folder.parent == tmp_path
    resolved = folder / "resolved.yaml"
    resolved.write_text(resolved.read_text().replace("steps: 2", "steps: 1"))
    other = genhub.run(folder, registries=hooked(0)[1])
    assert other.folder != folder
    assert json.loads((other.folder / "manifest.json").read_text())["repeats"] == folder.name


def test_a_run_that_ended_before_its_report_is_ended_and_not_repeated(config: Any) -> None:
    first = genhub.run(config)
    manifest = json.loads((first.folder / "manifest.json").read_text())
    del manifest["report"]
    (first.folder / "manifest.json").write_text(json.dumps(manifest))
    before = identities(first.folder)
    again = genhub.run(first.folder)
    assert again.folder == first.folder and identities(first.folder) == before
    assert genhub.run(first.folder).folder != first.folder


def test_a_run_with_a_pipeline_from_python_goes_on_with_it(config: Any, model: Path) -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(model)
    config = {k: v for k, v in config.items() if k != "model"} | {"hooks": ["stop"]}
    whole = genhub.run(config, pipeline=pipeline, registries=hooked(0)[1])
    with pytest.raises(GenHubError):
        genhub.run(config, pipeline=pipeline, registries=hooked(1)[1])
    folder = (Path(config["output"]["dir"]) / "latest").resolve()
    with pytest.raises(GenHubError, match="give the same pipeline again"):
        genhub.run(folder, registries=hooked(0)[1])
    genhub.run(folder, pipeline=pipeline, registries=hooked(0)[1])
    assert files_of(folder) == files_of(whole.folder)


def test_a_folder_that_a_process_works_in_is_left_to_it(whole: Any) -> None:
    folder = cut_short(whole, 1)
    theirs = RunFolder.reopen(folder)
    with pytest.raises(GenHubError) as caught:
        genhub.run(folder, registries=hooked(0)[1])
    assert caught.value.code == "GH610" and caught.value.exit_code == 1
    assert f"process {os.getpid()} on {platform.node()}" in str(caught.value)
    theirs.close()
    assert genhub.run(folder, registries=hooked(0)[1]).status == "done"


def test_a_run_lets_go_of_its_folder(whole: Any) -> None:
    FolderLock(whole.folder).release()
