"""Other ways to start the ranks: with torchrun, with `accelerate launch`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from commands import config, finish, left_over, manifest_in, start, written


def run_by(launcher: list[str], site: Path, folder: Path, wanted: dict[str, Any]) -> Any:
    words = [sys.executable, "-m", *launcher, "-m", "genhub.cli", "run", written(folder, wanted)]
    return finish(start(site, words))


def test_accelerate_launch_starts_the_ranks(site: Path, tmp_path: Path) -> None:
    launcher = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launcher += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    wanted = config(tmp_path, {"type": "trouble", "trouble": "warns"})
    status, out, err = run_by(launcher, site, tmp_path, wanted)
    assert status == 0, err
    assert out.count("results: ") == 1
    (folder,) = (tmp_path / "runs").glob("pair-*")  # one for all ranks
    manifest = manifest_in(tmp_path)
    assert manifest["status"] == "done" and manifest["ranks"]["world"] == 2
    assert manifest["problems"] == ["rank 1: the wind is from the west"]
    assert len(list(folder.glob("artifacts/*.png"))) == 2


def test_ranks_whose_plans_differ_end_with_one_sentence(site: Path, tmp_path: Path) -> None:
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    wanted = config(tmp_path, {"type": "trouble", "trouble": "plans"})
    status, _, err = run_by(launcher, site, tmp_path, wanted)
    assert status == 1
    assert err.count("error[") == 1
    assert "error[GH609] the ranks of this run disagree on plan: rank 0 has" in err
    manifest = manifest_in(tmp_path)
    assert manifest["status"] == "failed" and manifest["artifacts"] == []
    assert left_over(tmp_path) == {}
