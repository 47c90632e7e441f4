"""Mixers each of which does one thing that no mixer may do, and one that does none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import randbelow
from threading import Lock
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, field_serializer

from genhub.api import AttentionMixer, Needs, PluginConfig, Where


class Honest(AttentionMixer):
    """Adds a hundredth to what attention gives."""

    summary = "adds a little"
    default_where = Where(kind="self")

    def needs(self):
        return Needs(families=frozenset({"unet2d"}))

    def build(self, site, attn, ctx):
        return Processor(attn.processor)


class Processor:
    def __init__(self, softmax) -> None:
        self.softmax = softmax

    def __call__(self, attn, hidden_states, *args, **kwargs):
        return self.changed(self.softmax(attn, hidden_states, *args, **kwargs))

    def changed(self, x):
        return x + 0.01


class Mute(Honest):
    summary = ""


class InvalidDefaultConfig(PluginConfig):
    width: int = Field(-1, ge=1, description="width")


class InvalidDefault(Honest):
    Config = InvalidDefaultConfig


class LaxConfig(PluginConfig):
    model_config = ConfigDict(extra="ignore")


class Lax(Honest):
    Config = LaxConfig


class UndescribedConfig(PluginConfig):
    width: int = Field(1, ge=1)


class Undescribed(Honest):
    Config = UndescribedConfig


class BoundlessConfig(PluginConfig):
    width: int | None = Field(1, description="width")


class Boundless(Honest):
    Config = BoundlessConfig


class RoundedConfig(PluginConfig):
    share: float = Field(0.15, ge=0, le=1, description="share")

    @field_serializer("share")
    def _short(self, value: float) -> float:
        return round(value, 1)


class Rounded(Honest):
    Config = RoundedConfig


class UnschooledConfig(PluginConfig):
    model_config = ConfigDict(json_schema_extra={"examples": [{"width": "wide"}]})
    width: Annotated[int, BeforeValidator(lambda x: 8 if x == "wide" else x)] = Field(
        1, ge=1, description="a width, or wide"
    )


class Unschooled(Honest):
    Config = UnschooledConfig


def _local() -> type[PluginConfig]:
    class Config(PluginConfig):
        pass

    return Config


class Local(Honest):
    Config = _local()


class HeavyNeeds(Honest):
    def needs(self):
        import numpy  # noqa: F401

        return super().needs()


class AssertingConfig(PluginConfig):
    mode: str = Field("near", description="near or far")


class Asserting(Honest):
    Config = AssertingConfig

    def build(self, site, attn, ctx):
        assert self.config.mode in ("near", "far")
        return super().build(site, attn, ctx)


class Presuming(Honest):
    def accepts(self, site, attn):
        return {"unet": None}[site.component]


class Failing(Honest):
    def build(self, site, attn, ctx):
        raise ZeroDivisionError("1 / 0")


class Mutating(Honest):
    def build(self, site, attn, ctx):
        attn.scale *= 2
        return super().build(site, attn, ctx)


class Sharing(Honest):
    calls = 0

    def reset(self):
        Sharing.calls = 0

    def build(self, site, attn, ctx):
        class Counting(Processor):
            def changed(self, x):
                Sharing.calls += 1
                return x * (1 + 0.1 * Sharing.calls)

        return Counting(attn.processor)


class Averaging(Honest):
    def build(self, site, attn, ctx):
        class Mean(Processor):
            def changed(self, x):
                return x * x.std()

        return Mean(attn.processor)


class Coarse(Honest):
    def build(self, site, attn, ctx):
        class Rough(Processor):
            def changed(self, x):
                return (x + 30) - 30

        return Rough(attn.processor)


class Remembering(Honest):
    def build(self, site, attn, ctx):
        class Growing(Processor):
            calls = 0

            def changed(self, x):
                self.calls += 1
                return x * (1 + 0.1 * self.calls)

        return Growing(attn.processor)


class Dicing(Honest):
    def build(self, site, attn, ctx):
        import torch

        torch.rand(())
        return super().build(site, attn, ctx)


class Calling(Honest):
    def build(self, site, attn, ctx):
        with suppress(OSError):
            socket.getaddrinfo("127.0.0.1", 80)
        return super().build(site, attn, ctx)


class Littering(Honest):
    @contextmanager
    def prepare(self, ctx) -> Iterator[None]:
        Path("littered.txt").write_text("was here")
        yield


class Locked(Honest):
    def build(self, site, attn, ctx):
        made = super().build(site, attn, ctx)
        made.lock = Lock()
        return made


class DrawnConfig(PluginConfig):
    seed: int = Field(default_factory=lambda: randbelow(1 << 30), ge=0, description="seed")


class Drawn(Honest):
    Config = DrawnConfig


class Nameless(Honest):
    def report(self, built):
        return [{"path": site.module_path} for site in built]


class Unowned(Honest):
    def decode(self, latents, request, sink, ctx):
        sink.write(latents)
