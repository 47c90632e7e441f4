"""The kernel as PyTorch operators: registration, compilation, memory."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.profiler import ProfilerActivity, profile
from torch.testing import assert_close

from genhub_linfusion import linear_attention
from genhub_linfusion.kernels import blocked, operators


def peak_bytes(function):
    """Return the most memory alive at once among what `function` allocates on the CPU."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        kept = function()
    events = trace.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    alive = most = 0
    for _, change in changes:
        alive += change
        most = max(most, alive)
    del kept
    return most


@pytest.mark.parametrize("layout", ["bnhd", "bhnd"])
@pytest.mark.parametrize("masked", [False, True])
def test_operators_meet_the_contract_of_torch_library(layout, masked):
    shape = (2, 7, 2, 4) if layout == "bnhd" else (2, 2, 7, 4)
    q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
    mask = torch.rand(2, 7) > 0.3 if masked else None
    torch.library.opcheck(operators.state, (k, v, mask, layout))
    s, k_mean = (x.detach().requires_grad_() for x in operators.state(k, v, mask, layout))
    torch.library.opcheck(operators.apply_state, (q, s, k_mean, 1e-4, layout))


def test_compiles_to_one_graph_for_all_lengths():
    counter = CompileCounterWithBackend("aot_eager")

    def attend(q, k, v):
        return linear_attention(q, k, v) * 2

    compiled = torch.compile(attend, backend=counter, fullgraph=True, dynamic=True)
    for n in (16, 40, 72):
        q, k, v = (torch.randn(2, n, 3, 8, requires_grad=True) for _ in range(3))
        out = compiled(q, k, v)
        gradients = torch.autograd.grad(out.square().sum(), (q, k, v))
        expected = attend(q, k, v)
        assert_close(out, expected)
        assert_close(gradients, torch.autograd.grad(expected.square().sum(), (q, k, v)))
    calls = [[str(node.target) for node in graph.graph.nodes] for graph in counter.graphs]
    assert sum("genhub_linfusion.apply_state" in str(names) for names in calls) == 1


@pytest.mark.parametrize("layout", ["bnhd", "bhnd"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_forward_needs_the_output_two_blocks_and_a_state(dtype, layout):
    batch, heads, tokens, dim = 2, 8, 8192, 40
    shape = (batch, tokens, heads, dim) if layout == "bnhd" else (batch, heads, tokens, dim)
    q, k, v = (torch.randn(shape).to(dtype) for _ in range(3))
    block = blocked.block_tokens(q, layout) * heads
    allowed = q.numel() * q.element_size()  # the output
    allowed += 2 * block * (dim + 1) * 4  # features and products, each with a denominator per row
    allowed += batch * heads * dim * (dim + 1) * 4 + 4096  # the state, and small change
    assert block * 4 < tokens * heads  # else this would prove nothing
    assert peak_bytes(lambda: linear_attention(q, k, v, layout=layout)) <= allowed


def test_training_keeps_the_inputs_and_the_state_alone():
    q, k, v = (torch.randn(1, 4096, 8, 40, requires_grad=True) for _ in range(3))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        linear_attention(q, k, v)
    inputs = {x.data_ptr() for x in (q, k, v)}
    others = [x for x in kept if x.data_ptr() not in inputs]
    assert sum(x.numel() for x in others) == 8 * 40 * 41


def test_backward_needs_the_gradients_and_four_blocks():
    q, k, v = (torch.randn(1, 16384, 8, 40, requires_grad=True) for _ in range(3))
    out, grad = linear_attention(q, k, v), torch.randn(1, 16384, 8, 40)
    block = blocked.block_tokens(q, "bnhd") * 8 * 41 * 4
    allowed = 3 * q.numel() * 4 + 4 * block + 4 * 8 * 40 * 41 * 4 + 4096
    assert peak_bytes(lambda: torch.autograd.grad(out, (q, k, v), grad)) <= allowed
