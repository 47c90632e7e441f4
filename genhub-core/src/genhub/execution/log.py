"""What a run says while it works: to log.txt, and its warnings to the manifest's problems."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["keep_log", "without_noise", "write_traceback"]

LOG = "log.txt"
LIBRARIES = ("diffusers", "transformers")

# What libraries say that is of no use to anybody here: the small autoencoder is not the class that
# the pipeline's annotation names, and writes a field that it does not read; image processors have
# a full equal without torchvision; a prompt that is cut is told in GenHub's own words.
_NOISE = (
    "Expected types for vae",
    "The config attributes {'block_out_channels'",
    "`CLIPImageProcessor` requires torchvision",
    "`SiglipImageProcessor` requires torchvision",
    "The following part of your input was truncated",
    "Token indices sequence length is longer",
)
_LINE = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")


@contextmanager
def keep_log(
    folder: Path, problem: Callable[[str], None], redact: Callable[[str], str]
) -> Iterator[None]:
    """Append what GenHub and the model libraries log to log.txt; tell warnings of GenHub's own."""
    to_file = _File(folder / LOG, redact)
    of_problems = _Problems(problem)
    own = logging.getLogger("genhub")
    before = own.level
    own.setLevel(logging.INFO)
    wired: list[tuple[logging.Logger, logging.Handler]] = [(own, to_file), (own, of_problems)]
    wired += [(logging.getLogger(name), to_file) for name in LIBRARIES]
    for logger, handler in wired:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, handler in wired:
            logger.removeHandler(handler)
        own.setLevel(before)


@contextmanager
def without_noise() -> Iterator[None]:
    """Keep the libraries' progress bars, and the lines of `_NOISE` alone, off the terminal."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    with ExitStack() as stack:
        for library in (of_diffusers, of_transformers):
            if library.is_progress_bar_enabled():
                library.disable_progress_bar()
                stack.callback(library.enable_progress_bar)
        for handler in [h for name in LIBRARIES for h in logging.getLogger(name).handlers]:
            if _is_worth_it not in handler.filters:  # else it belongs to a block around this one
                handler.addFilter(_is_worth_it)
                stack.callback(handler.removeFilter, _is_worth_it)
        yield


def write_traceback(folder: Path, error: BaseException, redact: Callable[[str], str]) -> None:
    """Append the traceback of what ended a run, with its causes."""
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(redact("".join(traceback.format_exception(error))))


def _is_worth_it(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_NOISE)


class _File(logging.Handler):
    """Appends lines; opened for each line, as a run logs a few dozen in all."""

    def __init__(self, path: Path, redact: Callable[[str], str]) -> None:
        super().__init__(logging.INFO)
        self._path = path
        self._redact = redact
        self.setFormatter(_LINE)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(self._redact(self.format(record)) + "\n")
        except OSError:
            # A full disk ends the run where it costs results; a lost line of the log must not.
            return


class _Problems(logging.Handler):
    def __init__(self, problem: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._problem = problem

    def emit(self, record: logging.LogRecord) -> None:
        self._problem(record.getMessage())
