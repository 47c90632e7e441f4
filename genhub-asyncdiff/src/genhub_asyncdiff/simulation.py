"""Try schedules on one device: the pictures that ranks would make, with nothing to buy first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any

from genhub.api import Context, Facts, Needs, Registries
from genhub_asyncdiff.plugin import AsyncDiff

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["VIRTUAL", "VirtualAsyncDiff", "registries", "simulate"]

VIRTUAL = "asyncdiff-virtual"  # the name under which a simulation selects the driver below


class VirtualAsyncDiff(AsyncDiff):
    """Compute all devices of a schedule one after the other: same bits, no speed."""

    summary = "asyncdiff on virtual devices of one rank"

    def needs(self) -> Needs:
        """Need one rank, whatever the schedule."""
        return Needs(world=(1, 1), owns=frozenset({"denoiser-forward"}))

    def plan(self, facts: Facts, denoisers: Mapping[str, Module], world: int) -> Any:
        """Cut every denoiser as ranks would; guidance that ranks split changes no bit of it."""
        from genhub_asyncdiff.plan import make_plan

        return make_plan(self.config, facts, denoisers, guidance_split=False)

    @contextmanager
    def install(self, ctx: Context, plan: Any) -> Iterator[Any]:
        """Put the hooks of all devices in place while the context lasts."""
        from genhub_asyncdiff.hooks import hooked
        from genhub_asyncdiff.install import Installed, check_all, hooks_of, options_of
        from genhub_asyncdiff.plan import installed_plan
        from genhub_asyncdiff.virtual import VirtualEngine

        plan = installed_plan(self.config, ctx, plan)
        check_all(ctx, plan)
        engine = VirtualEngine(ctx, plan.form, plan.cuttings, options_of(self.config))
        with hooked(hooks_of(engine, ctx)):
            yield Installed((0,), engine)


def registries() -> Registries:
    """Give what is installed, and the virtual driver."""
    found = Registries()
    found.get("parallel_schedulers").add(VIRTUAL, VirtualAsyncDiff)
    return found


def simulate(
    config: str | PathLike[str] | Mapping[str, Any],
    schedules: Mapping[str, Mapping[str, Any]],
    *,
    set: Mapping[str, Any] | None = None,
    pipeline: Any = None,
    output: str | PathLike[str] | None = None,
    quiet: bool = True,
) -> Any:
    """Run a config serially and under several schedules, on this one device; gives a run's result.

    `schedules` names blocks like `{"components": 2, "stride": 2}`. Every picture is the one that
    ranks would make, bit for bit on the same kind of device. The run's report shows them side by
    side with the serial ones, with the metrics that the config names, else PSNR and SSIM.

        simulate("examples/async.yaml", {"two": {"components": 2}, "three": {"components": 3}})

    Raises GenHubError as `genhub.run` does.
    """
    import genhub

    variants = {name: {"parallel": {"type": VIRTUAL, **s}} for name, s in schedules.items()}
    changes = {
        "parallel": None,
        "launch.processes": 1,
        "launch.simulate": False,
        "variants": variants,
        "compare": ["baseline", *variants],
        **(set or {}),
    }
    return genhub.run(
        config, set=changes, pipeline=pipeline, output=output, quiet=quiet, registries=registries()
    )
