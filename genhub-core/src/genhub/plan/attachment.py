"""Put drivers on a pipeline in a fixed order, verify that they hold, and take them off exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from genhub.api import (
    AttentionMixer,
    Built,
    Communicator,
    Cost,
    GenHubError,
    Installed,
    Problem,
    Site,
)
from genhub.comm import SoloComm
from genhub.plan.backend import set_backend, unset_sites
from genhub.plan.clock import Clock, StepListener, Ticker
from genhub.plan.context import Context
from genhub.plan.cost import costs_of
from genhub.plan.facts import denoisers_of, facts_of
from genhub.plan.kernels import Kernels
from genhub.plan.observe import core_of
from genhub.plan.parts import Part, calling, parts_from_blocks
from genhub.plan.plan import Plan, facts_lines, plan_parts
from genhub.plan.swap import check_replaceable, is_processor, place, put
from genhub.plan.table import sites_table, skipped_lines
from genhub.registry import Registries, default

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["Attached", "attach", "install"]

Entered = TypeVar("Entered")


class Attached:
    """A pipeline with drivers in place; leaving the `with` block detaches them."""

    def __init__(
        self,
        plan: Plan,
        context: Context,
        built: Mapping[str, Built],
        originals: Mapping[str, Module],
        installed: Installed | None,
        ticker: Ticker,
        undo: ExitStack,
    ) -> None:
        self.plan = plan
        self.context = context
        self.pipeline = context.pipeline
        self.installed = installed
        self._built = built
        self._originals = originals  # what stood at the sites, by path
        self._ticker = ticker
        self._undo: ExitStack | None = undo
        self._told: list[str] = []

    @property
    def decoder(self) -> AttentionMixer | None:
        """Give the mixer that makes media of latents in place of the pipeline, if there is one."""
        mixers = (claim.part.driver for claim in self.plan.claims)
        owners = (mixer for mixer in mixers if "vae-decode" in mixer.needs().owns)
        able = (mixer for mixer in owners if _defines(mixer, "decode"))
        return next((mixer for mixer in able if mixer.decodes(self.context)), None)

    def report(self) -> str:
        """Give a table of sites and what holds each, with everything that was skipped and why."""
        rows = {}
        for claim in self.plan.claims:
            for row in claim.part.driver.report(self._built[claim.label]):
                rows[row["path"]] = {k: v for k, v in row.items() if k != "path"}
        lines = [
            *facts_lines(self.plan.facts),
            "",
            *sites_table(self.plan.facts.sites, self._holders(), rows),
            "",
            *skipped_lines(self.plan.claims),
        ]
        lines += self.notes()
        if self.plan.scheduler is not None:
            lines.append(f"{self.plan.scheduler.label}: {self.plan.world} ranks")
        return "\n".join(lines).rstrip()

    def notes(self) -> list[str]:
        """Give what mixers note, and what `tell` was told."""
        parts = [claim.part for claim in self.plan.claims]
        made = [f"{part.label}: {note}" for part in parts for note in part.driver.notes()]
        return [*made, *self._told]

    def tell(self, text: str) -> None:
        """Add a note, which a run puts into its manifest and its report."""
        self._told.append(text)

    def enter(self, manager: AbstractContextManager[Entered]) -> Entered:
        """Enter a context that ends when this is detached; RuntimeError where it already is."""
        if self._undo is None:
            raise RuntimeError("these drivers are detached already")
        return self._undo.enter_context(manager)

    def detach(self) -> None:
        """Restore the pipeline exactly: identical objects, bit-identical outputs.

        A second call does nothing. Raises GH411 while a later attachment sits on the same
        pipeline: what it restores would be these drivers.
        """
        if self._undo is None:
            return
        if not self._ticker.innermost:
            raise GenHubError(
                "GH411",
                "a later attachment sits on the same pipeline",
                hint="detach the attachments in reverse order",
            )
        undo, self._undo = self._undo, None
        undo.close()

    def verify(self) -> None:
        """Raise GH411 unless everything that was installed is still in place."""
        problems = [
            Problem(
                "GH411",
                f"'{claim.label}' does not hold {site.path}: "
                f"{type(self._holder(site)).__name__} is there instead",
                hint="something replaced it after it was attached",
                mark=claim.part.mark,
            )
            for claim in self.plan.claims
            for site, built in self._built[claim.label].items()
            if self._holder(site) is not built
        ]
        if not self._ticker.in_place:
            problems.append(Problem("GH411", "the clock's hooks are gone from the denoiser"))
        if self.plan.backend is not None:
            problems += self._verify_backend(self.plan.backend)
        if self.plan.scheduler is not None:
            problems += _verify_installed(self.plan.scheduler, self.installed, self.plan.world)
        if problems:
            raise GenHubError.several(problems)

    def save(self, folder: str | Path) -> None:
        """Write the weights that mixers own: into `folder`, or into one inside it for each."""
        for claim in self.plan.claims:
            own = Path(folder) if len(self.plan.claims) == 1 else Path(folder) / claim.label
            own.mkdir(parents=True, exist_ok=True)
            claim.part.driver.save(self._built[claim.label], own)

    def stats(self) -> dict[str, Any]:
        """Give sites per mixer, kernels with reasons, and bytes sent per kind of operation.

        `parallel` is what the scheduler tells of itself, where its `install` gave a `stats()`.
        """
        kernels = self.context.kernels
        told = getattr(self.installed, "stats", None)
        return {
            "sites": {claim.label: len(claim.sites) for claim in self.plan.claims},
            "kernels": {
                op: {"impl": one.impl, "reason": one.reason, "rejected": dict(one.rejected)}
                for op, one in kernels.choices.items()
            },
            "kernels_unused": list(kernels.unused),
            "sent": dict(self.context.comm.sent),
            **({} if told is None else {"parallel": told()}),
        }

    def costs(self) -> dict[str, Cost | None]:
        """Give parameters and multiply-adds of every site in one denoiser call for one sample."""
        return costs_of(self.plan.facts, self._originals, self.plan.claims, self._built)

    def costs_before(self) -> dict[str, Cost | None]:
        """Give what the sites cost without the mixers."""
        return costs_of(self.plan.facts, self._originals)

    def driver(self, name: str) -> Any:
        """Give the attached driver of that entry name; KeyError names those there are."""
        known = {part.label: part.driver for part in self.plan.parts}
        for part in self.plan.parts:
            known.setdefault(part.name, part.driver)
        if name not in known:
            raise KeyError(
                f"no driver '{name}' is attached; attached: {', '.join(known) or 'none'}"
            )
        return known[name]

    @contextmanager
    def listening(self, listener: StepListener) -> Iterator[None]:
        """Call `listener` with a StepEnd after every denoising step inside the block."""
        listeners = self.context.clock.listeners
        listeners.append(listener)
        try:
            yield
        finally:
            listeners.remove(listener)

    def __enter__(self) -> Attached:
        return self

    def __exit__(self, *exc: object) -> None:
        self.detach()

    def _holder(self, site: Site) -> Any:
        """Give what sits at a site now: the module there, or its processor."""
        module = core_of(self.context.denoisers[site.component]).get_submodule(site.module_path)
        for built in self._built.values():
            if site in built and not is_processor(built[site]):
                return module
        return getattr(module, "processor", module)

    def _holders(self) -> dict[str, str]:
        takers = {s.path: claim.label for claim in self.plan.claims for s in claim.sites}
        return {
            site.path: takers.get(site.path) or type(self._holder(site)).__name__
            for site in self.plan.facts.sites
        }

    def _verify_backend(self, backend: str) -> list[Problem]:
        claimed = {site.path for built in self._built.values() for site in built}
        deaf = unset_sites(backend, self.context.denoisers, claimed)
        if not deaf:
            return []
        said = f"attention_backend '{backend}' is not in effect on {len(deaf)} attention modules"
        return [Problem("GH411", f"{said} (first: {deaf[0]})")]


def attach(
    pipeline: Any,
    attention: Sequence[Any] = (),
    parallel: Any = None,
    *,
    seed: int = 0,
    kernels: Mapping[str, str] | None = None,
    height: int | None = None,
    width: int | None = None,
    frames: int | None = None,
    seconds: float | None = None,
    modality: str = "auto",
    comm: Communicator | None = None,
    registries: Registries | None = None,
    offline: bool = False,
) -> Attached:
    """Attach drivers to a pipeline, or to a bare denoiser, at once.

    `attention` and `parallel` take blocks as in a YAML file, or driver objects. Sizes are what
    `where: {tokens: ...}` and the report refer to; left out, they are the pipeline's own.

        with genhub.attach(pipe, attention=[{"type": "linfusion"}]) as attached:
            print(attached.report())
            image = pipe(prompt).images[0]

    Raises GenHubError; the pipeline is then as it was.
    """
    parts = parts_from_blocks(attention, parallel, registries)
    facts = facts_of(
        pipeline, height=height, width=width, frames=frames, seconds=seconds, modality=modality
    )
    world = 1 if comm is None else comm.world
    plan = plan_parts(parts, facts, pipeline, world=world)
    return install(
        plan,
        pipeline,
        comm=comm,
        seed=seed,
        kernels=kernels,
        registries=registries,
        offline=offline,
    )


def install(
    plan: Plan,
    pipeline: Any,
    *,
    comm: Communicator | None = None,
    seed: int = 0,
    kernels: Mapping[str, str] | None = None,
    registries: Registries | None = None,
    offline: bool = False,
) -> Attached:
    """Carry a plan out on this rank: mixers, attention backend, parallelism, then verification.

    Whatever is raised on the way, the pipeline is left as it was. What a driver raises becomes
    GH606 with the cause chained; GenHubErrors pass.
    """
    denoisers = denoisers_of(pipeline)
    comm = comm or SoloComm(next(next(iter(denoisers.values())).parameters()).device)
    chooser = Kernels(kernels or {}, (registries or default()).get("kernels"))
    shard = plan.shard(comm.rank)
    context = Context(pipeline, denoisers, plan.facts, comm, Clock(), shard, seed, chooser, offline)
    with ExitStack() as stack:
        ticker = _start_clock(plan, context, stack)
        originals = {site.path: core_of(denoisers[site.component]).get_submodule(site.module_path)
                     for site in plan.facts.sites}  # fmt: skip
        built = {claim.label: _build(claim.part, claim.sites, context, stack)
                 for claim in plan.claims}  # fmt: skip
        for sites in built.values():
            for site, thing in sites.items():
                stack.callback(put(site, core_of(denoisers[site.component]), thing))
        if plan.backend is not None:
            stack.callback(set_backend(plan.backend, denoisers))
        installed = None
        if plan.scheduler is not None:
            with calling(plan.scheduler, "install"):
                manager = plan.scheduler.driver.install(context, plan.parallel)
                installed = stack.enter_context(manager)
        attached = Attached(plan, context, built, originals, installed, ticker, ExitStack())
        attached.verify()
        attached._undo = stack.pop_all()
        ticker.owner = attached
    return attached


def _start_clock(plan: Plan, context: Context, stack: ExitStack) -> Ticker:
    """Drive the clock, and with it what mixers do before each call and each generation."""
    mixers = [claim.part.driver for claim in plan.claims]
    before = [partial(m.before_call, context) for m in mixers if _defines(m, "before_call")]
    resets = [m.reset for m in mixers if _defines(m, "reset")]
    ticker = Ticker(context.clock, context.pipeline, context.denoisers, _all(before), _all(resets))
    stack.callback(ticker.stop)
    ticker.start()
    return ticker


def _build(
    part: Part, sites: Sequence[Site], context: Context, stack: ExitStack
) -> dict[Site, Any]:
    """Let one mixer prepare the pipeline, build what goes to its sites, and load its weights."""
    with calling(part, "prepare"):
        stack.enter_context(part.driver.prepare(context))
    built = {}
    for site in sites:
        core = core_of(context.denoisers[site.component])
        attn = core.get_submodule(site.module_path)
        with calling(part, "build"):
            thing = part.driver.build(site, attn, context)
        if not is_processor(thing):
            check_replaceable(part, site, core, thing)
        built[site] = place(thing, attn, core)
    with calling(part, "load"):
        part.driver.load(built, context)
    return built


def _verify_installed(scheduler: Part, installed: Installed | None, world: int) -> list[Problem]:
    ranks = getattr(installed, "output_ranks", ())
    generate = getattr(installed, "generate", None)
    sound = bool(ranks) and all(0 <= rank < world for rank in ranks)
    if sound and (generate is None or callable(generate)):
        return []
    return [
        Problem(
            "GH411",
            f"'{scheduler.label}' is not in place: it says that the output is on ranks "
            f"{tuple(ranks)} of {world}",
            mark=scheduler.mark,
        )
    ]


def _defines(driver: Any, method: str) -> bool:
    """Say whether a mixer overrides a method; those that do not cost nothing per call."""
    return getattr(type(driver), method) is not getattr(AttentionMixer, method)


def _all(calls: Sequence[Callable[[], None]]) -> Callable[[], None]:
    def run() -> None:
        for call in calls:
            call()

    return run
