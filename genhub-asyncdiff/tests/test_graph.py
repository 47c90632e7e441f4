"""What a trace tells of a denoiser, against lists written by hand."""

from __future__ import annotations

import pickle

import pytest
import torch
from diffusers.hooks import apply_layerwise_casting
from networks import denoiser
from torch import nn
from toynet import PATHS, ToyNet, call

from genhub.api import GenHubError
from genhub_asyncdiff.graph import Edge, Leaf, meta_twin, trace, trace_units

ENTRY, DOWN, MID, UP, EXIT = range(5)


def test_reads_and_arguments_of_every_unit_are_those_of_the_network():
    graph = trace(ToyNet(), call(), {}, PATHS)
    assert [unit.path for unit in graph.units] == list(PATHS)
    assert [unit.reads for unit in graph.units] == [
        frozenset(),
        {Leaf(ENTRY, 0)},
        {Leaf(DOWN, 0)},
        {Leaf(MID, 0), Leaf(DOWN, 1)},
        {Leaf(UP, 0), Leaf(DOWN, 0)},  # the last skip is the hidden state
    ]
    assert [unit.inputs for unit in graph.units] == [{"sample"}, {"timestep"}, set(), set(), set()]
    assert graph.output == {Leaf(EXIT, 0)}
    assert graph.output_inputs == {"sample"}
    assert graph.sample == "sample"


def test_one_tensor_in_two_places_is_one_leaf_and_the_other_its_alias():
    down = trace(ToyNet(), call(), {}, PATHS).units[DOWN]
    assert down.sizes == {0: 4, 1: 4}
    assert down.itemsizes == {0: 4, 1: 4}
    assert down.aliases == {2: 0}


def test_multiply_adds_and_parameters_are_counted_per_unit_and_outside():
    graph = trace(ToyNet(), call(), {}, PATHS)
    assert [unit.flops for unit in graph.units] == [32, 64, 32, 64, 32]
    assert [unit.params for unit in graph.units] == [20, 40, 20, 36, 20]
    assert graph.replicated_flops == 8
    assert graph.replicated_params == 8 + 4


def test_a_change_in_place_is_noted_and_carries_what_was_added():
    plain = trace(ToyNet(), call(), {}, PATHS)
    added = trace(ToyNet(), call(residual=True), {}, PATHS)
    assert plain.mutated == frozenset()
    assert added.mutated == {Leaf(DOWN, 0)}
    assert added.units[MID].inputs == {"residual"}
    assert added.units[EXIT].inputs == {"residual"}  # through the same tensor as a skip
    assert added.units[UP].inputs == set()


def test_a_change_through_a_view_reaches_all_that_share_its_memory():
    class Net(ToyNet):
        def forward(self, sample, timestep, residual):
            h = self.entry(sample)
            h[:, :2].mul_(residual[:, :2])
            return self.exit(self.mid(h))

    graph = trace(Net(), call(residual=True), {}, ["entry", "mid", "exit"])
    assert graph.units[1].reads == {Leaf(0, 0)}
    assert graph.units[1].inputs == {"residual"}
    assert graph.mutated == {Leaf(0, 0)}


def test_what_is_computed_from_a_unit_and_changed_leaves_the_unit_as_it_is():
    class Net(ToyNet):
        def forward(self, sample, timestep):
            h = 2 * self.entry(sample)
            h += 1
            return self.exit(h)

    assert trace(Net(), call(), {}, ["entry", "exit"]).mutated == frozenset()


@pytest.mark.parametrize(
    ("owners", "edges"),
    [
        ([0, 0, 0, 0, 0], []),
        ([0, 0, 1, 1, 1], [(DOWN, 0, 1), (DOWN, 1, 1)]),
        ([0, 0, 1, 2, 2], [(DOWN, 0, 1), (DOWN, 0, 2), (DOWN, 1, 2), (MID, 0, 2)]),
        ([1, 1, 0, 1, 1], [(DOWN, 0, 0), (MID, 0, 1)]),
        ([1, 1, 1, 1, 0], [(DOWN, 0, 0), (UP, 0, 0), (EXIT, 0, 1)]),
    ],
)
def test_a_cut_lists_each_tensor_once_per_reader_in_order(owners, edges):
    graph = trace(ToyNet(), call(), {}, PATHS)
    assert graph.cut(owners) == tuple(Edge(Leaf(u, i), to) for u, i, to in edges)


def test_arguments_by_keyword_and_inside_a_mapping_have_their_top_name():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, hidden_states, added=None):
            return self.b(self.a(hidden_states) + added["text"][0])

    graph = trace(
        Net(), (), {"added": {"text": [torch.ones(4)]}, "hidden_states": torch.ones(1, 4)}, "ab"
    )
    assert [unit.inputs for unit in graph.units] == [{"hidden_states"}, {"added"}]
    assert graph.sample == "hidden_states"


def test_a_module_that_the_sample_does_not_reach_is_no_unit():
    graph = trace_units(ToyNet(), *(call(), {}))
    assert [unit.path for unit in graph.units] == list(PATHS)
    every = trace(ToyNet(), call(), {}, ["time", *PATHS])
    assert every.blind() == {"time"}


def test_graphs_survive_pickling_and_a_twin_tells_what_the_model_itself_does():
    model = denoiser("sdxl", 1)
    args = (torch.ones(1, 4, 8, 8, dtype=torch.float64), torch.tensor(1))
    kwargs = {
        "encoder_hidden_states": torch.ones(1, 5, 16, dtype=torch.float64),
        "added_cond_kwargs": {
            "text_embeds": torch.ones(1, 16, dtype=torch.float64),
            "time_ids": torch.ones(1, 6, dtype=torch.float64),
        },
        "return_dict": False,
    }
    real = trace_units(model, args, kwargs)
    meta = torch.utils._pytree.tree_map_only(torch.Tensor, lambda x: x.to("meta"), (args, kwargs))
    twin = trace_units(meta_twin(model), *meta)
    assert [(u.path, u.reads, u.inputs, u.sizes) for u in twin.units] == [
        (u.path, u.reads, u.inputs, u.sizes) for u in real.units
    ]
    assert pickle.loads(pickle.dumps(real)) == real


class Twice(ToyNet):
    def forward(self, sample, timestep):
        return self.exit(self.entry(self.entry(sample)))


class Calling(ToyNet):
    def __init__(self):
        super().__init__()
        object.__setattr__(self.mid, "other", self.up)
        self.mid.forward = lambda x: self.up(x, x)

    def forward(self, sample, timestep):
        return self.exit(self.mid(sample))


class Spoiling(ToyNet):
    def __init__(self):
        super().__init__()
        self.mid.forward = lambda x: 2 * x.mul_(2)

    def forward(self, sample, timestep):
        h = self.entry(sample)
        return self.exit(h + self.mid(h)) if self.reused else self.exit(self.mid(h))

    reused = True


class Harmless(Spoiling):
    reused = False


class Failing(ToyNet):
    def forward(self, sample, timestep):
        return self.exit(sample[:, :3])


@pytest.mark.parametrize(
    ("net", "paths", "told"),
    [
        (ToyNet, ["down", "down.first"], "'down.first' lies inside 'down'"),
        (ToyNet, ["up", "up-2", "up.merge"], "'up.merge' lies inside 'up'"),
        (ToyNet, ["mid", "mid"], "'mid' lies inside 'mid'"),
        (Twice, ["entry", "exit"], "'entry' is called 2 times"),
        (Twice, ["entry", "up"], "'entry' is called 2 times"),
        (Calling, ["up", "mid", "exit"], "'mid' calls 'up'"),
        (Spoiling, ["entry", "mid", "exit"], "'mid' changes in place"),
        (Failing, ["exit"], "fails on empty tensors"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_one_sentence(net, paths, told):
    with pytest.raises(GenHubError, match="GH407") as error:
        trace(net(), call(), {}, paths)
    assert told in str(error.value)
    assert "Traceback" not in str(error.value)


def test_a_unit_may_change_an_input_that_nobody_reads_afterwards():
    graph = trace(Harmless(), call(), {}, ["entry", "mid", "exit"])
    assert graph.mutated == {Leaf(0, 0)}


def test_an_argument_that_the_denoiser_does_not_have_is_told():
    with pytest.raises(GenHubError, match="surprise"):
        trace(ToyNet(), call(), {"surprise": 1}, PATHS)


def test_a_twin_has_no_memory_and_no_hooks_and_leaves_the_model_alone():
    model = ToyNet()
    calls = []
    model.mid.register_forward_hook(lambda *_: calls.append(1))
    before = {name: x.clone() for name, x in model.state_dict().items()}
    twin = meta_twin(model)
    assert {x.device.type for x in twin.state_dict().values()} == {"meta"}
    twin(*(x.to("meta") for x in call()))
    assert calls == []
    model(*call())
    assert calls == [1]
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())


def test_a_twin_of_a_model_that_keeps_its_weights_narrow_computes_as_the_model_does():
    def made():
        return denoiser("sd15", 1).to(torch.float32)

    plain, narrow = made(), made()
    apply_layerwise_casting(narrow, storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    args = (torch.empty(1, 4, 8, 8, device="meta"), torch.empty((), device="meta"))
    kwargs = {
        "encoder_hidden_states": torch.empty(1, 5, 16, device="meta"),
        "return_dict": False,
    }
    assert trace_units(meta_twin(narrow), args, kwargs) == trace_units(
        meta_twin(plain), args, kwargs
    )
