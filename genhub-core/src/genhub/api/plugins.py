"""The base of every driver: a config, a one-line summary, and what it needs."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from genhub.api.facts import Needs

__all__ = ["CONTRACT", "Plugin", "PluginConfig"]

CONTRACT = "1"


class PluginConfig(BaseModel):
    """The block of a driver in YAML, without `type` and `where`, which belong to the host.

    Every field carries a description and bounds; unknown keys are errors.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, defer_build=True)


class Plugin:
    """A driver: the class that an entry point names.

    The module it stands in must import without torch, numpy or diffusers: heavy work is imported
    inside methods.
    """

    api: ClassVar[str] = CONTRACT
    Config: ClassVar[type[PluginConfig]] = PluginConfig
    summary: ClassVar[str] = ""
    paper: ClassVar[str | None] = None

    def __init__(self, config: Any = None) -> None:
        self.config: Any = self.Config() if config is None else config

    def needs(self) -> Needs:
        """Say what this driver asks of the run, from its config alone."""
        return Needs()
