from __future__ import annotations

from types import SimpleNamespace

import guided
import pytest
import torch

from genhub.api import Facts, Latent
from genhub.comm import ThreadComm
from genhub.comm.replica import replica
from genhub.plan import attach
from genhub.schedulers.cfg_parallel import CfgParallel
from genhub.testing.launches import on_processes, on_threads

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
CASES = [(name, dtype) for name in guided.PIPELINES for dtype in guided.DTYPES]


@pytest.fixture(scope="module")
def threads():
    return raised(on_threads(2, guided.split_over_ranks))


@pytest.fixture(scope="module")
def processes():
    return raised(on_processes(2, guided.split_over_ranks))


def raised(outcomes):
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


def distance(x, y):
    return ((x - y).abs().max() / y.abs().max()).item()


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_two_processes_equal_two_threads_bit_for_bit(name, dtype, threads, processes):
    for rank in (0, 1):
        assert torch.equal(processes[rank][name, dtype], threads[rank][name, dtype])


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_both_ranks_end_with_what_one_process_makes(name, dtype, threads):
    alone = guided.alone(name, dtype)
    assert torch.equal(threads[0][name, dtype], threads[1][name, dtype])
    assert distance(threads[0][name, dtype], alone) <= TOLERANCE[dtype]
    assert torch.equal(threads[0][name, dtype, "again"], alone)  # detached
    assert alone.dtype == guided.DTYPES[dtype] and alone.abs().max() > 0.1


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_the_bytes_that_travel_are_those_of_the_plan(name, dtype, threads, processes):
    for ranks in (threads, processes):
        (sent, planned), (sent_too, _) = (rank[name, dtype, "bytes"] for rank in ranks)
        assert sent + sent_too == planned > 0
        assert rank_bytes(ranks[0][name, dtype]) * guided.STEPS == sent == sent_too


@pytest.mark.parametrize(("shape", "size"), [((), 0), ((1, 4, 8, 8), 4 * 8 * 8 * 4)])
def test_a_denoiser_of_an_unknown_call_is_planned_by_its_latent(shape, size):
    facts = Facts("image", "other", Latent("BCHW", shape, 8), ())
    denoiser = SimpleNamespace(config={}, dtype=torch.float32)
    assert CfgParallel().plan(facts, {"transformer": denoiser}, 2).bytes(20) == 2 * 20 * size


def rank_bytes(latents):
    """Count what one rank sends per step: its branch of the output."""
    return latents.numel() * latents.element_size()


def test_the_plan_is_drawn_alike_on_every_rank():
    pipeline = guided.shapes("float32")
    plans = [
        attach(replica(pipeline), parallel={"type": "cfg-parallel"}, comm=comm).plan
        for comm in ThreadComm.group(2)
    ]
    plan = plans[0].parallel
    lines = plan.timeline().splitlines()

    assert plans[0].digest == plans[1].digest
    assert [line[:16] for line in lines[1:3]] == ["rank 0  [ uncond", "rank 1  [ cond  "]
    assert lines[1].count("=swap=>") == lines[0].count("step") == 3
    assert lines[3] == "swap: 4096 bytes each way per sample"  # 4 x 16 x 16 cells of 4 bytes
    assert plan.bytes(20, samples=3) == 2 * 4096 * 20 * 3
    assert (plan.speedup(), plan.shard(0), plan.shard(1)) == (2.0, None, None)
