"""The task `rollout`: let a policy act in environments, and keep what came of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from genhub.api import Needs, PluginConfig, Run, Task

__all__ = ["Rollout", "RolloutConfig"]


class RolloutConfig(PluginConfig):
    """What acts, and for how long."""

    policy: Literal["random", "script"] | str = Field(
        "random",
        min_length=1,
        description="random, script, or a safetensors file with a convolutional policy",
        json_schema_extra={"format": "path"},
    )
    actions: list[int] = Field(
        default_factory=list, max_length=100_000, description="what policy script does, repeated"
    )
    greedy: bool = Field(
        False, description="a policy from a file takes its best action instead of drawing one"
    )
    steps: int = Field(1000, ge=1, le=10**9, description="steps of every environment")
    num_envs: int | None = Field(
        None, ge=1, le=65536, description="environments; default: what their block says, else 8"
    )
    films: int = Field(2, ge=0, le=64, description="environments that are filmed, the first ones")
    film_steps: int = Field(300, ge=1, le=100_000, description="length of a film in steps")

    @model_validator(mode="after")
    def _script_has_actions(self) -> RolloutConfig:
        if (self.policy == "script") != bool(self.actions):
            raise ValueError(
                "policy script takes its actions from 'actions: [...]', and only that policy does"
            )
        return self


class Rollout(Task):
    """Step environments with a policy; episodes, tables by context and films remain."""

    Config = RolloutConfig
    summary = "a policy in environments: returns by context, and films"
    reads: ClassVar[frozenset[str]] = frozenset({"environment"})

    def needs(self) -> Needs:
        """Ask for one process: environments step on its threads."""
        return Needs(world=(1, 1))

    def run(self, run: Run) -> None:
        """Act from the beginning: a run that was cut short is made anew, with the same numbers."""
        from genhub.rollout.loop import roll_out

        roll_out(run, self.config)
