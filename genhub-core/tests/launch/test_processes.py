"""`genhub run` with two processes: what it makes, and what is told and left when a rank fails."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import commands
import pytest
from commands import config, genhub, left_over, manifest_in, start, until, written

import genhub as host
from genhub.launch.parent import cause


@dataclass(frozen=True)
class Ended:
    """One run of the command, and what it left."""

    status: int
    out: str
    err: str
    folder: Path
    manifest: dict[str, Any]
    left: dict[int, str]

    @property
    def error(self) -> dict[str, Any]:
        (problem,) = self.manifest["error"]
        return dict(problem)


def ended(site: Path, folder: Path, wanted: dict[str, Any], *words: str) -> Ended:
    status, out, err = genhub(site, "run", written(folder, wanted), *words)
    manifest = manifest_in(folder)
    return Ended(status, out, err, folder / "runs" / "latest", manifest, left_over(folder))


@pytest.fixture(scope="module")
def split(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Guidance split over two processes, beside the run without."""
    folder = tmp_path_factory.mktemp("split")
    wanted = config(folder, {"type": "cfg-parallel"}, compare=["baseline"], metrics=["psnr"])
    return ended(site, folder, wanted, "--set", "launch.processes=auto")


@pytest.fixture(scope="module")
def raised(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("raised")
    return ended(site, folder, config(folder, {"type": "trouble", "trouble": "raises"}))


@pytest.fixture(scope="module")
def killed(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("killed")
    return ended(site, folder, config(folder, {"type": "trouble", "trouble": "killed"}))


def test_two_processes_make_what_one_makes(split: Ended) -> None:
    assert split.status == 0, split.err
    assert split.manifest["status"] == "done"
    names = ["000000-baseline.png", "000001-baseline.png", "000000.png", "000001.png"]
    assert [Path(a["path"]).name for a in split.manifest["artifacts"]] == names
    # One level of 8 bits in one value of a hundred is 68 dB: what sums of another order may show.
    assert split.manifest["metrics"]["main"]["psnr"] > 68


def test_threads_make_the_same_bits(split: Ended, tmp_path: Path, registries: Any) -> None:
    """Two ranks as threads, and as processes, run the same arithmetic in the same order."""
    wanted = config(tmp_path, {"type": "cfg-parallel"}, launch={"simulate": True})
    result = host.run(wanted, registries=registries)
    assert [pixels(result.folder / a.path) for a in result.artifacts] == [
        pixels(split.folder / f"artifacts/00000{i}.png") for i in (0, 1)
    ]
    ranks = manifest_in(tmp_path)["ranks"]
    assert ranks["simulated"] and ranks["world"] == 2
    of_processes = split.manifest["ranks"]["each"]
    assert [r["sent"] for r in ranks["each"]] == [r["sent"] for r in of_processes]


def test_the_manifest_tells_of_every_rank_and_of_the_parallel_plan(split: Ended) -> None:
    ranks = split.manifest["ranks"]
    assert ranks["world"] == 2 and not ranks["simulated"]
    for rank in ranks["each"]:
        assert rank["device"] == "cpu"
        assert rank["sent"]["all_gather"] > 0
        assert rank["peak_memory_bytes"]["cpu"] > 0
        assert rank["steps"]["main"]["count"] == 4  # two samples of two steps
    assert "baseline" not in ranks["each"][1]["steps"]  # one rank makes what is for one rank
    parallel = split.manifest["parallel"]
    assert "rank 1" in parallel["timeline"] and parallel["speedup"] == 2
    assert parallel["bytes"] == sum(sum(rank["sent"].values()) for rank in ranks["each"])


def test_the_manifest_has_the_command_that_was_typed(split: Ended, raised: Ended) -> None:
    for run in (split, raised):
        assert " run " in run.manifest["command"] and "worker" not in run.manifest["command"]


def test_the_parent_imports_no_torch_and_one_rank_speaks(split: Ended) -> None:
    assert split.out.strip().splitlines()[-1] == "False"
    assert split.out.count("results: ") == 1
    assert split.err.count("loading libraries") == 1
    assert split.err.count("100 %") == 1


def test_nothing_is_left_running(split: Ended, raised: Ended, killed: Ended) -> None:
    assert [split.left, raised.left, killed.left] == [{}, {}, {}]


def test_a_rank_that_raises_ends_the_run_with_its_error_alone(raised: Ended) -> None:
    assert raised.status == 1
    said = "rank 1: 'trouble' of toy-ranks 1.0 failed during steps: ValueError: the cat sat"
    assert raised.err.count("error[") == 1
    assert f"error[GH606] {said}" in raised.err
    assert "Traceback" not in raised.out + raised.err
    assert raised.manifest["status"] == "failed"
    assert raised.error["message"].startswith(said)


def test_the_log_of_the_rank_has_the_traceback(raised: Ended) -> None:
    place = "logs/rank1/log.txt"
    assert place in raised.err
    assert "the cat sat on the cable" in (raised.folder / place).read_text()


@pytest.mark.parametrize("case", ["raised", "killed"])
def test_what_was_made_before_is_kept(case: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(case)
    (kept,) = run.manifest["artifacts"]
    assert kept["sample"]["index"] == 0
    assert (run.folder / kept["path"]).is_file()


def test_a_rank_that_is_killed_ends_the_run_with_one_error(killed: Ended) -> None:
    assert killed.status == 1
    assert killed.err.count("error[") == 1
    assert "error[GH607] rank 1 was killed by SIGKILL" in killed.err
    assert "Traceback" not in killed.out + killed.err
    assert killed.manifest["status"] == "failed"
    assert killed.error["message"] == "rank 1 was killed by SIGKILL"
    assert killed.out.strip().splitlines()[-1] == "False"


def test_python_goes_on_with_the_ranks_of_a_run_that_lost_one(
    killed: Ended, site: Path, registries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = killed.folder.resolve()
    before = (folder / "artifacts/000000.png").stat()
    result = host.run(folder, registries=registries)
    assert (result.folder, result.status) == (folder, "done")
    assert [a.path for a in result.artifacts] == ["artifacts/000000.png", "artifacts/000001.png"]
    assert result.artifacts[1].sample.seed == 1
    after = (folder / "artifacts/000000.png").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "error" not in manifest or manifest["error"] is None
    assert [rank["steps"]["main"]["count"] for rank in manifest["ranks"]["each"]] == [2, 2]


def test_what_other_ranks_said_is_a_note_that_only_tracebacks_show(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    own = [
        [{"code": code, "message": f"rank {rank}: woe", "hint": "", "mark": None}]
        for rank, code in enumerate(("GH607", "GH606"))
    ]
    for rank in (0, 1):
        (logs / f"rank{rank}").mkdir(parents=True)
        entry = {"cause": own[1], "own": own[rank]}
        (logs / f"rank{rank}" / "error.json").write_text(json.dumps(entry))
    error = cause(logs, 1)
    assert error.code == "GH606" and "GH607" not in str(error)
    assert error.__notes__ == ["also, on another rank: error[GH607] rank 0: woe"]


def test_a_rank_that_ends_by_a_signal_without_a_name_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "ended.json").write_text(json.dumps({"ranks": {"1": -36}}))
    assert "rank 1 was killed by signal 36" in str(cause(tmp_path, 1))


def test_ranks_that_were_stopped_for_a_lost_one_were_not_interrupted(tmp_path: Path) -> None:
    stopped = [{"code": "GH603", "message": "interrupted", "hint": "", "mark": None}]
    (tmp_path / "rank0").mkdir()
    (tmp_path / "rank0/error.json").write_text(json.dumps({"cause": stopped, "own": stopped}))
    assert cause(tmp_path, 1).code == "GH603"
    (tmp_path / "ended.json").write_text(json.dumps({"ranks": {"1": -9}}))
    error = cause(tmp_path, 1)
    assert (error.code, "rank 1 was killed by SIGKILL" in str(error)) == ("GH607", True)


def long_run(site: Path, folder: Path) -> Any:
    """Start a run that never ends, and wait for its first picture."""
    wanted = config(folder, {"type": "trouble"}, sampling={"steps": 2, "samples": 100_000})
    words = [sys.executable, "-c", commands.TELLING, "run", written(folder, wanted), "--quiet"]
    process = start(site, words, folder / "told.txt")
    until(lambda: any(folder.glob("runs/*/artifacts/*.png")), process)
    return process


def test_ctrl_c_ends_every_process_and_keeps_what_exists(site: Path, tmp_path: Path) -> None:
    process = long_run(site, tmp_path)
    process.send_signal(signal.SIGINT)
    assert process.wait(commands.DEADLINE) == 130
    told = (tmp_path / "told.txt").read_text()
    assert told.count("error[") == 1 and "error[GH603] interrupted" in told
    manifest = manifest_in(tmp_path)
    assert manifest["status"] == "interrupted"
    files = {p.name for p in (tmp_path / "runs/latest/artifacts").glob("*.png")}
    assert files and files == {Path(a["path"]).name for a in manifest["artifacts"]}
    assert left_over(tmp_path) == {}


def test_ranks_end_when_those_who_started_them_are_killed(
    site: Path, tmp_path: Path, registries: Any
) -> None:
    process = long_run(site, tmp_path)
    running = left_over(tmp_path)
    assert len(running) == 4  # the command, the agent, two ranks
    (agent,) = (pid for pid, words in running.items() if "genhub.launch.agent" in words)
    os.kill(agent, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    folder = (tmp_path / "runs/latest").resolve()
    with pytest.raises(host.GenHubError, match=f"process {process.pid} on"):
        host.run(folder, registries=registries)  # ranks may still be writing there
    os.kill(agent, signal.SIGKILL)
    until(lambda: left_over(tmp_path) == {})
    assert manifest_in(tmp_path)["status"] in ("failed", "interrupted")


def pixels(path: Path) -> bytes:
    from PIL import Image

    with Image.open(path) as image:
        return image.tobytes()
