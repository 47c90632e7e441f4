"""What each rank of a run did, told to the first one where the work ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genhub.execution.phases import peak_memory

if TYPE_CHECKING:
    from genhub.execution.process import ProcessRun

__all__ = ["note_ranks"]


def note_ranks(run: ProcessRun) -> None:
    """Wait for all ranks, and write into the manifest what each of them did."""
    if run.comm.world == 1:
        return
    mine = {
        "device": str(run.comm.device),
        "sent": dict(run.comm.sent),
        "peak_memory_bytes": peak_memory(),
        "steps": {name: times.to_json() for name, times in run.summary.steps.items()},
    }
    by_rank = run.comm.gather_objects({"problems": run.summary.problems, **mine})
    for rank, told in enumerate(by_rank):
        for text in told.pop("problems"):
            if rank and text not in run.summary.problems:
                run.problem(f"rank {rank}: {text}")
    simulated = bool(run.config.launch.simulate)
    run.note(ranks={"world": run.comm.world, "simulated": simulated, "each": by_rank})
