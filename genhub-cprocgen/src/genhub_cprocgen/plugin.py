"""The environment plugin of GenHub: `environment: {type: cprocgen, game: coinrun}`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from genhub.api import EnvironmentFactory, PluginConfig

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

__all__ = ["CProcgen", "CProcgenConfig"]

Context = dict[str, Any]
LAST_LEVEL = 2**31 - 1


class CProcgenConfig(PluginConfig):
    """Block `environment: {type: cprocgen}`; the run says how many, on which seed and threads."""

    game: str | list[str] = Field(
        min_length=1, description="a game, or several (a list, or with commas), dealt in turn"
    )
    distribution_mode: str = Field(
        "hard", description="easy, hard, extreme, memory or exploration, as the game has it"
    )
    num_levels: int = Field(0, ge=0, le=LAST_LEVEL, description="levels there are; 0: all")
    start_level: int = Field(0, ge=0, le=LAST_LEVEL, description="the first of these levels")
    use_sequential_levels: bool = Field(
        False, description="after a completed level the next one, in the same episode"
    )
    center_agent: bool = Field(True, description="keep the agent in the middle, where a game does")
    use_backgrounds: bool = Field(True, description="draw backgrounds, else black")
    use_monochrome_assets: bool = Field(False, description="draw plain squares for all sprites")
    restrict_themes: bool = Field(False, description="one theme per kind of thing")
    paint_vel_info: bool = Field(False, description="paint the agent's velocity into the corner")
    use_generated_assets: bool = Field(
        False, description="the built-in pictures, whatever the skin"
    )
    skin: str = Field(
        "builtin",
        min_length=1,
        description="builtin, or a folder laid out as data/assets of the procgen wheels",
        json_schema_extra={"format": "path"},
    )
    contexts: Context | list[Context] | None = Field(
        None, description="values or rules of parameters, by game if there are several, or a list"
    )
    context_visibility: Literal["none", "info", "obs"] = Field(
        "info", description="whether infos or observations carry the context"
    )
    autoreset: Literal["same_step", "next_step", "disabled"] = Field(
        "same_step", description="what follows the end of an episode"
    )
    final_obs: bool = Field(False, description="keep the last frame of an episode")
    observation: Literal["rgb", "rgb_chw", "gray", "none"] = Field(
        "rgb", description="layout of observations; none: no pictures"
    )
    strict_parity: bool = Field(False, description="refuse what leaves the benchmark's behaviour")

    @model_validator(mode="after")
    def _check_all(self) -> CProcgenConfig:
        """Refuse what the environments would: OptionError and ContextError are ValueErrors."""
        from genhub_cprocgen.options import options_from
        from genhub_cprocgen.samplers import read_contexts

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = options_from({**fields_of(self), "num_envs": self._fewest()})
        read_contexts(options.contexts, options.games, options.distribution_mode)
        return self

    def _fewest(self) -> int:
        """Give a number of environments that this block allows."""
        if isinstance(self.contexts, list) and self.contexts:
            return len(self.contexts)
        return self.game.count(",") + 1 if isinstance(self.game, str) else len(self.game)


def fields_of(config: CProcgenConfig) -> dict[str, Any]:
    """Give the fields of a block as the environments take them."""
    return {name: getattr(config, name) for name in CProcgenConfig.model_fields}


class CProcgen(EnvironmentFactory):
    """The games of the Procgen benchmark, with contexts."""

    Config = CProcgenConfig
    summary = "games of the Procgen benchmark, bit for bit, with controllable contexts"
    paper = "Cobbe et al. 2020, Leveraging Procedural Generation to Benchmark RL, arXiv:1912.01588"

    def make(self, num_envs: int, seed: int, threads: int) -> VectorEnv:
        """Make `num_envs` environments; levels follow from `seed`, modulo 2**31."""
        from genhub_cprocgen.vector import CProcgenVectorEnv

        return CProcgenVectorEnv(
            **fields_of(self.config),
            num_envs=num_envs,
            rand_seed=seed % 2**31,
            num_threads=threads,
            render_mode="rgb_array",
        )
