"""What callers hand to a running batch, checked before anything happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genhub_cprocgen.errors import ActionError, ContextError, OptionError

__all__ = [
    "ACTIONS",
    "check_range",
    "checked_seed",
    "env_indices",
    "one_of",
    "output_array",
    "reset_options",
    "whole_actions",
]

ACTIONS = 15


def whole_actions(actions: Any, count: int) -> np.ndarray:
    """Give actions as int64 [count]; raises ActionError. The engine checks their range."""
    try:
        array = np.asarray(actions)
    except ValueError as error:  # lists of several lengths
        raise ActionError(f"actions must be a list of {count} integers: {error}") from None
    kind = array.dtype.kind
    if kind not in "iu":
        raise ActionError(f"actions must be integers, got {array.dtype}")
    if array.shape != (count,):
        raise ActionError(
            f"actions must have the shape ({count},), one per environment, got {array.shape}"
        )
    if kind == "u":
        check_range(array)  # before the largest of them become negative
    return np.ascontiguousarray(array, np.int64)


def check_range(actions: np.ndarray) -> None:
    """Raise ActionError for the first action that is none."""
    bad = (actions < -1) | (actions >= ACTIONS)
    if bad.any():
        i = int(np.argmax(bad))
        raise ActionError(
            f"actions must lie in 0..{ACTIONS - 1} (or be -1 to end the episode), "
            f"got {actions[i]} for environment {i}"
        )


def one_of(name: str, value: Any, allowed: Sequence[str]) -> None:
    """Raise ContextError for a word that is none of those allowed."""
    if value not in allowed:
        raise ContextError(f"{name} must be {' or '.join(allowed)}, got {value!r}")


def checked_seed(seed: Any) -> int:
    """Give a seed of 32 bits as an int; raises OptionError."""
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not -(2**31) <= seed < 2**31:
        raise OptionError(f"seed must be one whole number of 32 bits, got {seed!r}")
    return int(seed)


def reset_options(
    options: Mapping[str, Any], count: int
) -> tuple[np.ndarray, np.ndarray | None, Any]:
    """Give which environments begin anew (bool [count]), their level seeds, and their contexts.

    Level seeds are int32 [count], None for the next ones. Raises OptionError.
    """
    wanted = dict(options)
    mask = _mask(wanted.pop("reset_mask", None), count)
    seeds = _level_seeds(wanted.pop("level_seed", None), count)
    contexts = wanted.pop("contexts", None)
    if wanted:
        raise OptionError(
            f"reset does not know {', '.join(map(repr, wanted))}; its options are reset_mask, "
            "level_seed and contexts"
        )
    return mask, seeds, contexts


def _mask(mask: Any, count: int) -> np.ndarray:
    if mask is None:
        return np.ones(count, bool)
    array = np.asarray(mask)
    if array.dtype != bool or array.shape != (count,):
        raise OptionError(
            f"reset_mask must be true or false for each of {count} environments, "
            f"got {array.dtype} {array.shape}"
        )
    return array


def _level_seeds(seeds: Any, count: int) -> np.ndarray | None:
    if seeds is None:
        return None
    array = np.asarray(seeds)
    fits = array.dtype.kind in "iu" and array.shape in ((), (count,))
    if not fits or array.min() < -(2**31) or array.max() >= 2**31:
        raise OptionError(
            f"level_seed must be one whole number of 32 bits, or one per environment, got {seeds!r}"
        )
    return np.broadcast_to(array, (count,)).astype(np.int32)


def env_indices(indices: int | Sequence[int] | None, count: int) -> list[int]:
    """Give numbers of environments, all for None; raises OptionError."""
    if indices is None:
        return list(range(count))
    listed = np.atleast_1d(np.asarray(indices))
    whole = listed.ndim == 1 and (listed.dtype.kind in "iu" or listed.size == 0)
    if not whole or (listed < 0).any() or (listed >= count).any():
        raise OptionError(f"environments are numbered 0..{count - 1}, got {indices!r}")
    return [int(i) for i in listed]


def output_array(out: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Give memory to write observations to: an array, or a tensor in the host's memory.

    Raises OptionError.
    """
    if out is None:
        return None
    try:
        array = out if isinstance(out, np.ndarray) else out.numpy()
    except (AttributeError, TypeError, RuntimeError) as error:  # no tensor, or on a device
        raise OptionError(
            f"out must be an array or a tensor in the host's memory, got {type(out).__name__}: "
            f"{error}"
        ) from None
    if not array.flags.writeable:
        raise OptionError("out must be writable, got a read-only array")
    if array.shape != shape or array.dtype != np.uint8:
        raise OptionError(f"out must be uint8 {shape}, got {array.dtype} {array.shape}")
    return array
