"""Import a plugin and leave the process as it was: its module is nobody else's business."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from genhub.streams import others_on_stderr

__all__ = ["guarded"]

State = tuple[Callable[[], Any], Callable[[Any], object]]  # how it is looked up, and put back


@contextmanager
def guarded(tell: Callable[[str], None]) -> Iterator[None]:
    """Undo what the block does to the process, and tell of it in words.

    What it prints goes to stderr. A child that the block has forked and left running ends here.
    """
    process = os.getpid()
    before = {what: look() for what, (look, _) in _STATES.items()}
    generators = _generators()
    try:
        with others_on_stderr():
            yield
    finally:
        if os.getpid() != process:
            os._exit(0)
        changed = [what for what, (look, _) in _STATES.items() if look() != before[what]]
        for what in changed:
            _STATES[what][1](before[what])
        if _rewound(generators):
            changed.append("a global random generator")
        if changed:
            tell(f"changed {', '.join(changed)}")


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return None


def _enter(folder: str | None) -> None:
    with suppress(OSError):
        os.chdir(folder or os.sep)


def _put_environment_back(before: dict[str, str]) -> None:
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


def _handlers() -> tuple[Any, ...]:
    return tuple(signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM))


def _handle(handlers: tuple[Any, ...]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # Python lets only the main thread change them
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), handlers, strict=True):
        if handler is not None:
            signal.signal(number, handler)


def _logging() -> tuple[Any, ...]:
    own = logging.getLogger("genhub")
    return (
        (logging.root.level, tuple(logging.root.handlers)),
        (own.level, tuple(own.handlers), own.propagate, own.disabled),
        logging.root.manager.disable,
    )


def _log_as(state: tuple[Any, ...]) -> None:
    own = logging.getLogger("genhub")
    (level, handlers), (own_level, own_handlers, own.propagate, own.disabled), disable = state
    logging.root.setLevel(level)
    logging.root.handlers[:] = handlers
    own.setLevel(own_level)
    own.handlers[:] = own_handlers
    logging.disable(disable)


def _filters(state: list[Any]) -> None:
    warnings.filters[:] = state  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


_STATES: dict[str, State] = {
    "the working directory": (_folder, _enter),
    "the environment": (lambda: dict(os.environ), _put_environment_back),
    "the handlers of signals": (_handlers, _handle),
    "the configuration of logging": (_logging, _log_as),
    "the filters of warnings": (lambda: list(warnings.filters), _filters),
}


# Module, how its global generator is read, and how it is set; only of libraries that are there.
_GENERATORS = (
    ("random", "getstate", "setstate"),
    ("numpy.random", "get_state", "set_state"),
    ("torch.random", "get_rng_state", "set_rng_state"),
)


def _generators() -> dict[str, Any]:
    there = [(sys.modules[name], read) for name, read, _ in _GENERATORS if name in sys.modules]
    return {module.__name__: getattr(module, read)() for module, read in there}


def _rewound(before: Mapping[str, Any]) -> bool:
    """Set the generators back; says whether there was need to."""
    now, moved = _generators(), False
    for name, _, put in _GENERATORS:
        if name in before and not _same(now[name], before[name]):
            getattr(sys.modules[name], put)(before[name])
            moved = True
    return moved


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple):
        return all(map(_same, a, b))
    equal = a == b
    return bool(equal.all()) if hasattr(equal, "all") else bool(equal)
