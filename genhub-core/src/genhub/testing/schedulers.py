"""What holds for every parallel scheduler, tried with ranks as threads of this process."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from genhub.api import ANY, GenHubError, Request, Sample
from genhub.testing.guards import dice, reseed, watching
from genhub.testing.plugins import PluginTests, complain, one_line

__all__ = ["ParallelSchedulerTests"]

_MOST_RANKS = 4
_MOST_FAMILIES = 3  # that work; the rest is left out, as ranks cost time


class ParallelSchedulerTests(PluginTests):
    """Checks of a parallel scheduler.

    Generations have `steps` steps with guidance `guidance`. Where `exact` is set, ranks give what
    one process gives to `rounding`, relative to the largest value. `worlds` are the numbers of
    ranks to try; left out, they follow from `needs()`. A scheduler that needs more than a denoiser
    and a diffusers scheduler overrides `pipeline`, and `generation` with it.
    """

    kind: ClassVar[str] = "parallel_schedulers"
    exact: ClassVar[bool] = False
    rounding: ClassVar[float] = 1e-5
    worlds: ClassVar[Sequence[int]] = ()
    families: ClassVar[Sequence[str]] = (
        *("unet2d", "sd3", "motion", "audioldm2", "unet3d", "svd", "flux", "audioldm"),
        *("wan", "qwenimage"),
    )
    steps: ClassVar[int] = 3
    guidance: ClassVar[float] = 3.0

    @classmethod
    def pipeline(cls, family: str) -> Any:
        """Give a pipeline that nobody else holds."""
        from genhub.testing.families import pipeline

        return pipeline(family)

    @classmethod
    def call(cls) -> dict[str, Any]:
        """Give the arguments of the pipeline's call."""
        return {"seeds": (1,), "steps": cls.steps, "guidance": cls.guidance}

    @classmethod
    def generation(cls, pipeline: Any, installed: Any = None) -> Any:
        """Make one sample and give it as a tensor; None on a rank that has no output."""
        if installed is None or installed.generate is None:
            return pipeline(**cls.call())
        sink = _Sink()
        installed.generate(Request((Sample(0, 1),), cls.call()), sink)
        return sink.result()

    def test_installs_on_ranks(self) -> None:
        """Each config is in place on every rank, for one family at least."""
        for settings, config in self.valid():
            tried = self._tried(settings, config)
            for (family, world), error in tried.items():
                if error is not None and not isinstance(error, GenHubError):
                    complain(f"{family} on {world} ranks failed: {one_line(error)}")
                if isinstance(error, GenHubError) and error.code in ("GH606", "GH607", "GH411"):
                    complain(f"{family} on {world} ranks failed: {one_line(error)}")
            if all(tried.values()):
                reasons = {one_line(error) for error in tried.values() if error is not None}
                complain(f"config {settings} can be planned for no family: {'; '.join(reasons)}")

    def test_plans_are_equal_everywhere(self) -> None:
        """Every rank plans alike: a second plan has the same digest."""
        for settings, family, world in self._homes():
            one = self._planned(json.dumps(settings), family, world)
            other = self._plan(settings, family, world)
            if one.digest != other.digest or one.parallel.bytes() != other.parallel.bytes():
                complain(f"{family}: a second plan differs: plan() must not draw or remember")

    def test_plan_survives_pickling(self) -> None:
        """The plan is data: what is decided before anything is loaded."""
        for settings, family, world in self._homes():
            plan = self._planned(json.dumps(settings), family, world).parallel
            try:
                same = pickle.loads(pickle.dumps(plan)).timeline() == plan.timeline()
            except Exception as error:
                complain(f"{family}: the plan cannot be pickled: {one_line(error)}")
            if not same:
                complain(f"{family}: the plan comes back from pickle as another one")

    def test_plan_tells_who_computes_what(self) -> None:
        """A timeline to look at, bytes and speed-up as numbers, shards that make a whole."""
        for settings, family, world in self._homes():
            plan = self._planned(json.dumps(settings), family, world).parallel
            if not plan.timeline().strip():
                complain(f"{family}: timeline() is empty: draw ranks over time")
            if not isinstance(plan.bytes(self.steps), int) or plan.bytes(self.steps) < 0:
                complain(f"{family}: bytes() gave {plan.bytes(self.steps)!r}: a whole number >= 0")
            if not plan.speedup() > 0:
                complain(f"{family}: speedup() gave {plan.speedup()!r}: serial over parallel time")
            give = getattr(plan, "shard", lambda rank: None)
            for rank in range(world):
                shard = give(rank)
                if shard and not 0 <= shard.start < shard.stop <= shard.total:
                    complain(f"{family}: rank {rank} of {world} holds {shard}: an empty range")

    def test_output_ranks_have_the_output(self) -> None:
        """`output_ranks` are ranks of the run, and each of them has the whole sample."""
        for settings, family, world in self._homes():
            whole = tuple(self._serial(family).shape)
            for rank, made in enumerate(self._ranks(settings, family, world)):
                if rank in made.output and tuple(made.sample.shape) != whole:
                    complain(f"{family}: rank {rank} has {tuple(made.sample.shape)}, not {whole}")
                if not made.output or not set(made.output) <= set(range(world)):
                    complain(f"{family}: output_ranks {made.output} are not ranks of {world}")

    def test_bytes_are_those_of_the_plan(self) -> None:
        """What ranks send is what the plan said they would."""
        for settings, family, world in self._homes():
            plan = self._planned(json.dumps(settings), family, world).parallel
            said = plan.bytes(self.steps)
            sent = sum(made.sent for made in self._ranks(settings, family, world))
            if sent != said:
                complain(
                    f"{family}: {world} ranks sent {sent} bytes in {self.steps} steps, "
                    f"bytes({self.steps}) said {said}: count what exchange, all_gather, "
                    "all_reduce and broadcast send"
                )

    def test_one_rank_is_the_serial_pipeline(self) -> None:
        """On one rank nothing changes, where one rank is allowed."""
        homes = [home for home in self._homes() if home[2] == 1]
        if not homes:
            pytest.skip("needs() allows no single rank")
        for settings, family, world in homes:
            (made,) = self._ranks(settings, family, world)
            if not _gap(made.sample, self._serial(family)) <= self.rounding:
                complain(f"{family}: one rank gives other values than the pipeline alone")

    def test_ranks_give_what_one_process_gives(self) -> None:
        """Where the class or its tests say `exact = True`, ranks compute what one process does."""
        if not (self.exact or getattr(self.driver_class(), "exact", False)):
            pytest.skip("neither the scheduler nor its test class says exact = True")
        for settings, family, world in self._homes():
            serial = self._serial(family)
            for rank, made in enumerate(self._ranks(settings, family, world)):
                if rank in made.output and not _gap(made.sample, serial) <= self.rounding:
                    gap = _gap(made.sample, serial)
                    complain(
                        f"{family}: rank {rank} of {world} differs from one process by {gap:.1e}, "
                        f"above rounding = {self.rounding:.0e}"
                    )

    def test_second_generation_is_the_first(self) -> None:
        """A second generation starts from nothing."""
        for settings, family, world in self._homes():
            for made in self._ranks(settings, family, world):
                if made.again is not None and not made.again.equal(made.sample):
                    complain(f"{family}: a second generation from the same seed differs")

    def test_leaving_restores_the_pipeline(self) -> None:
        """Afterwards every object is the one from before, on every rank."""
        for settings, family, world in self._homes():
            for rank, made in enumerate(self._ranks(settings, family, world)):
                if made.changed:
                    complain(
                        f"{family}: on rank {rank} {made.changed} is not what it was: "
                        "leaving the context of install() must undo it"
                    )

    def test_global_dice_stay_put(self) -> None:
        """Generating leaves the shared random generators as they were."""
        for settings, family, world in self._homes():
            if moved := self._ranks(settings, family, world)[0].dice:
                complain(f"{family}: the global generator of {moved} was used")

    def test_network_and_files_are_left_alone(self) -> None:
        """Ranks talk through `ctx.comm` alone, and write to the sink alone."""
        for settings, family, world in self._homes():
            deeds = self._ranks(settings, family, world)[0].deeds
            if deeds.calls:
                complain(f"{family}: it asked the network for {deeds.calls[0]}: use ctx.comm")
            if deeds.writes:
                complain(f"{family}: {deeds.writes[0]} was written: write to the sink only")

    def use(self, config: Any) -> None:
        """Plan with it, too, where a valid config can be planned."""
        super().use(config)
        settings = config.model_dump(mode="json")
        for _, family, world in self._homes(told=False)[:1]:
            self._plan(settings, family, world)

    def _homes(self, told: bool = True) -> list[tuple[dict[str, Any], str, int]]:
        """Give each config with each family and number of ranks that it works for."""
        found = [
            (settings, *home)
            for settings, config in self.valid()
            for home, error in self._tried(settings, config).items()
            if error is None
        ]
        if told and not found:
            pytest.skip("it can be installed nowhere: see test_installs_on_ranks")
        return found

    def _tried(
        self, settings: dict[str, Any], config: Any
    ) -> dict[tuple[str, int], Exception | None]:
        needs = self.driver_class()(config).needs()
        low, high = needs.world
        usual = {max(1, low), min(high, max(2, low))}
        worlds = self.worlds or sorted(world for world in usual if world <= _MOST_RANKS)
        tried: dict[tuple[str, int], Exception | None] = {}
        for family in self.families:
            done = {home[0] for home, error in tried.items() if error is None}
            if len(done) < _MOST_FAMILIES and needs.families in (ANY, needs.families | {family}):
                tried |= {
                    (family, world): self._try(json.dumps(settings), family, world)
                    for world in worlds
                }
        return tried

    @classmethod
    @cache
    def _try(cls, settings: str, family: str, world: int) -> Exception | None:
        try:
            cls._run(settings, family, world)
        except Exception as error:
            return error
        return None

    @classmethod
    def _ranks(cls, settings: dict[str, Any], family: str, world: int) -> list[Any]:
        return cls._run(json.dumps(settings), family, world)

    @classmethod
    @cache
    def _serial(cls, family: str) -> Any:
        reseed()
        return cls.generation(cls.pipeline(family))

    @classmethod
    @cache
    def _facts(cls, family: str) -> Any:
        from genhub.plan.facts import facts_of

        return facts_of(cls.pipeline(family))

    @classmethod
    @cache
    def _planned(cls, settings: str, family: str, world: int) -> Any:
        return cls._plan(json.loads(settings), family, world)

    @classmethod
    def _plan(cls, settings: dict[str, Any], family: str, world: int, pipeline: Any = None) -> Any:
        from genhub.plan.parts import parts_from_blocks
        from genhub.plan.plan import plan_parts

        block = {"type": cls.entry().qualified, **settings}
        parts = parts_from_blocks([], block, cls.registries())
        pipeline = pipeline or cls.pipeline(family)
        return plan_parts(parts, cls._facts(family), pipeline, world=world)

    @classmethod
    @cache
    def _run(cls, settings: str, family: str, world: int) -> list[Any]:
        """Install on every rank, generate twice, leave: once for all checks that look at it."""
        from genhub.comm import SoloComm, ThreadComm, in_threads
        from genhub.comm.replica import replica

        cls._planned(settings, family, world)  # what cannot be planned is told before threads begin
        comms: list[Any] = [SoloComm()] if world == 1 else [*ThreadComm.group(world, timeout=60)]
        whole = cls.pipeline(family)
        pipelines = [replica(whole) for _ in comms]

        def rank(comm: Any) -> Any:
            return cls._on_rank(json.loads(settings), family, pipelines[comm.rank], comm)

        reseed()
        before = dice()
        with watching() as deeds:
            made = [rank(comms[0])] if world == 1 else in_threads(comms, rank)
        for one in sorted(made, key=lambda x: isinstance(x, GenHubError) and x.code == "GH607"):
            if isinstance(one, BaseException):
                raise one
        moved = [name for name, state in dice().items() if before.get(name, state) != state]
        made[0].dice, made[0].deeds = ", ".join(moved), deeds
        return made

    @classmethod
    def _on_rank(cls, settings: dict[str, Any], family: str, pipeline: Any, comm: Any) -> Any:
        from genhub.plan.attachment import install

        plan = cls._plan(settings, family, comm.world, pipeline)
        before = _objects(pipeline)
        with install(plan, pipeline, comm=comm, registries=cls.registries()) as attached:
            installed: Any = attached.installed
            sample = cls.generation(pipeline, installed)
            sent = sum(comm.sent.values())
            again = cls.generation(pipeline, installed)
            output = tuple(installed.output_ranks)
        after = _objects(pipeline)
        changed = [k for k in before | after if before.get(k) is not after.get(k)]
        return SimpleNamespace(
            sample=sample, again=again, sent=sent, output=output, changed=", ".join(changed[:3])
        )


class _Sink:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.chunks: list[Any] = []

    def write(self, chunk: Any, sample: int = 0) -> None:
        self.chunks.append(copy.copy(chunk))

    def close(self) -> tuple[()]:
        return ()

    def result(self) -> Any:
        return self.chunks[0] if self.chunks else None


def _objects(pipeline: Any) -> dict[str, Any]:
    """Name what must be as before: parts of the pipeline, modules, processors, forwards, hooks."""
    from genhub.plan.facts import denoisers_of

    found = {f"{type(pipeline).__name__}.{key}": value for key, value in vars(pipeline).items()}
    found.pop(f"{type(pipeline).__name__}.do_classifier_free_guidance", None)
    scheduler: Any = getattr(pipeline, "scheduler", SimpleNamespace())
    found["class of the scheduler"] = type(scheduler)
    found |= {f"scheduler.{k}": v for k, v in vars(scheduler).items() if callable(v)}
    for word, denoiser in denoisers_of(pipeline).items():
        for path, module in denoiser.named_modules():
            found[f"{word}.{path}"] = module
            held = {**module._forward_hooks, **module._forward_pre_hooks}
            found |= {f"hook {key} of {word}.{path}": hook for key, hook in held.items()}
            for key in ("processor", "forward"):
                found[f"{word}.{path}.{key}"] = vars(module).get(key)
    return found


def _gap(one: Any, other: Any) -> float:
    one, other = one.double(), other.double()
    return float((one - other).abs().max() / other.abs().max())
