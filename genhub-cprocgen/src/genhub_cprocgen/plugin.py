"""The environments `cprocgen` of GenHub: `environment: {type: cprocgen, game: coinrun}`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from genhub.api import EnvironmentFactory, PluginConfig

__all__ = ["CProcgen", "CProcgenConfig"]

Context = dict[str, Any]


class CProcgenConfig(PluginConfig):
    """The fields of `genhub_cprocgen.options.Options` that belong to a config.

    Their number, seed and threads are the task's; contexts are checked when the config is.
    """

    game: str | list[str] = Field(
        description="a game, several separated by commas, or a list, dealt round robin"
    )
    distribution_mode: Literal["easy", "hard", "extreme", "memory", "exploration"] = Field(
        "hard", description="the benchmark's mode, as far as the game has it"
    )
    num_levels: int = Field(0, ge=0, description="levels to draw from; 0: all")
    start_level: int = Field(0, ge=0, description="the first of them")
    use_sequential_levels: bool = Field(
        False, description="after a won level the next one follows in the same episode"
    )
    center_agent: bool = Field(True, description="the camera follows the agent, where it can")
    use_backgrounds: bool = Field(True, description="draw backgrounds")
    use_monochrome_assets: bool = Field(False, description="draw rectangles instead of pictures")
    restrict_themes: bool = Field(False, description="one look per type; changes hit boxes")
    paint_vel_info: bool = Field(False, description="show the agent's velocity as two squares")
    skin: str = Field(
        "builtin",
        min_length=1,
        description="builtin, or a folder laid out like the benchmark's pictures",
        json_schema_extra={"format": "path"},
    )
    contexts: Context | list[Context] = Field(
        default_factory=dict,
        description="parameters of the game, per game or per environment, fixed or with rules",
    )
    context_visibility: Literal["none", "info", "obs"] = Field(
        "info", description="obs: observations carry the context's numbers"
    )
    observation: Literal["rgb", "rgb_chw", "gray", "none"] = Field(
        "rgb", description="layout of observations"
    )

    @model_validator(mode="after")
    def _games_take_them(self) -> CProcgenConfig:
        from genhub_cprocgen.options import options_from
        from genhub_cprocgen.samplers import read_contexts

        names = self.game.split(",") if isinstance(self.game, str) else self.game
        count = len(self.contexts) if isinstance(self.contexts, list) else len(names)
        options = options_from({**_fields(self), "num_envs": max(1, count)})
        read_contexts(options.contexts, options.games, options.distribution_mode)
        return self


class CProcgen(EnvironmentFactory):
    """Procgen's games in one engine."""

    Config = CProcgenConfig
    summary = "the games of the Procgen benchmark, with controllable contexts"
    paper = "Cobbe et al., Leveraging Procedural Generation to Benchmark Reinforcement Learning"

    def make(self, num_envs: int, seed: int, threads: int) -> Any:
        """Make the environments; the seed decides their sequence of levels."""
        from genhub_cprocgen.vector import CProcgenVectorEnv

        return CProcgenVectorEnv(
            **_fields(self.config),
            num_envs=num_envs,
            rand_seed=seed % 2**31,
            num_threads=threads,
            render_mode="rgb_array",
        )


def _fields(config: CProcgenConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in CProcgenConfig.model_fields}
