"""The task `rollout`: let a policy act in environments for so many steps."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from genhub.api import Needs, PluginConfig, Run, Task

__all__ = ["POLICY_SUFFIX", "Rollout", "RolloutConfig"]

POLICY_SUFFIX = ".safetensors"
OWN = ("random", "script")

Action = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Number = Annotated[float, Field(ge=-1e9, le=1e9)]
Count = Annotated[int, Field(ge=0, le=65536)]


class RolloutConfig(PluginConfig):
    """Block `task: {type: rollout}`."""

    policy: str = Field(
        "random",
        min_length=1,
        description="random, script, or a .safetensors file that holds a policy",
        json_schema_extra={"format": "path"},
    )
    script: list[Action | str | list[Number]] = Field(
        default_factory=list,
        description="actions of policy script, in turn and repeated: numbers, names, 'right*20'",
    )
    steps: int = Field(500, ge=1, le=100_000_000, description="steps of each environment")
    num_envs: int = Field(8, ge=1, le=65536, description="environments that step together")
    films: Count | list[Count] = Field(
        2, description="how many environments are filmed, from the first on, or their numbers"
    )
    film_steps: int = Field(300, ge=1, le=100_000, description="steps of a film")

    @model_validator(mode="after")
    def _hold_together(self) -> RolloutConfig:
        if (self.policy == "script") != bool(self.script):
            said = "is empty" if self.policy == "script" else f"has no effect on {self.policy!r}"
            raise ValueError(f"script {said}: 'policy: script' and a list of actions go together")
        if self.policy not in OWN and not self.policy.endswith(POLICY_SUFFIX):
            raise ValueError(
                f"policy is {self.policy!r}, which is neither random, script nor a "
                f"{POLICY_SUFFIX} file"
            )
        wrong = [i for i in self.filmed() if i >= self.num_envs]
        if wrong:
            raise ValueError(
                f"films names environment {wrong[0]}; there are {self.num_envs}, counted from 0"
            )
        return self

    def filmed(self) -> list[int]:
        """Give the numbers of the environments that are filmed, each once."""
        if isinstance(self.films, int):
            return list(range(min(self.films, self.num_envs)))
        return sorted(set(self.films))


class Rollout(Task):
    """Step environments with a policy; returns per context, films and pictures remain."""

    Config = RolloutConfig
    summary = "returns of a policy in environments, by context, with films"
    reads: ClassVar[frozenset[str]] = frozenset({"environment"})

    def needs(self) -> Needs:
        """Ask for one process: environments step on threads of their own."""
        return Needs(world=(1, 1))

    def run(self, run: Run) -> None:
        """Act for the steps that the config asks for."""
        from genhub.rollout.engine import rollout

        rollout(run)
