"""The one family of errors that GenHub shows to a user.

A code says what kind of trouble it is (GH1xx file, GH2xx names, GH3xx values, GH4xx conflicts,
GH5xx environment, GH6xx run) and decides the exit status of the command.
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from genhub.streams import printable

__all__ = [
    "GenHubError",
    "Mark",
    "PeerLost",
    "PlanRejected",
    "PluginBroken",
    "PluginConflict",
    "PluginNotFound",
    "Problem",
    "ToldElsewhere",
]

EXIT_RUN_FAILED = 1
EXIT_CONFIG_WRONG = 2
EXIT_PLUGIN_TROUBLE = 3
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, order=True)
class Mark:
    """A place in a text that the user wrote: a file, or an argument of the command."""

    file: str
    line: int  # from 1
    column: int  # from 1
    width: int = 1
    text: str = ""  # the whole line, for display

    def __str__(self) -> str:
        """Render as `file:line:column`, the form editors and terminals make clickable."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: what (with the value seen), how to fix it, and where."""

    code: str
    message: str
    hint: str = ""
    mark: Mark | None = None

    @property
    def exit_code(self) -> int:
        """Give the exit status that this problem asks for."""
        if self.code in (
            "GH201",
            "GH207",
        ):  # a misspelt name is a wrong config, not a plugin's fault
            return EXIT_CONFIG_WRONG
        if self.code == "GH603":
            return EXIT_INTERRUPTED
        return {
            "1": EXIT_CONFIG_WRONG,
            "2": EXIT_PLUGIN_TROUBLE,
            "3": EXIT_CONFIG_WRONG,
            "4": EXIT_PLUGIN_TROUBLE,
        }.get(self.code[2], EXIT_RUN_FAILED)

    def render(self) -> str:
        """Write the problem as a terminal shows it: first line, place with a caret, hint.

        Nothing in it is a command to the terminal, whatever a config or a plugin holds.
        """
        lines = [f"error[{self.code}] {self.message}"]
        if self.mark is not None:
            lines.append(f"  --> {self.mark}")
            if self.mark.text:
                number = f"{self.mark.line:4d}"
                pad = " " * (self.mark.column - 1)
                lines.append(f"{number} | {self.mark.text}")
                lines.append(f"     | {pad}{'^' * max(1, self.mark.width)}")
        if self.hint:
            lines.append(f"  {self.hint}")
        return printable("\n".join(lines))

    def to_json(self) -> dict[str, object]:
        """Give the stable form that `--json` prints."""
        mark = self.mark
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "file": mark.file if mark else None,
            "line": mark.line if mark else None,
            "column": mark.column if mark else None,
        }


class GenHubError(Exception):
    """An error whose text is meant for the user; carries one or more problems.

    >>> str(GenHubError("GH302", "sampling.steps is 0, below 1", hint="use 1 to 1000"))
    'error[GH302] sampling.steps is 0, below 1\\n  use 1 to 1000'
    """

    def __init__(
        self, code: str, message: str = "", *, hint: str = "", mark: Mark | None = None
    ) -> None:
        self.problems: tuple[Problem, ...] = (Problem(code, message, hint, mark),)
        super().__init__(message)

    @classmethod
    def several(cls, problems: Iterable[Problem]) -> GenHubError:
        """Bundle problems found together; they are shown in the order given."""
        listed = tuple(problems)
        error = cls(listed[0].code, listed[0].message)
        error.problems = listed
        return error

    @property
    def code(self) -> str:
        """Give the code of the first problem."""
        return self.problems[0].code

    @property
    def exit_code(self) -> int:
        """Give the gravest exit status: a plugin's trouble before a wrong config before a run."""
        return max(problem.exit_code for problem in self.problems)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes whole, whatever arguments a subclass takes."""
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]

    def __str__(self) -> str:
        """Render every problem, separated by blank lines."""
        return "\n\n".join(problem.render() for problem in self.problems)


class PluginNotFound(GenHubError):
    """No installed distribution offers this name (GH201, or GH202 where its package is known)."""


class PluginBroken(GenHubError):
    """A plugin cannot be imported, or breaks the contract (GH203)."""


class PluginConflict(GenHubError):
    """Two distributions offer the same name (GH204)."""


class PlanRejected(GenHubError):
    """Raised by a `genhub_plan` hook to veto a plan."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("GH412", message, hint=hint)


class PeerLost(GenHubError):
    """Another rank is gone or did not answer in time."""

    def __init__(self, rank: int, where: str) -> None:
        super().__init__("GH607", f"rank {rank} was lost in {where}")
        self.rank = rank
        self.where = where


class ToldElsewhere(GenHubError):
    """What ended the run on another rank, which shows it; here the cause is an echo of it."""
