"""The fifteen actions and their names."""

from __future__ import annotations

__all__ = ["ACTION_NAMES", "KEYS"]

# Directions, in the order in which 3 * (dx + 1) + (dy + 1) numbers them; then the special keys.
ACTION_NAMES = (
    *("left-down", "left", "left-up", "down", "nothing", "up"),
    *("right-down", "right", "right-up"),
    *("key-d", "key-a", "key-w", "key-s", "key-q", "key-e"),
)

# Keys of a keyboard that are held, as (dx, dy) or as the number of an action.
KEYS = {"left": (-1, 0), "right": (1, 0), "up": (0, 1), "down": (0, -1)} | {
    name.removeprefix("key-"): number
    for number, name in enumerate(ACTION_NAMES)
    if name.startswith("key-")
}
