"""Published splits: their names, the balance and the traffic that were measured for them."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from architectures import build, call, traced
from networks import components, denoiser

from genhub.api import GenHubError
from genhub_asyncdiff.graph import Graph, trace, trace_units
from genhub_asyncdiff.published import PUBLISHED, published_split
from genhub_asyncdiff.split import given_split, owners, shares
from genhub_asyncdiff.units import collapse

# Multiply-adds of a call with two branches of guidance, in 1e12.
TMACS = {
    **{"sd15": 0.803, "sd21": 2.149, "sdxl": 6.761},
    **{"svd": 79.9, "motion": 17.7, "sd3": 8.44},
}
# Shares of the components, and MiB in half precision that pass the cut in such a call: all outputs
# of all parts as published, tensors that another component reads.
SHARES = {
    ("sd15", 2): (0.440, 0.560),
    ("sd15", 3): (0.310, 0.381, 0.308),
    ("sd15", 4): (0.222, 0.218, 0.314, 0.246),
    ("sd21", 2): (0.474, 0.526),
    ("sd21", 3): (0.325, 0.384, 0.291),
    ("sd21", 4): (0.249, 0.274, 0.219, 0.257),
    ("sdxl", 2): (0.563, 0.437),
    ("sdxl", 3): (0.348, 0.344, 0.307),
    ("sdxl", 4): (0.290, 0.232, 0.244, 0.233),
    ("svd", 2): (0.553, 0.447),
    ("svd", 3): (0.340, 0.401, 0.259),
    ("svd", 4): (0.203, 0.350, 0.278, 0.169),
    ("motion", 2): (0.571, 0.429),
    ("motion", 3): (0.333, 0.438, 0.229),
}
TRAFFIC = {
    **{("sd15", 2): (62, 23.1), ("sd15", 3): (69, 27.8), ("sd15", 4): (62, 33.1)},
    **{("sd21", 2): (139, 50.6), ("sd21", 3): (122, 79.5), ("sd21", 4): (179, 71.7)},
    **{("sdxl", 2): (245, 7.5), ("sdxl", 3): (245, 32.5), ("sdxl", 4): (263, 67.5)},
    **{("motion", 2): (871, 420), ("motion", 3): (871, 565)},
    **{("svd", 2): (3062, 1477), ("svd", 3): (3062, 1951), ("svd", 4): (4714, 1758)},
    **{("sd3", 2): (None, 24.9), ("sd3", 3): (None, 49.8), ("sd3", 4): (None, 74.7)},
}


@cache
def parts_of(name: str, n: int) -> tuple[Graph, list[int]]:
    """Give the graph of the parts of a published split, and who owns each."""
    model, graph = build(name), traced(name)
    split = published_split(model, graph, n)
    by_unit = {u.path: o for u, o in zip(graph.units, owners(graph, split), strict=True)}
    parts = collapse(model, by_unit)
    larger = trace(model, *call(name), list(parts))
    return larger, [parts[unit.path] for unit in larger.units]


def mib(graph: Graph, leaves) -> float:
    sizes = (graph.units[u].sizes[i] * graph.units[u].itemsizes[i] for u, i in leaves)
    return 2 * sum(sizes) / 2**20


@pytest.mark.parametrize("name", TMACS)
def test_a_call_costs_what_was_counted(name):
    graph = traced(name)
    macs = (sum(unit.flops for unit in graph.units) + graph.replicated_flops) / 1e12
    assert macs == pytest.approx(TMACS[name], rel=0.001 if TMACS[name] < 10 else 0.003)


@pytest.mark.parametrize(("name", "n"), SHARES)
def test_components_have_the_published_shares(name, n):
    graph = traced(name)
    found = shares(graph, published_split(build(name), graph, n))
    assert found == pytest.approx(SHARES[name, n], abs=0.0006)


@pytest.mark.parametrize(("name", "n"), TRAFFIC)
def test_the_cut_passes_the_bytes_of_the_table(name, n):
    everything, cut = TRAFFIC[name, n]
    graph, of = parts_of(name, n)
    read = {(edge.leaf.unit, edge.leaf.index) for edge in graph.cut(of)}
    digits = 0 if cut > 100 else 1
    assert mib(graph, read) == pytest.approx(cut, abs=0.5 * 10**-digits)
    if everything is not None:
        made = [(u, i) for u, unit in enumerate(graph.units) for i in unit.sizes]
        made += [(u, i) for u, unit in enumerate(graph.units) for i in unit.aliases.values()]
        assert mib(graph, made) == pytest.approx(everything, abs=0.51)


def test_two_components_of_sdxl_send_3_percent_of_the_published_traffic():
    graph, of = parts_of("sdxl", 2)
    edges = [(edge.leaf.unit, edge.leaf.index) for edge in graph.cut(of)]
    assert len(edges) == len(set(edges)) == 2
    assert mib(graph, edges) == 7.5


@pytest.mark.parametrize("key", components())
def test_lists_are_those_of_the_golden_runs(key):
    name, number = key.rsplit("_n", 1)
    n, golden = int(number), components()[key]
    full = {"animate_sd": "motion"}.get(name, name)
    model = build(full)
    graph = traced(full)
    if (name, n) == ("upscaler", 2):  # published under a name that lies inside another one
        golden = [
            [module.replace("up_blocks.0.ups", "up_blocks.1.ups") for module in part]
            for part in golden
        ]
    split = published_split(model, graph, n)
    assert split == given_split(graph, golden, "published")
    assert split.wrap == (name == "sdxl")


def test_the_defective_list_of_the_upscaler_is_refused():
    with pytest.raises(GenHubError, match=r"up_blocks\.0\.upsamplers\.0"):
        given_split(traced("upscaler"), components()["upscaler_n2"])


@pytest.mark.parametrize("n", [2, 5, 24])
def test_sd3_is_cut_into_runs_of_equal_length(n):
    split = published_split(build("sd3"), traced("sd3"), n)
    lengths = [sum("blocks" in path for path in part) for part in split.components]
    assert sum(lengths) == 24
    assert max(lengths) - min(lengths) <= 1
    assert split.components[-1][-2:] == ("norm_out", "proj_out")


def test_a_fine_tune_with_more_channels_in_is_the_same_architecture():
    model = build("sd15", in_channels=9)
    assert published_split(model, traced("sd15"), 2) == published_split(
        build("sd15"), traced("sd15"), 2
    )


def test_an_unknown_architecture_is_described_and_the_known_ones_are_named():
    model = denoiser("sd15", 1)
    args = (torch.ones(1, 4, 8, 8).double(), torch.tensor(1), torch.ones(1, 5, 16).double())
    with pytest.raises(GenHubError, match="GH407") as error:
        published_split(model, trace_units(model, args, {}), 2)
    assert "(16, 32, 32, 32)" in str(error.value)
    assert all(known.name in str(error.value) for known in PUBLISHED)


@pytest.mark.parametrize(("name", "n"), [("motion", 4), ("sd15", 5), ("sd3", 25)])
def test_a_number_of_components_without_a_list_is_refused(name, n):
    with pytest.raises(GenHubError, match="GH407") as error:
        published_split(build(name), traced(name), n)
    assert str(n) in str(error.value)
