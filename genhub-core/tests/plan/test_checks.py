from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import drivers
import pytest
import tiny
import torch

from genhub.api import GenHubError
from genhub.comm import SoloComm
from genhub.plan import attach, check_needs, facts_of, install
from genhub.plan.checks import own_world
from genhub.plan.kernels import Kernels
from genhub.plan.parts import parts_from_blocks
from genhub.plan.plan import plan_parts
from genhub.registry import Registries

LOOP = {"type": "own-loop"}


def wanting(**needs):
    return drivers.Wanting(drivers.WholeConfig(**needs))


def problems_of(*attention, parallel=None, registries=None, **facts):
    return [
        f"{problem.code} {problem.message}" + (f"; {problem.hint}" if problem.hint else "")
        for problem in check_needs(parts_from_blocks(attention, parallel, registries), **facts)
    ]


def test_gh404_two_owners(registries):
    mixer = wanting(owns={"scheduler-step", "vae-decode"})

    assert problems_of(mixer, parallel=LOOP, registries=registries) == [
        "GH404 'wanting' and 'own-loop' both own scheduler-step; use one of them at a time"
    ]
    assert problems_of(mixer) == []


def test_needs_are_checked_without_torch():
    code = (
        "import sys; from genhub.plan import check_needs, parts_from_config; "
        "print([name for name in ('torch', 'numpy', 'diffusers') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


FIX = (
    "add 'launch: {processes: 2}'; with 'launch: {simulate: true}' they are threads of one process"
)


@pytest.mark.parametrize(
    ("world", "available", "text"),
    [
        ((2, 4), 1, "needs 2..4 processes, 1 available; " + FIX),
        ((2, 4), 5, "needs 2..4 processes, 5 available; add 'launch: {processes: 4}'"),
        ((2, 10**9), 1, "needs at least 2 processes, 1 available; " + FIX),
        ((1, 1), 2, "needs 1 process, 2 available; add 'launch: {processes: 1}'"),
    ],
)
def test_gh406_impossible_ranks(world, available, text):
    assert problems_of(wanting(world=world), world=available) == [f"GH406 'wanting' {text}"]
    assert problems_of(wanting(world=world), world=world[0]) == []
    assert problems_of(wanting(world=world)) == []


def test_gh407_another_modality():
    mixer = wanting(modalities={"audio"})

    assert problems_of(mixer, modality="image", model="tiny:shapes") == [
        "GH407 'wanting' serves audio; 'tiny:shapes' makes images; "
        "model.modality overrides this where 'tiny:shapes' is misjudged"
    ]
    assert problems_of(mixer, modality="audio") == problems_of(mixer) == []


def test_gh407_another_family():
    mixer = wanting(families={"sd3", "flux"})

    assert problems_of(mixer, family="unet2d", model="m") == [
        "GH407 'wanting' serves models of family flux, sd3; 'm' is of family unet2d"
    ]
    assert problems_of(mixer, family="flux") == []


def test_needs_are_held_against_the_pipeline_that_is_attached_to():
    with pytest.raises(GenHubError, match="'UNet2DConditionModel' makes images") as caught:
        attach(tiny.sd(), [wanting(modalities={"video"})])
    assert caught.value.code == "GH407"
    attach(tiny.sd(), [wanting(modalities={"video", "image"})]).detach()


def test_gh405_whole_sequence_over_sharded_frames(registries):
    unet = tiny.unet3d()
    facts = facts_of(unet, frames=24, height=64, width=64)
    loop = {"type": "own-loop", "frames": 24}

    def plan(where, **needs):
        block = {"type": "wanting", "where": where, **needs}
        return plan_parts(parts_from_blocks([block], loop, registries), facts, unet)

    with pytest.raises(GenHubError) as caught:
        plan({}, sequence="whole")
    assert str(caught.value) == (
        "error[GH405] 'wanting' needs the whole sequence, 'own-loop' gives each rank 12 of 24 "
        "frames\n  use where.axis=spatial"
    )
    assert plan({"axis": "spatial"}, sequence="whole").shard(0).total == 24
    assert plan({}, sequence="any").claims[0].sites


# What each family's attention does with `model.attention_backend`.
BACKENDS = {name: name.startswith(("flux", "wan", "qwenimage")) for name in tiny.FAMILIES}


@pytest.mark.parametrize(("name", "dispatches"), BACKENDS.items())
def test_gh408_a_backend_takes_effect_or_is_refused(name, dispatches, registries):
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    model = tiny.FAMILIES[name]()
    active = _AttentionBackendRegistry.get_active_backend()
    facts = facts_of(model, height=64, width=64, frames=2)
    if not dispatches:
        with pytest.raises(GenHubError) as caught:
            plan_parts((), facts, model, backend="_native_math")
        assert caught.value.code == "GH408"
        assert f"attention_backend '_native_math' has no effect on {type(model).__name__}" in str(
            caught.value
        )
        assert "remove model.attention_backend" in str(caught.value)
        return
    processors = list(model.attn_processors.values())
    with install(plan_parts((), facts, model, backend="_native_math"), model) as attached:
        assert {p._attention_backend.value for p in processors} == {"_native_math"}
        attached.verify()
        processors[0]._attention_backend = None
        with pytest.raises(GenHubError, match="not in effect on 1 attention modules"):
            attached.verify()
    assert all("_attention_backend" not in vars(p) for p in processors)
    assert _AttentionBackendRegistry.get_active_backend() == active


def test_gh408_does_not_count_the_sites_of_mixers(registries):
    class Single(drivers.Gain):
        default_where = drivers.Where(name="*single*")

    model = tiny.flux()
    parts = parts_from_blocks([Single(drivers.GainConfig())])
    plan = plan_parts(parts, facts_of(model), model, backend="native")

    install(plan, model).detach()


def test_gh408_names_the_first_module_that_a_backend_does_not_reach(registries):
    class Deaf:
        def __call__(self, attn, hidden_states, **kwargs):
            return hidden_states

    model = tiny.flux()
    model.single_transformer_blocks[0].attn.processor = Deaf()
    with pytest.raises(GenHubError) as caught:
        plan_parts((), facts_of(model), model, backend="native")
    assert str(caught.value).startswith(
        "error[GH408] attention_backend 'native' has no effect on 1 of 2 attention modules of "
        "FluxTransformer2DModel (first: transformer.single_transformer_blocks.0.attn)\n"
    )


def test_a_backend_that_was_set_before_comes_back(registries):
    model = tiny.flux()
    first, second = model.attn_processors.values()
    first._attention_backend = "flex"

    install(plan_parts((), facts_of(model), model, backend="native"), model).detach()

    assert first._attention_backend == "flex"
    assert "_attention_backend" not in vars(second)


@pytest.mark.parametrize(
    ("backend", "code", "text"),
    [
        ("nativ", "GH305", "did you mean 'native'?"),
        ("sage", "GH505", "attention_backend 'sage' cannot be used here: "),
    ],
)
def test_backends_that_cannot_be_had_are_named(backend, code, text, registries):
    model = tiny.flux()
    facts = facts_of(model)

    with pytest.raises(GenHubError) as caught:
        install(plan_parts((), facts, model, backend=backend), model)

    assert caught.value.code == code and text in str(caught.value)
    assert all("_attention_backend" not in vars(p) for p in model.attn_processors.values())
    assert model._forward_pre_hooks == {}


def kernel(registries, wanted=None, dtype=torch.float32):
    attached = attach(tiny.sd().to(dtype), kernels=wanted, registries=registries)
    return attached.context.kernel("double"), attached


def test_the_best_kernel_that_runs_here_is_taken(registries):
    chosen, attached = kernel(registries, dtype=torch.float64)

    assert isinstance(chosen, drivers.FastDouble)
    assert attached.stats()["kernels"]["double"] == {
        "impl": "fast",
        "reason": "highest priority (5)",
        "rejected": {"gpu": "there is no GPU"},
    }


def test_the_reference_is_the_last_resort(registries):
    chosen, attached = kernel(registries)

    assert isinstance(chosen, drivers.PlainDouble)
    choice = attached.context.kernels.choices["double"]
    assert choice.reason == "reference"
    assert choice.rejected == {"fast": "it serves only float64", "gpu": "there is no GPU"}


def test_the_config_overrides_and_auto_does_not(registries):
    chosen, attached = kernel(registries, {"double": "plain"}, torch.float64)
    assert isinstance(chosen, drivers.PlainDouble)
    assert attached.context.kernels.choices["double"].reason == "chosen by the config"
    assert isinstance(kernel(registries, {"double": "auto"}, torch.float64)[0], drivers.FastDouble)


def test_a_broken_kernel_does_not_take_the_reference_along(registries, toys):
    toys.install(
        "plg-broken",
        {"kernels": {"double.broken": "plg_broken:Kernel"}},
        {"plg_broken": "import a_module_nobody_has\n"},
    )
    kernels = Kernels({}, Registries().get("kernels"))
    with pytest.raises(GenHubError) as caught:
        kernels.choose("double")
    assert caught.value.code == "GH505"
    assert str(caught.value).startswith("error[GH505] no kernel of 'double' can run here: broken: ")
    assert "a_module_nobody_has" in str(caught.value)
    registries = Registries()
    registries.get("kernels").add("double.plain", drivers.PlainDouble)
    kernels = Kernels({}, registries.get("kernels"))
    assert isinstance(kernels.choose("double"), drivers.PlainDouble)
    assert set(kernels.choices["double"].rejected) == {"broken"}


def test_one_that_runs_alone_uses_one_rank(registries):
    assert own_world((), 3) == 1
    loop = parts_from_blocks((), LOOP, registries)
    assert (own_world(loop, None), own_world(loop, 3)) == (1, 3)


def test_a_kernel_that_nobody_asked_for_is_told(registries):
    attached = attach(tiny.sd(), kernels={"double": "plain"}, registries=registries)

    assert attached.stats()["kernels_unused"] == ["double"]


@pytest.mark.parametrize(
    ("wanted", "code", "text"),
    [
        ({"double": "gpu"}, "GH505", "kernel 'double.gpu' cannot run here: there is no GPU"),
        ({"double": "fast"}, "GH408", "would have no effect: it serves only float64"),
        ({"double": "faster"}, "GH201", "double.faster"),
        ({"triple": "plain"}, "GH201", "no installed package offers a kernel for 'triple'"),
    ],
)
def test_kernels_that_cannot_be_had_are_errors(wanted, code, text, registries):
    with pytest.raises(GenHubError) as caught:
        kernel(registries, wanted)
    assert caught.value.code == code and text in str(caught.value)


def test_draws_depend_on_seed_and_key_alone():
    context = attach(tiny.sd(), seed=1).context
    state = torch.random.get_rng_state()

    def draw(seed, *key):
        return torch.rand(4, generator=replace(context, seed=seed).generator(*key)).tolist()

    assert draw(1, "unet.attn1", 3) == draw(1, "unet.attn1", 3)
    others = [draw(2, "unet.attn1", 3), draw(1, "unet.attn1", 4), draw(1, "3"), draw(1, 3)]
    assert draw(1, "unet.attn1", 3) not in others
    assert len({tuple(x) for x in others}) == 4
    assert torch.equal(torch.random.get_rng_state(), state)


def test_one_rank_talks_to_itself():
    comm, x = SoloComm(), torch.arange(3.0)
    inbox = torch.zeros(3)

    comm.exchange({0: x}, {0: inbox}, tag=1).wait()
    gathered = comm.all_gather(x)

    assert torch.equal(inbox, x) and torch.equal(gathered[0], x) and gathered[0] is not x
    assert comm.all_reduce(x, "max").wait() is x and comm.broadcast(x, 0).wait() is x
    assert comm.agree(True) and not comm.agree(False)
    comm.same(plan="abc")
    assert set(comm.split(cfg=1, stage=1)) == {"cfg", "stage"}
    assert (comm.rank, comm.world, sum(comm.sent.values())) == (0, 1, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda comm, x: comm.exchange({1: x}, {}, tag=0),
        lambda comm, x: comm.exchange({0: x}, {}, tag=0),
        lambda comm, x: comm.broadcast(x, 1),
        lambda comm, x: comm.split(cfg=2),
    ],
)
def test_one_rank_has_no_peers(wrong):
    with pytest.raises(ValueError, match=r"rank"):
        wrong(SoloComm(), torch.zeros(1))
