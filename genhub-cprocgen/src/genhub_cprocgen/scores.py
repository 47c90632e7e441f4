"""Returns on the scale of the literature."""

from __future__ import annotations

from genhub_cprocgen.errors import OptionError, closest

__all__ = ["normalised_return"]

# (lowest, highest) mean return per game, as commonly used with the benchmark; recalled, not taken
# from a file of the benchmark: compare with your source before you publish numbers.
EASY = {
    "coinrun": (5, 10), "starpilot": (2.5, 64), "caveflyer": (3.5, 12), "dodgeball": (1.5, 19),
    "fruitbot": (-1.5, 32.4), "chaser": (0.5, 13), "miner": (1.5, 13), "jumper": (3, 10),
    "leaper": (3, 10), "maze": (5, 10), "bigfish": (1, 40), "heist": (3.5, 10),
    "climber": (2, 12.6), "plunder": (4.5, 30), "ninja": (3.5, 10), "bossfight": (0.5, 13),
}  # fmt: skip
HARD = {
    "coinrun": (5, 10), "starpilot": (1.5, 35), "caveflyer": (2, 13.4), "dodgeball": (1.5, 19),
    "fruitbot": (-0.5, 27.2), "chaser": (0.5, 14.2), "miner": (1.5, 20), "jumper": (1, 10),
    "leaper": (1.5, 10), "maze": (4, 10), "bigfish": (0, 40), "heist": (2, 10),
    "climber": (1, 12.6), "plunder": (3, 30), "ninja": (2, 10), "bossfight": (0.5, 13),
}  # fmt: skip
SCALES = {"easy": EASY, "hard": HARD}


def normalised_return(game: str, mode: str, value: float) -> float:
    """Give (value - lowest) / (highest - lowest); raises OptionError for unknown games or modes.

    The constants are those the literature uses for easy and hard, as recalled, not re-measured.
    """
    if mode not in SCALES:
        raise OptionError(f"returns are normalised for {' and '.join(SCALES)}, got {mode!r}")
    if game not in EASY:
        raise OptionError(f"there is no game {game!r}{closest(game, sorted(EASY))}")
    low, high = SCALES[mode][game]
    return (value - low) / (high - low)
