from __future__ import annotations

import copy
import gc
from contextlib import contextmanager
from types import SimpleNamespace

import drivers
import pytest
import tiny
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler

from genhub.api import Attached, Context, GenHubError, Request, Sample, Where
from genhub.plan import attach

FIRST = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"


def state_of(pipeline):
    """Everything that detach must put back: modules, processors, hooks, classes, attributes."""
    modules = dict(pipeline.unet.named_modules())
    return {
        "modules": {path: id(module) for path, module in modules.items()},
        "order": list(modules),
        "processors": {path: id(p) for path, p in pipeline.unet.attn_processors.items()},
        "hooks": {path: len(m._forward_pre_hooks) for path, m in modules.items()},
        "attributes": {path: sorted(vars(m)) for path, m in modules.items()},
        "scheduler": (id(pipeline.scheduler), type(pipeline.scheduler)),
        "scheduler attributes": sorted(vars(pipeline.scheduler)),
        "weights": list(pipeline.unet.state_dict()),
    }


@pytest.mark.parametrize("kind", ["gain", "mean", "watch"])
def test_detach_restores_identical_objects_and_outputs(kind, registries):
    pipeline = tiny.stable_diffusion()
    plain = tiny.latents(pipeline)
    before = state_of(pipeline)

    attached = attach(pipeline, attention=[{"type": kind}], registries=registries)
    changed = tiny.latents(pipeline)
    attached.detach()

    assert (kind == "watch") == torch.equal(changed, plain)
    assert state_of(pipeline) == before
    assert torch.equal(tiny.latents(pipeline), plain)


def test_all_parts_together_come_off_again(registries):
    pipeline = tiny.stable_diffusion()
    plain = tiny.latents(pipeline)
    before = state_of(pipeline)

    blocks = [
        {"type": "mean", "where": {"kind": "self", "stage": "up"}},
        {"type": "gain", "where": {"kind": "cross"}, "gain": 1.5},
        {"type": "watch"},
    ]
    with attach(pipeline, blocks, {"type": "own-loop"}, registries=registries) as attached:
        assert attached.driver("watch").prepared == 1
        assert attached.driver("own-loop").installed
        assert not torch.equal(tiny.latents(pipeline), plain)

    assert state_of(pipeline) == before
    assert attached.driver("watch").prepared == 0
    assert not attached.driver("own-loop").installed
    assert torch.equal(tiny.latents(pipeline), plain)


def test_a_bare_denoiser_can_be_attached_to(registries):
    unet = tiny.sd()
    call = (torch.ones(1, 4, 8, 8), torch.tensor(3), torch.ones(1, 6, 12))
    with torch.no_grad():
        plain = unet(*call).sample
        with attach(unet, [{"type": "gain"}], registries=registries) as attached:
            assert not torch.equal(unet(*call).sample, plain)
            assert attached.context.pipeline is unet
        assert torch.equal(unet(*call).sample, plain)


def test_what_is_attached_stays_while_nobody_keeps_its_handle():
    left = []

    class Preparing(drivers.Gain):
        @contextmanager
        def prepare(self, ctx):
            try:
                yield
            finally:
                left.append(ctx)

    unet = tiny.sd()
    attach(unet, [Preparing()])
    gc.collect()
    assert left == []
    assert isinstance(unet.get_submodule(FIRST).processor, drivers.GainProcessor)


def test_driver_objects_are_taken_as_they_are():
    mixer = drivers.Gain(drivers.GainConfig(gain=3.0))

    with attach(tiny.sd(), [mixer]) as attached:
        assert attached.driver("gain") is mixer
        assert attached.plan.claims[0].part.where is None


def test_two_blocks_of_one_type_are_told_apart(registries):
    blocks = [
        {"type": "gain", "gain": gain, "where": {"kind": "self", "stage": stage}}
        for gain, stage in ((2.0, "down"), (3.0, "up"))
    ]

    with attach(tiny.sd(), blocks, registries=registries) as attached:
        assert attached.driver("gain[1]").config.gain == 3.0
        assert attached.driver("gain") is attached.driver("gain[0]")
        with pytest.raises(KeyError, match=r"attached: gain\[0\], gain\[1\]"):
            attached.driver("mean")


def test_detaching_twice_does_nothing(registries):
    pipeline = tiny.stable_diffusion()
    attached = attach(pipeline, [{"type": "gain"}], registries=registries)
    attached.detach()
    again = attach(pipeline, [{"type": "gain"}], registries=registries)

    attached.detach()

    again.verify()


def test_detaching_under_a_later_attachment_is_refused_and_harmless(registries):
    pipeline = tiny.stable_diffusion()
    plain = tiny.latents(pipeline)
    lower = attach(pipeline, [{"type": "gain"}], registries=registries)
    upper = attach(pipeline, [{"type": "mean"}], registries=registries)
    both = tiny.latents(pipeline)

    with pytest.raises(GenHubError, match="detach the attachments in reverse order") as caught:
        lower.detach()

    assert caught.value.code == "GH411"
    assert torch.equal(tiny.latents(pipeline), both)
    upper.detach()
    lower.verify()
    lower.detach()
    assert torch.equal(tiny.latents(pipeline), plain)
    assert type(pipeline.scheduler) is DDIMScheduler


@pytest.mark.parametrize("method", ["prepare", "build", "load", "accepts"])
@pytest.mark.parametrize("error", [RuntimeError("disk on fire"), KeyboardInterrupt()])
def test_an_exception_on_the_way_leaves_the_pipeline_as_it_was(method, error, registries):
    pipeline = tiny.stable_diffusion()
    tiny.latents(pipeline)
    before = state_of(pipeline)

    class Failing(drivers.Gain):
        default_where = Where(kind="cross")
        seen = 0

    def fail(self, *args):
        type(self).seen += 1
        if method != "build" or type(self).seen == 3:
            raise error
        return drivers.GainProcessor(1.0)

    setattr(Failing, method, fail)
    failing = Failing(drivers.GainConfig())
    blocks = [{"type": "mean", "where": {"stage": "down", "kind": "self"}}, failing]
    expected = GenHubError if isinstance(error, RuntimeError) else KeyboardInterrupt

    with pytest.raises(expected) as caught:
        attach(pipeline, blocks, registries=registries)

    assert state_of(pipeline) == before
    if expected is GenHubError:
        assert caught.value.code == "GH606"
        assert f"'failing' failed in {method}(): RuntimeError: disk on fire" in str(caught.value)
        assert caught.value.__cause__ is error


def test_a_scheduler_that_fails_to_install_takes_the_mixers_along(registries):
    pipeline = tiny.stable_diffusion()
    tiny.latents(pipeline)
    before = state_of(pipeline)

    with pytest.raises(GenHubError, match="'own-loop' is not in place") as caught:
        attach(
            pipeline,
            [{"type": "mean"}, {"type": "gain", "where": {"kind": "cross"}}],
            {"type": "own-loop", "lost": True},
            registries=registries,
        )

    assert caught.value.code == "GH411"
    assert state_of(pipeline) == before


def test_what_is_neither_processor_nor_module_is_refused(registries):
    class Wrong(drivers.Gain):
        def build(self, site, attn, ctx):
            return 7

    with pytest.raises(GenHubError, match="neither a module nor an attention processor"):
        attach(tiny.sd(), [Wrong(drivers.GainConfig())])


def test_a_site_that_lost_its_driver_fails_verification(registries):
    pipeline = tiny.stable_diffusion()
    attached = attach(pipeline, [{"type": "gain"}], registries=registries)
    attached.verify()

    pipeline.enable_attention_slicing()

    with pytest.raises(GenHubError, match=f"'gain' does not hold unet.{FIRST}: Sliced") as caught:
        attached.verify()
    assert {problem.code for problem in caught.value.problems} == {"GH411"}
    assert len(caught.value.problems) == 4
    attached.detach()


def test_lost_clock_hooks_fail_verification(registries):
    unet = tiny.sd()
    attached = attach(unet, [{"type": "gain"}], registries=registries)
    unet._forward_pre_hooks.clear()

    with pytest.raises(GenHubError, match="the clock's hooks are gone"):
        attached.verify()
    attached.detach()
    assert not any(isinstance(p, drivers.GainProcessor) for p in unet.attn_processors.values())


@pytest.mark.parametrize("kind", ["gain", "mean"])
def test_the_pipeline_can_be_moved_while_attached(kind, registries):
    pipeline = tiny.stable_diffusion()
    attached = attach(pipeline, [{"type": kind}], registries=registries)

    pipeline.to(torch.float64)
    moved = tiny.latents_of(pipeline, torch.float64)
    attached.detach()

    assert torch.isfinite(moved).all() and moved.dtype == torch.float64
    assert {p.dtype for p in pipeline.unet.parameters()} == {torch.float64}
    assert torch.isfinite(tiny.latents_of(pipeline, torch.float64)).all()


def test_modules_are_built_in_the_dtype_and_mode_of_what_they_replace(registries):
    unet = tiny.sd().to(torch.float64).train()

    with attach(unet, [{"type": "mean"}], registries=registries):
        module = unet.get_submodule(FIRST)
        assert isinstance(module, drivers.Averaging)
        assert module.out.weight.dtype == torch.float64 and module.training


def test_a_replacing_mixer_refuses_modules_with_offloading_hooks(registries):
    from accelerate.hooks import ModelHook, add_hook_to_module

    pipeline = tiny.stable_diffusion()
    add_hook_to_module(pipeline.unet.down_blocks[0], ModelHook())

    with pytest.raises(GenHubError, match="attach the mixer before enabling") as caught:
        attach(pipeline, [{"type": "mean"}], registries=registries)
    assert caught.value.code == "GH403" and "_hf_hook" in str(caught.value)
    assert f"'mean' replaces unet.{FIRST}" in str(caught.value)

    attach(pipeline, [{"type": "gain"}], registries=registries).detach()


def test_a_replacing_mixer_lives_with_hooks_on_the_whole_denoiser(registries):
    from accelerate.hooks import ModelHook, add_hook_to_module

    pipeline = tiny.stable_diffusion()
    add_hook_to_module(pipeline.unet, ModelHook())

    with attach(pipeline, [{"type": "mean"}], registries=registries) as attached:
        tiny.latents(pipeline)
        assert attached.context.clock.step == 2


def test_lora_that_was_loaded_before_stays(registries):
    from peft import LoraConfig

    pipeline = tiny.stable_diffusion()
    pipeline.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k"]))
    before = list(pipeline.unet.state_dict())

    with attach(pipeline, [{"type": "gain"}], registries=registries) as attached:
        assert len(attached.plan.claims[0].sites) == 4
        tiny.latents(pipeline)

    assert list(pipeline.unet.state_dict()) == before


def test_a_copied_denoiser_is_an_ordinary_one(registries):
    pipeline = tiny.stable_diffusion()
    attached = attach(pipeline, [{"type": "gain"}], registries=registries)
    twin = copy.deepcopy(pipeline.unet)
    calls = attached.context.clock.call

    with torch.no_grad():
        twin(torch.ones(1, 4, 8, 8), torch.tensor(3), torch.ones(1, 6, 12))

    assert attached.context.clock.call == calls
    attached.detach()
    assert type(twin.get_submodule(FIRST).processor) is drivers.GainProcessor


def test_a_processor_with_weights_of_its_own_comes_and_goes(registries):
    class Learned(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.tensor(0.5))
            self.softmax = drivers.AttnProcessor2_0()

        def forward(self, attn, hidden_states, *args, **kwargs):
            return self.gain * self.softmax(attn, hidden_states, *args, **kwargs)

    class Learning(drivers.Gain):
        def build(self, site, attn, ctx):
            return Learned()

        def report(self, built):
            return []

    pipeline = tiny.stable_diffusion()
    tiny.latents(pipeline)
    before = state_of(pipeline)

    with attach(pipeline, [Learning(drivers.GainConfig())]):
        assert f"{FIRST}.processor.gain" in pipeline.unet.state_dict()

    assert state_of(pipeline) == before


def test_a_processor_with_weights_is_itself_restored(registries):
    pipeline = tiny.stable_diffusion()

    class Weighted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(()))

        def forward(self, attn, hidden_states, *args, **kwargs):
            return hidden_states * self.gain

    own = Weighted()
    pipeline.unet.get_submodule(FIRST).set_processor(own)
    keys = list(pipeline.unet.state_dict())

    with attach(pipeline, [{"type": "gain"}], registries=registries):
        assert f"{FIRST}.processor.gain" not in pipeline.unet.state_dict()

    assert pipeline.unet.get_submodule(FIRST).processor is own
    assert list(pipeline.unet.state_dict()) == keys


def test_a_scheduler_driver_can_bring_its_own_loop(registries):
    pipeline = tiny.stable_diffusion()
    written = []
    sink = SimpleNamespace(write=lambda chunk, sample: written.append((chunk, sample)))
    request = Request((Sample(0, 1), Sample(1, 2)), {"num_inference_steps": 3})

    with attach(
        pipeline, [{"type": "watch"}], {"type": "own-loop"}, registries=registries
    ) as attached:
        attached.installed.generate(request, sink)

    assert [sample for _, sample in written] == [0, 1]
    assert [call[:3] for call in attached.driver("watch").calls] == [
        (0, 3, 0),
        (1, 3, 0),
        (2, 3, 0),
    ]


def test_the_report_names_every_site_and_what_holds_it(registries):
    blocks = [
        {"type": "mean", "where": {"kind": "self", "level": 0}},
        {"type": "gain"},
    ]
    blocks[1]["where"] = {"kind": "self", "level": {"min": 1}}

    with attach(tiny.stable_diffusion(), blocks, registries=registries) as attached:
        report = attached.report()

    lines = report.splitlines()
    assert lines[0] == ("unet2d (image), latent BCHW 1x4x8x8, 8 attention sites, probed by meta")
    assert lines[2].split() == [
        "#", "site", "attends", "level", "tokens", "width", "heads", "held", "by", "gain",
    ]  # fmt: skip
    table = lines[3:11]
    assert table[0].split() == [
        "0",
        f"unet.{FIRST}",
        "self",
        "spatial",
        "0",
        "64",
        "8",
        "2",
        "mean",
    ]
    assert table[1].split()[4:] == ["0", "64", "x", "77", "8", "2", "AttnProcessor2_0"]
    assert table[2].split()[-2:] == ["gain", "2.0"]
    assert len({line.index("self") for line in table if " self " in line}) == 1
    assert (
        lines[12]
        == "mean: 3 sites; skipped: 4 filtered by where.kind=self, 1 filtered by where.level=0"
    )
    assert lines[13].startswith("gain: 1 sites; skipped: 4 filtered by where.kind=self, 3 filtered")


def test_weights_are_saved_by_their_mixer(registries, tmp_path):
    pipeline = tiny.stable_diffusion()
    with attach(pipeline, [{"type": "mean"}], registries=registries) as attached:
        attached.save(tmp_path / "one")
        weights = attached.driver("mean").loaded
    blocks = [{"type": "mean"}, {"type": "gain", "where": {"kind": "cross"}}]
    with attach(pipeline, blocks, registries=registries) as attached:
        attached.save(tmp_path / "two")

    assert len(torch.load(tmp_path / "one" / "mean.pt", weights_only=True)) == weights == 4
    assert (tmp_path / "two" / "mean" / "mean.pt").exists()
    assert list((tmp_path / "two" / "gain").iterdir()) == []


def test_stats_count_sites_and_bytes(registries):
    with attach(tiny.sd(), [{"type": "gain"}], registries=registries) as attached:
        assert attached.stats() == {
            "sites": {"gain": 4},
            "kernels": {},
            "kernels_unused": [],
            "sent": {},
        }


def test_the_contracts_are_kept(registries):
    with attach(tiny.sd(), [{"type": "gain"}], registries=registries) as attached:
        for contract, thing in ((Attached, attached), (Context, attached.context)):
            wanted = {name for name in vars(contract) if not name.startswith("_")}
            assert all(hasattr(thing, name) for name in wanted | set(contract.__annotations__))


def test_a_scheduler_swapped_in_later_moves_the_clock_too(registries):
    pipeline = tiny.stable_diffusion()
    first = pipeline.scheduler
    with attach(pipeline, [{"type": "watch"}], registries=registries) as attached:
        pipeline.scheduler = EulerDiscreteScheduler()
        tiny.latents(pipeline, steps=2)
        assert type(first) is DDIMScheduler
        assert [call[:2] for call in attached.driver("watch").calls] == [(0, 2), (1, 2)]

    assert type(pipeline.scheduler) is EulerDiscreteScheduler


def test_a_scheduler_swapped_in_under_two_attachments_is_given_back_by_both(registries):
    pipeline = tiny.stable_diffusion()
    first = pipeline.scheduler
    block = {"type": "watch"}
    with attach(pipeline, [block], registries=registries) as lower:
        with attach(pipeline, [block | {"where": {"kind": "cross"}}], registries=registries) as up:
            pipeline.scheduler = EulerDiscreteScheduler()
            tiny.latents(pipeline, steps=2)
            assert lower.driver("watch").calls == up.driver("watch").calls != []
        assert type(first) is DDIMScheduler
        tiny.latents(pipeline, steps=2)
        assert len(lower.driver("watch").calls) == 4 and len(up.driver("watch").calls) == 2

    assert type(pipeline.scheduler) is EulerDiscreteScheduler
