"""What was asked for: a config, a pipeline perhaps, and where the run folder shall be."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any

from genhub.config import Loaded, redact, to_yaml
from genhub.errors import GenHubError
from genhub.execution.checks import check
from genhub.execution.folder import RunFolder
from genhub.execution.target import RESOLVED, Target, find_target
from genhub.hooks import Hooks
from genhub.registry import Registries

__all__ = ["Order", "folder_for", "hooks_for"]

EMBEDDED = "tiny:"
PROGRESS = "genhub-core:progress"


@dataclass(frozen=True)
class Order:
    """The arguments of `genhub.run`."""

    config: str | PathLike[str] | Mapping[str, Any]
    set: Mapping[str, Any] | Sequence[str]
    pipeline: Any
    quiet: bool
    output: str | PathLike[str] | None
    registries: Registries

    @cached_property
    def found(self) -> Target:
        """Read the config, once."""
        return find_target(self.config, self.set, self.registries)

    def target(self) -> Target:
        """Read and check the config; raises GenHubError before anything is written."""
        target = self.found
        if target.needs_pipeline and self.pipeline is None:
            raise GenHubError(
                "GH608",
                f"{target.repeats} was made with a pipeline given in Python",
                hint="give the same pipeline again: genhub.run(..., pipeline=pipe)",
            )
        check(target.loaded, self.pipeline, self.registries)
        return target


def folder_for(order: Order, target: Target) -> RunFolder:
    """Make the folder of a run, with its config in it, or open that of an unfinished one."""
    config = target.loaded.config
    hide = partial(redact, config)
    if target.unfinished is not None and order.output is None:
        return RunFolder.reopen(target.unfinished, hide)
    parent = Path(order.output if order.output is not None else config.output.dir).expanduser()
    resolved = to_yaml(config)
    digest = sha256(resolved.encode()).hexdigest()
    written = {"config.yaml": target.loaded.text, RESOLVED: resolved}
    return RunFolder.create(parent, config.name or "run", digest, hide, written)


def _used(order: Order, loaded: Loaded) -> set[str]:
    """Name the distributions of the drivers, the metrics and the embedded model of a config."""
    used = {driver.entry.dist for driver in loaded.drivers}
    named = [("metrics", name) for name in loaded.config.metrics]
    if order.pipeline is None and loaded.config.model.source.startswith(EMBEDDED):
        named.append(("models", loaded.config.model.source.removeprefix(EMBEDDED)))
    return used | {order.registries.get(kind).find(name).dist for kind, name in named}


def hooks_for(order: Order, loaded: Loaded, first: bool = True) -> Hooks:
    """Give the hook plugins of a run; ranks other than the `first` hear of plans alone."""
    hooks = Hooks(loaded.config.hooks, _used(order, loaded), order.registries, loaded.config.strict)
    if not first:
        hooks.keep_only("genhub_plan", "genhub_attached")
    elif order.quiet:
        hooks.mute(PROGRESS)
    else:
        sys.stderr.write("loading libraries and model ...\n")
        sys.stderr.flush()
    return hooks
