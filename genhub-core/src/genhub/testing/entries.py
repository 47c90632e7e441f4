"""What holds for plugins without a Config: models, metrics, commands, hooks."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, ClassVar

from genhub.api import GenHubError
from genhub.testing.guards import watching
from genhub.testing.plugins import EntryTests, complain, one_line

__all__ = ["CommandTests", "HookTests", "MetricTests", "ModelSourceTests"]


class ModelSourceTests(EntryTests):
    """Checks of a model that ships with a package: `source: tiny:NAME`."""

    kind: ClassVar[str] = "models"

    def test_modality_and_license_are_told(self) -> None:
        """`modality` is what the model makes, `license` an identifier."""
        source = self.driver_class()
        if source.modality not in ("image", "audio", "video"):
            complain(f"modality is {source.modality!r}: image, audio or video")
        if not source.license.strip():
            complain("license is empty: name the licence of the weights, such as CC0-1.0")

    def test_loads_without_the_network(self) -> None:
        """`load` gives a pipeline with a denoiser, twice the same, from the package alone."""
        import torch

        from genhub.plan.facts import denoisers_of

        with watching() as deeds:
            try:
                loads = [self.driver_class()().load(torch.float32, "cpu") for _ in range(2)]
                once, twice = (denoisers_of(pipeline) for pipeline in loads)
            except Exception as error:
                complain(f"load() raised {one_line(error)}")
        if deeds.calls:
            complain(f"load() asked the network for {deeds.calls[0]}: ship the weights")
        for word, denoiser in once.items():
            other = twice[word].state_dict()
            for name, tensor in denoiser.state_dict().items():
                if not tensor.isfinite().all() or not tensor.equal(other[name]):
                    complain(f"{word}.{name} is not finite, or differs between two loads")


class MetricTests(EntryTests):
    """Checks of a metric."""

    kind: ClassVar[str] = "metrics"

    def test_needs_and_goal_are_known(self) -> None:
        """`needs` and `goal` use the host's words."""
        metric = self.driver_class()
        if metric.goal not in ("max", "min"):
            complain(f"goal is {metric.goal!r}: max or min")
        if unknown := sorted(set(metric.needs) - {"captions", "baseline", "pictures", "sounds"}):
            complain(f"needs names '{unknown[0]}': captions, baseline, pictures, sounds")


class CommandTests(EntryTests):
    """Checks of a sub-command."""

    kind: ClassVar[str] = "commands"

    def test_arguments_fit_the_host(self) -> None:
        """`arguments` declares arguments beside the host's own `--verbose`."""
        parser = ArgumentParser(prog="genhub")
        try:
            self.driver_class()().arguments(parser)
            parser.add_argument("--verbose", action="store_true")
            parser.format_help()
        except Exception as error:
            complain(f"arguments() cannot be used: {one_line(error)}")


class HookTests(EntryTests):
    """Checks of a hook plugin."""

    kind: ClassVar[str] = "hooks"

    def test_hooks_exist(self) -> None:
        """Every implementation is of a hook that there is, with arguments that it has."""
        from genhub.hooks import implementations

        try:
            if not implementations(self.entry(), self.driver_class()):
                complain("it implements no hook: mark functions with @genhub.api.hookimpl")
        except GenHubError as error:
            complain(one_line(error))

    def test_summary_is_one_line(self) -> None:
        """A hook may be a module, whose docstring says what it does."""
        found: Any = self.driver_class()
        if not (getattr(found, "summary", "") or found.__doc__ or "").strip():
            complain("say in a docstring or `summary` what the hook does")
