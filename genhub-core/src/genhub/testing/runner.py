"""Run the checks of one plugin and collect how each ended; what `genhub check` shows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Literal

from genhub.errors import GenHubError

__all__ = ["CLASSES", "Outcome", "check", "outcomes_of"]

# The class of genhub.testing that checks plugins of a kind.
CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "attention_mixers": "AttentionMixerTests",
        "parallel_schedulers": "ParallelSchedulerTests",
        "decoders": "DecoderTests",
        "environments": "EnvironmentTests",
        "kernels": "KernelTests",
        "search_spaces": "SearchSpaceTests",
        "search_strategies": "SearchStrategyTests",
        "tasks": "TaskTests",
        "models": "ModelSourceTests",
        "metrics": "MetricTests",
        "commands": "CommandTests",
        "hooks": "HookTests",
    }
)

_TEST = """\
import genhub.testing


class TestPlugin(genhub.testing.{base}):
    {subject}
"""


@dataclass(frozen=True)
class Outcome:
    """How one check ended; `message` is one sentence: what is wrong, or why it was skipped."""

    check: str
    status: Literal["ok", "failed", "skipped"]
    message: str = ""


def check(kind: str, name: str) -> list[Outcome]:
    """Check one installed plugin as a test class in its own package would; kernels with all those
    of their operation.

    Raises GH505 where pytest is not installed.
    """
    if not find_spec("pytest"):
        raise GenHubError(
            "GH505",
            "checking plugins needs pytest, which is not installed",
            hint='pip install "genhub-core[testing]"',
        )
    with TemporaryDirectory(prefix="genhub-check-") as folder:
        file = Path(folder, f"{Path(folder).name}.py")  # no other module has this name
        subject = f"op = {_operation(name)!r}" if kind == "kernels" else f"plugin = {name!r}"
        text = _TEST.format(base=CLASSES[kind], subject=subject)
        file.write_text(text, encoding="utf-8")
        return outcomes_of(file)


def _operation(name: str) -> str:
    return name.rpartition(":")[2].rpartition(".")[0]


def outcomes_of(file: Path) -> list[Outcome]:
    """Run the tests of one file in this process, quietly, and give how each ended."""
    import pytest

    collector = _Collector()
    options = ["--import-mode=importlib", "--rootdir", str(file.parent), "-c", os.devnull]
    options += ["-p", "no:cacheprovider", "-p", "no:terminal", "-W", "ignore"]
    options += ["-p", "no:unraisableexception"]  # it collects garbage five times, for seconds
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        pytest.main([*options, str(file)], plugins=[collector])
    if collector.trouble is not None:
        raise collector.trouble
    return collector.outcomes


class _Collector:
    """A pytest plugin that notes how each check ends."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.trouble: BaseException | None = None

    def pytest_collectreport(self, report: Any) -> None:
        """Keep what stops the checks from being found."""
        if report.failed:
            self.trouble = RuntimeError(str(report.longrepr))

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Note a check that ran, or whose preparation failed."""
        import pytest

        if call.when == "teardown" or (call.when == "setup" and call.excinfo is None):
            return
        name = item.name.removeprefix("test_").replace("_", " ")
        if call.excinfo is None:
            self.outcomes.append(Outcome(name, "ok"))
        elif call.excinfo.errisinstance(pytest.skip.Exception):
            self.outcomes.append(Outcome(name, "skipped", _sentence(call.excinfo.value)))
        else:
            self.outcomes.append(Outcome(name, "failed", _sentence(call.excinfo.value)))


def _sentence(error: BaseException) -> str:
    import pytest

    if isinstance(error, GenHubError):
        return error.problems[0].message
    told = isinstance(error, pytest.fail.Exception | pytest.skip.Exception)
    text = " ".join(str(error).split())
    return text if told else f"{type(error).__name__}: {text}"
