"""What holds for every attention mixer, tried on tiny models of every family of denoisers."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from genhub.api import AttentionMixer, GenHubError, Site
from genhub.testing.guards import dice, reseed, watching
from genhub.testing.plugins import PluginTests, complain, one_line

if TYPE_CHECKING:
    from genhub.testing.families import TinyPipeline

__all__ = ["AttentionMixerTests"]

Settings = dict[str, Any]

# Families unlike each other come first: pictures, video, a transformer, sound.
_ORDER = (
    *("unet2d", "motion", "flux", "audioldm2", "unet3d", "svd", "sd3", "audioldm"),
    *("wan", "qwenimage"),
)


class AttentionMixerTests(PluginTests):
    """Checks of an attention mixer.

    Each of `configs` is attached to every family; what it does there is looked at closely on
    `most_families` of those that it serves, pictures first. `rounding` bounds the
    difference between a batch and its rows, relative to the largest value; `precision` bounds
    what bf16 may cost, as a multiple of what it costs the same model without the mixer.
    """

    kind: ClassVar[str] = "attention_mixers"
    rounding: ClassVar[float] = 1e-5
    precision: ClassVar[float] = 4.0
    most_families: ClassVar[int] = 3

    def test_accepts_answers_for_every_family(self) -> None:
        """`accepts` gives None or a reason for any site of any family, and never raises."""
        from genhub.testing.families import FAMILIES, facts, twin

        for settings, config in self.valid():
            driver = self.driver_class()(config)
            for family in FAMILIES:
                for site in facts(family).sites:
                    try:
                        answer = driver.accepts(site, twin(family).get_submodule(site.module_path))
                    except Exception as error:
                        complain(
                            f"accepts() raised {one_line(error)} for {site.path} of {family} "
                            f"({_shown(settings)}): give the reason why the site is not served"
                        )
                    if answer is not None and not (isinstance(answer, str) and answer.strip()):
                        complain(
                            f"accepts() gave {answer!r} for {site.path} of {family}: "
                            "give None for yes, or the reason why not as text"
                        )

    def test_attaches_to_a_model(self) -> None:
        """Each config attaches to at least one family, and refuses others in words."""
        for settings, _ in self.valid():
            tried = self._tried(settings)
            for family, error in tried.items():
                if error is not None and _is_fault(error):
                    complain(
                        f"attaching to {family} ({_shown(settings)}) failed: "
                        f"{one_line(error)}: refuse in accepts(), or raise GenHubError"
                    )
            if all(tried.values()) and not any(_in_accepts(e) for e in tried.values()):
                reasons = {one_line(error) for error in tried.values() if error is not None}
                complain(
                    f"{_shown(settings)} attaches to none of {', '.join(tried)}: "
                    f"{'; '.join(sorted(reasons))}: give configs that need no trained weights"
                )

    def test_detach_restores_the_pipeline(self) -> None:
        """After detach every object is the one from before, and outputs are equal bit by bit."""
        import torch

        for settings, family in self._homes():
            pipeline = _pipeline(family)
            before, objects = pipeline(), _objects(pipeline.denoiser)
            values = copy.deepcopy(pipeline.denoiser.state_dict())
            with self._attached(settings, family, pipeline):
                pipeline()
            for path, kept in _objects(pipeline.denoiser).items():
                if path not in objects or objects[path] is not kept:
                    complain(f"{family}: after detach {path} is another object than before")
            for name, tensor in pipeline.denoiser.state_dict().items():
                if not torch.equal(values[name], tensor):
                    complain(f"{family}: after detach {name} has other values than before")
            if not torch.equal(pipeline(), before):
                complain(
                    f"{family}: after detach the pipeline gives other values than before: "
                    "build() must leave `attn` unchanged, and prepare() must undo what it does"
                )

    def test_attachments_share_no_state(self) -> None:
        """Two attachments that take turns give what each gives alone."""
        import torch

        for settings, family in self._homes():
            alone = []
            for seed in (1, 2):
                with self._attached(settings, family) as pipeline:
                    alone.append(list(pipeline.stepwise((seed,), 3)))
            with (
                self._attached(settings, family) as one,
                self._attached(settings, family) as other,
            ):
                turns = zip(one.stepwise((1,), 3), other.stepwise((2,), 3), strict=True)
                both = list(zip(*turns, strict=True))
            for mine, together in zip(alone, both, strict=True):
                if not all(torch.equal(a, b) for a, b in zip(mine, together, strict=True)):
                    complain(
                        f"{family}: an attachment gives other values while another one runs: "
                        "keep state in what build() returns or in self, not in a module or class"
                    )

    def test_rows_of_a_batch_do_not_mix(self) -> None:
        """A batch of two gives what its samples give one by one."""
        import torch

        for settings, family in self._homes():
            sites = self._plan(settings, _pipeline(family), family).claims[0].sites
            made = []
            for seeds in ((1, 2), (1,), (2,)):
                with self._attached(settings, family) as pipeline:
                    made.append(_at_sites(pipeline, sites, seeds))
            rows = [torch.cat(pair) for pair in zip(*made[1:], strict=True)]
            for site, gap in zip(sites, _gaps(rows, made[0]), strict=True):
                if not gap <= self.rounding:
                    complain(
                        f"{family}: at {site.path} a batch differs from its rows by {gap:.1e}, "
                        f"above rounding = {self.rounding:.0e}: a sample must not see the others"
                    )

    def test_half_precision_stays_near_full(self) -> None:
        """bf16 costs about as much accuracy as it costs the model without the mixer."""
        import torch

        for settings, family in self._homes():
            pipelines = [_pipeline(family) for _ in range(2)]
            pipelines[1].denoiser.to(torch.bfloat16)
            sites = self._plan(settings, pipelines[0], family).claims[0].sites
            plain = [_at_sites(pipe, sites) for pipe in pipelines]
            mixed = []
            for pipe in pipelines:
                with self._attached(settings, family, pipe):
                    mixed.append(_at_sites(pipe, sites))
            for site, cost, usual in zip(sites, _gaps(*mixed), _gaps(*plain), strict=True):
                if not cost <= self.precision * usual + 0.01:
                    complain(
                        f"{family}: at {site.path} bf16 differs from fp32 by {cost:.1e}, "
                        f"{usual:.1e} without the mixer: compute sums and exponentials in float32"
                    )

    def test_reset_makes_generations_equal(self) -> None:
        """A second generation starts from nothing: `reset` forgets the first."""
        import torch

        for settings, family in self._homes():
            with self._attached(settings, family) as pipeline:
                first, second = pipeline(), pipeline()
            if not torch.equal(first, second):
                complain(
                    f"{family}: a second generation from the same seed differs: "
                    "forget in reset() whatever is kept between calls"
                )

    def test_global_dice_stay_put(self) -> None:
        """Attaching and generating leave the shared random generators as they were."""
        for settings, family in self._homes():
            before = dice()
            with self._attached(settings, family, seed_dice=False) as pipeline:
                pipeline()
            moved = [name for name, state in dice().items() if before.get(name, state) != state]
            if moved:
                complain(
                    f"{family}: the global generator of {', '.join(moved)} was used: "
                    "draw from ctx.generator(...)"
                )

    def test_network_is_left_alone(self, tmp_path: Path) -> None:
        """No address is looked up or connected to."""
        for settings, family in self._homes():
            with watching(tmp_path) as deeds:
                self._live(settings, family, tmp_path)
            if deeds.calls:
                complain(f"{family}: it asked the network for {deeds.calls[0]}: nothing may")

    def test_files_are_written_where_told(self, tmp_path: Path) -> None:
        """Nothing is written but what `save` writes, into the folder that it is given."""
        for settings, family in self._homes():
            with watching(tmp_path) as deeds:
                self._live(settings, family, tmp_path)
            if deeds.writes:
                complain(
                    f"{family}: {deeds.writes[0]} was written: "
                    "write in save(built, folder) only, and into that folder"
                )

    def test_attached_model_can_be_copied(self) -> None:
        """A deep copy of the denoiser runs, and the original does not notice."""
        import torch

        for settings, family in self._homes():
            with self._attached(settings, family) as pipeline:
                before = pipeline()
            with self._attached(settings, family) as pipeline:
                try:
                    type(pipeline)(copy.deepcopy(pipeline.denoiser))((2,), 1)
                except Exception as error:
                    complain(f"{family}: a deep copy cannot be made or run: {one_line(error)}")
                reseed()
                if not torch.equal(pipeline(), before):
                    complain(f"{family}: running a deep copy changes what the original gives")

    def test_plans_are_equal_everywhere(self) -> None:
        """Every rank plans alike: a second plan has the same digest, and its data pickle."""
        for settings, family in self._homes():
            one, other = (self._plan(settings, _pipeline(family), family) for _ in range(2))
            if one.digest != other.digest:
                complain(f"{family}: a second plan differs: accepts() must not remember or draw")
            taken = [(claim.label, claim.sites) for claim in one.claims]
            if pickle.loads(pickle.dumps(taken)) != taken:
                complain(f"{family}: the plan's sites come back from pickle as others")

    def test_report_names_its_sites(self) -> None:
        """`report` gives a row per site, with its path."""
        for settings, family in self._homes():
            pipeline = _pipeline(family)
            with self._attached(settings, family, pipeline, hand=True) as attached:
                (claim,) = attached.plan.claims
                rows = claim.part.driver.report(attached._built[claim.label])
                paths = [row.get("path") for row in rows]
            if set(paths) - {site.path for site in claim.sites} or len(set(paths)) < len(paths):
                complain(f"{family}: report() gives rows for {paths}: one per site, with its path")

    def test_decode_is_owned(self) -> None:
        """A mixer that defines `decode` owns `vae-decode` with one config at least."""
        if self.driver_class().decode is not AttentionMixer.decode and not any(
            "vae-decode" in self.driver_class()(config).needs().owns for _, config in self.valid()
        ):
            complain(
                "decode() is never called: needs() must own 'vae-decode' for it, and does so with "
                "none of the configs"
            )

    def use(self, config: Any) -> None:
        """Attach it, too, where a valid config attaches."""
        super().use(config)
        for _, family in self._homes(told=False)[:1]:
            with self._attached(config.model_dump(mode="json"), family):
                pass

    def _homes(self, told: bool = True) -> list[tuple[dict[str, Any], str]]:
        """Give each config with each family that it attaches to; skip where there is none."""
        found: list[tuple[Settings, str]] = []
        for settings, _ in self.valid():
            tried = self._tried(settings)
            served = [family for family in _ORDER if tried[family] is None]
            found += [(settings, family) for family in served[: self.most_families]]
        if told and not found:
            pytest.skip("it attaches to no model: see test_attaches_to_a_model")
        return found

    @classmethod
    def _tried(cls, settings: Settings) -> dict[str, Exception | None]:
        """Say how attaching to each family ended."""
        from genhub.testing.families import FAMILIES

        return {family: cls._try(json.dumps(settings), family) for family in FAMILIES}

    @classmethod
    @cache
    def _try(cls, settings: str, family: str) -> Exception | None:
        try:
            with cls._attached(json.loads(settings), family) as pipeline:
                pipeline(steps=1)
        except Exception as error:
            return error
        return None

    @classmethod
    def _plan(cls, settings: Settings, pipeline: TinyPipeline, family: str) -> Any:
        from genhub.plan.parts import parts_from_blocks
        from genhub.plan.plan import plan_parts
        from genhub.testing.families import facts

        block = {"type": cls.entry().qualified, **settings}
        parts = parts_from_blocks([block], None, cls.registries())
        return plan_parts(parts, facts(family), pipeline)

    @classmethod
    @contextmanager
    def _attached(
        cls,
        settings: Settings,
        family: str,
        pipeline: TinyPipeline | None = None,
        *,
        hand: bool = False,
        seed_dice: bool = True,
    ) -> Iterator[Any]:
        """Attach to a pipeline of the family and give the pipeline, or what attached it."""
        from genhub.plan.attachment import install

        pipeline = pipeline or _pipeline(family)
        if seed_dice:
            reseed()
        plan = cls._plan(settings, pipeline, family)
        with install(plan, pipeline, registries=cls.registries(), offline=True) as attached:
            yield attached if hand else pipeline

    def _live(self, settings: Settings, family: str, folder: Path) -> None:
        """Do all that a run does with a mixer: attach, generate, save, detach."""
        pipeline = _pipeline(family)
        with self._attached(settings, family, pipeline, hand=True) as attached:
            pipeline()
            attached.report()
            attached.save(folder)


def _pipeline(family: str) -> TinyPipeline:
    from genhub.testing.families import pipeline

    return pipeline(family)


def _objects(denoiser: Any) -> dict[str, Any]:
    """Name what a detach must put back: modules, processors, hooks, parameters, buffers."""
    found: dict[str, Any] = dict(denoiser.named_modules())
    for path, module in denoiser.named_modules():
        if hasattr(module, "processor"):
            plain = {k: v for k, v in vars(module).items() if not isinstance(v, dict)}
            found |= {f"{path}.{key}": value for key, value in plain.items()}
            found[f"{path}.processor"] = module.processor
        hooks = {**module._forward_hooks, **module._forward_pre_hooks}
        found |= {f"hook {key} of {path}": hook for key, hook in hooks.items()}
    found |= {name: tensor for name, tensor in denoiser.named_parameters()}
    return found | dict(denoiser.named_buffers())


def _at_sites(
    pipeline: TinyPipeline, sites: Sequence[Site], seeds: Sequence[int] = (1,)
) -> list[Any]:
    """Run one step and give what the modules at `sites` gave, in order of `sites`."""
    given: dict[str, Any] = {}
    with ExitStack() as stack:
        for site in sites:

            def keep(_: Any, __: Any, made: Any, path: str = site.path) -> None:
                given.setdefault(path, made[0] if isinstance(made, tuple) else made)

            module = pipeline.denoiser.get_submodule(site.module_path)
            stack.callback(module.register_forward_hook(keep).remove)
        pipeline(seeds, steps=1)
    return [given[site.path] for site in sites]


def _gaps(full: Sequence[Any], half: Sequence[Any]) -> list[float]:
    return [_gap(h, f) for f, h in zip(full, half, strict=True)]


def _gap(one: Any, other: Any) -> float:
    one, other = one.double(), other.double()
    return float((one - other).abs().max() / other.abs().max())


def _is_fault(error: BaseException) -> bool:
    fault = not isinstance(error, GenHubError) or error.code == "GH606"
    return fault and not _in_accepts(error)


def _in_accepts(error: BaseException | None) -> bool:
    return isinstance(error, GenHubError) and "accepts()" in error.problems[0].message


def _shown(settings: Settings) -> str:
    return f"config {dict(settings)}"
