"""Ranks as threads of one process: who writes, who waits, and how a lost rank ends the run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from commands import config, manifest_in

import genhub
from genhub import GenHubError
from genhub.comm import ThreadComm, in_threads
from genhub.errors import PeerLost
from genhub.launch.alone import alone, together

SIMULATED = {"simulate": True, "devices": "cpu", "timeout": 3.0}


def fail(wanted: dict[str, Any], registries: Any) -> GenHubError:
    with pytest.raises(GenHubError) as caught:
        genhub.run(wanted, registries=registries)
    return caught.value


def test_every_rank_writes_what_its_own_loop_makes(tmp_path: Path, registries: Any) -> None:
    wanted = config(tmp_path, {"type": "each-its-own"}, launch=SIMULATED)
    result = genhub.run(wanted, set={"sampling.samples": 2}, registries=registries)
    assert sorted(a.path for a in result.artifacts) == [f"artifacts/00000{i}.png" for i in range(4)]
    assert all((result.folder / a.path).is_file() for a in result.artifacts)


def test_one_rank_writes_what_the_pipeline_makes_though_it_is_not_the_first(
    tmp_path: Path, registries: Any
) -> None:
    wanted = config(tmp_path, {"type": "trouble"}, launch={**SIMULATED, "processes": 3})
    result = genhub.run(wanted, registries=registries)
    assert [a.path for a in result.artifacts] == ["artifacts/000000.png", "artifacts/000001.png"]
    manifest = manifest_in(tmp_path)
    assert manifest["ranks"]["world"] == 3
    assert len(manifest["artifacts"]) == 2


def test_ranks_that_write_nothing_do_not_decode(
    tmp_path: Path, registries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import diffusers

    counts, lock = [0], threading.Lock()
    for cls in (diffusers.AutoencoderKL, diffusers.AutoencoderTiny):
        decode = cls.decode

        def counted(self: Any, *args: Any, decode: Any = decode, **kwargs: Any) -> Any:
            with lock:
                counts[0] += 1
            return decode(self, *args, **kwargs)

        monkeypatch.setattr(cls, "decode", counted)
    wanted = config(tmp_path, {"type": "trouble"}, launch={**SIMULATED, "processes": 3})
    result = genhub.run(wanted, registries=registries)
    assert len(result.artifacts) == 2
    decoded, counts[0] = counts[0], 0
    alone = config(tmp_path / "alone", {}, launch={})
    del alone["parallel"]
    genhub.run(alone, registries=registries)
    assert decoded == counts[0] > 0


def test_the_error_of_a_thread_is_the_one_that_is_told(tmp_path: Path, registries: Any) -> None:
    trouble = {"type": "trouble", "trouble": "raises"}
    error = fail(config(tmp_path, trouble, launch=SIMULATED), registries)
    assert error.code == "GH606"
    assert "rank 1: 'trouble' of toy-ranks failed during steps: ValueError" in str(error)
    manifest = manifest_in(tmp_path)
    assert manifest["status"] == "failed" and len(manifest["artifacts"]) == 1


def test_a_rank_that_never_answers_is_lost_after_the_timeout(
    tmp_path: Path, registries: Any
) -> None:
    trouble = {"type": "trouble", "trouble": "stuck"}
    error = fail(config(tmp_path, trouble, launch=SIMULATED), registries)
    assert error.code == "GH607"
    assert "rank 1 was lost" in str(error) and "no answer within 3 s" in str(error)


def test_a_pipeline_in_hand_serves_all_threads_and_stays_as_it_was(
    tmp_path: Path, registries: Any
) -> None:
    import torch

    from genhub.models.shapes import Shapes

    pipeline = Shapes().load(torch.float32, torch.device("cpu"))
    scheduler, forward = pipeline.scheduler, pipeline.unet.forward
    wanted = config(tmp_path, {"type": "cfg-parallel"}, launch={"simulate": True})
    result = genhub.run(wanted, pipeline=pipeline, registries=registries)
    assert len(result.artifacts) == 2
    assert pipeline.scheduler is scheduler and pipeline.unet.forward == forward
    assert not pipeline.unet._forward_pre_hooks


def test_a_pipeline_in_hand_cannot_go_to_other_processes(tmp_path: Path, registries: Any) -> None:
    wanted = config(tmp_path, {"type": "trouble"}, launch={"processes": 2})
    with pytest.raises(GenHubError) as caught:
        genhub.run(wanted, pipeline=object(), registries=registries)
    assert caught.value.code == "GH406" and "simulate: true" in str(caught.value)
    assert not (tmp_path / "runs").exists()


class _Counted:
    """A communicator that counts what this rank tells the others."""

    def __init__(self, comm: ThreadComm) -> None:
        self._comm = comm
        self.rank, self.world, self.timeout = comm.rank, comm.world, comm.timeout
        self.told = threading.Semaphore(0)

    def gather_objects(self, value: Any) -> list[Any]:
        by_rank = self._comm.gather_objects(value)
        self.told.release()
        return by_rank


@pytest.mark.parametrize("slow", [0, 2])
def test_ranks_wait_for_the_work_of_one_far_longer_than_for_an_answer(slow: int) -> None:
    def work_for_many_signs(comm: ThreadComm) -> Any:
        counted = _Counted(comm)

        def work() -> int:
            for _ in range(9 if comm.rank == slow else 0):  # each a third of the timeout
                assert counted.told.acquire(timeout=30)
            return 10 * comm.rank

        return together(counted, work, lambda own: own + 1)

    group = ThreadComm.group(3, timeout=0.3)
    outcomes = in_threads(group, work_for_many_signs)
    assert outcomes == [(0, [1, 11, 21]), (10, [1, 11, 21]), (20, [1, 11, 21])]


def test_all_ranks_get_what_one_has_made() -> None:
    def made_by_the_first(comm: ThreadComm) -> Any:
        return alone(comm, lambda: {"made by": comm.rank})

    assert in_threads(ThreadComm.group(2), made_by_the_first) == [{"made by": 0}] * 2


def test_others_stop_waiting_when_the_rank_that_works_fails() -> None:
    def work() -> None:
        raise ValueError("no")

    outcomes = in_threads(ThreadComm.group(3), lambda comm: alone(comm, work))
    assert [type(outcome) for outcome in outcomes] == [ValueError, PeerLost, PeerLost]


def test_a_checkpoint_is_written_by_the_first_rank(tmp_path: Path) -> None:
    from genhub.execution.checkpoint import FileCheckpoint

    FileCheckpoint(tmp_path, writes=False).save(1, {}, {})
    assert FileCheckpoint(tmp_path).load() is None
    FileCheckpoint(tmp_path).save(2, {}, {})
    assert FileCheckpoint(tmp_path, writes=False).load() == (2, {}, {})


def test_a_run_that_was_cut_short_goes_on_with_another_number_of_ranks(
    tmp_path: Path, registries: Any
) -> None:
    wanted = config(tmp_path, {"type": "trouble"}, task="tally", launch=SIMULATED)
    del wanted["input"], wanted["sampling"]
    assert fail(wanted, registries).code == "GH606"
    folder = (tmp_path / "runs" / "latest").resolve()
    result = genhub.run(folder, set={"launch.processes": 3}, registries=registries)
    assert result.folder == folder
    assert result.metrics["main"] == {"begun_at": 3, "world": 3, "total": 10}
