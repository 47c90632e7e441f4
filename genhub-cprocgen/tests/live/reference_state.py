"""Read the state that the benchmark library gives of an environment (`callmethod("get_state")`).

A state is flat and little-endian: int32 and float32 words, and texts and lists that begin with
their length as int32. Worked out from the bytes of states of procgen-mirror 0.10.7, held against
the golden data. In order:

* version (0), name of the game, the words of HEAD;
* two generators, of level seeds and of the game: 1 when seeded, and the text of the 624 words of
  an MT19937 with its position at the end;
* the words of EPISODE, then the entities: a list of records of ENTITY;
* the words of AGENT, the generator of generated pictures, the words of VIEW;
* the grid: width, height, and a list of cells, row by row from the bottom;
* what the game adds (GAMES), and the mark 0xCAFECAFE.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

__all__ = ["ENTITY", "ReferenceState", "StateLayoutError", "read_state"]

MARK = 0xCAFECAFE

# One word each; names of which nothing but 0 was ever seen are left out as "-".
HEAD = (
    *("paint_vel_info", "use_generated_assets", "use_monochrome_assets", "restrict_themes"),
    *("use_backgrounds", "center_agent", "debug_mode", "distribution_mode"),
    *("use_sequential_levels", "-", "-", "-", "grid_step", "level_seed_low", "level_seed_high"),
    *("game_type", "game_index"),
)
EPISODE = (
    *("reward:f", "done", "level_complete", "action", "timeout", "level_seed", "prev_level_seed"),
    *("episodes_remaining", "episode_done", "last_reward_timer", "last_reward:f"),
    *("default_action", "fixed_asset_seed", "cur_time", "-", "grid_size"),
)
AGENT = (
    *("use_procgen_background", "background_index", "bg_tile_ratio:f", "bg_pct_x:f"),
    *("char_dim:f", "last_move", "move_action", "special_action", "mixrate:f", "maxspeed:f"),
    *("max_jump:f", "action_vx:f", "action_vy:f", "action_vrot:f", "center_x:f", "center_y:f"),
    *("random_agent_start", "has_useful_vel_info", "step_rand_int"),
)
VIEW = (
    *("world_width", "world_height", "out_of_bounds", "unit:f", "view_dim:f", "x_off:f"),
    *("y_off:f", "visibility:f", "min_visibility:f"),
)
# ":f" is a float32, ":list" a list of int32, ":entities" a list of entities.
GAMES = {
    "maze": ("maze_dim", "world_dim"),
    "heist": ("num_keys", "world_dim", "has_keys:list"),
    "chaser": (
        *("free_cells:list", "is_space:list", "eat_timeout", "egg_timeout", "eat_time"),
        *("total_enemies", "total_orbs", "orbs_collected", "maze_dim"),
    ),
    "bigfish": ("fish_eaten", "r_inc:f"),
    "starpilot": ("spawners:entities",),
    "coinrun": (
        *("last_agent_y:f", "wall_theme", "has_support", "facing_right", "is_on_crate"),
        *("gravity:f", "air_control:f"),
    ),
    "jumper": (
        *("jump_count", "jump_delta", "jump_time", "has_support", "facing_right", "wall_theme"),
        *("compass_dim:f",),
    ),
    "miner": ("diamonds_remaining",),
}
ENTITY = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "vx", "vy", "rx", "ry")),
        *((name, "<i4") for name in ("type", "image_type", "image_theme", "render_z")),
        *((name, "<i4") for name in ("will_erase", "collides_with_entities")),
        *((name, "<f4") for name in ("collision_margin", "rotation", "vrot")),
        *((name, "<i4") for name in ("is_reflected", "fire_time", "spawn_time", "life_time")),
        *((name, "<i4") for name in ("expire_time", "use_abs_coords")),
        ("friction", "<f4"),
        *((name, "<i4") for name in ("smart_step", "avoids_collisions", "auto_erase")),
        *((name, "<f4") for name in ("alpha", "health", "theta", "grow_rate", "alpha_decay")),
        ("climber_spawn_x", "<f4"),
    ]
)


class StateLayoutError(ValueError):
    """The bytes are no state of the layout that is read here."""


@dataclass
class ReferenceState:
    """A state taken apart.

    grid: int32 [H, W], row 0 at the bottom. entities: ENTITY [n] in list order, the agent first;
    spawners: the same, of what waits to enter. scalars: every other word and list by name,
    `generator_position` (1..624) among them.
    """

    game: str
    grid: np.ndarray
    entities: np.ndarray
    spawners: np.ndarray
    scalars: dict[str, float | list[int]] = field(default_factory=dict)


class _Words:
    """Reads a state from its beginning to its end."""

    def __init__(self, state: bytes) -> None:
        self.state = state
        self.place = 0

    def array(self, dtype: str | np.dtype, count: int) -> np.ndarray:
        size = np.dtype(dtype).itemsize * count
        if count < 0 or self.place + size > len(self.state):
            raise StateLayoutError(
                f"{count} elements at byte {self.place} do not fit a state of {len(self.state)}"
            )
        found = np.frombuffer(self.state, dtype, count, self.place)
        self.place += size
        return found

    def integer(self) -> int:
        return int(self.array("<i4", 1)[0])

    def text(self) -> str:
        return self.array("u1", self.integer()).tobytes().decode("ascii")

    def words(self, names: tuple[str, ...]) -> dict[str, float | list[int]]:
        named = [name.partition(":") for name in names]
        layout = "<" + "".join("f" if kind == "f" else "i" for _, _, kind in named)
        raw = self.array("u1", struct.calcsize(layout)).tobytes()
        values = struct.unpack(layout, raw)
        return {n: v for (n, _, _), v in zip(named, values, strict=True) if n != "-"}

    def generator(self) -> int:
        """Skip a generator; gives its position."""
        self.integer()
        text = self.text()
        return int(text.rpartition(" ")[2]) if text else 0

    def entities(self) -> np.ndarray:
        return self.array(ENTITY, self.integer())


def read_state(state: bytes) -> ReferenceState:
    """Take a state apart; raises StateLayoutError where it is none of a game known here."""
    words = _Words(state)
    version, game = words.integer(), words.text()
    if version != 0 or game not in GAMES:
        raise StateLayoutError(f"no state of version 0 of a known game: {version}, {game!r}")
    scalars = words.words(HEAD)
    scalars["level_generator_position"] = words.generator()
    scalars["generator_position"] = words.generator()
    scalars |= words.words(EPISODE)
    entities = words.entities()
    scalars |= words.words(AGENT)
    words.generator()
    scalars |= words.words(VIEW)
    width, height = words.integer(), words.integer()
    grid = words.array("<i4", words.integer()).reshape(height, width)
    spawners = _game_words(words, game, scalars)
    if words.integer() & 0xFFFFFFFF != MARK or words.place != len(state):
        raise StateLayoutError(f"a state of {game} does not end at byte {words.place}")
    return ReferenceState(game, grid, entities, spawners, scalars)


def _game_words(words: _Words, game: str, scalars: dict[str, float | list[int]]) -> np.ndarray:
    spawners = np.zeros(0, ENTITY)
    for name in GAMES[game]:
        if name.endswith(":entities"):
            spawners = words.entities()
        elif name.endswith(":list"):
            scalars[name.partition(":")[0]] = words.array("<i4", words.integer()).tolist()
        else:
            scalars |= words.words((name,))
    return spawners
