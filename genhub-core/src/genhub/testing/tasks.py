"""What holds for every task, tried by runs in a folder of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, ClassVar

import pytest

from genhub.api import GenHubError
from genhub.testing.guards import watching
from genhub.testing.plugins import PluginTests, complain, one_line

__all__ = ["TaskTests"]

_CLOCKED = re.compile(r"second|time|_s$|_ms$|per_s")  # figures that differ from run to run
_SMALLEST: Mapping[str, Any] = {
    "model": {"source": "tiny:shapes"},
    "input": {"prompts": ["a large red star in the center on white"]},
    "sampling": {"steps": 2},
}


class TaskTests(PluginTests):
    """Checks of a task.

    `run_config` holds the blocks beside `task` of the smallest run that makes sense; left out, a
    task that reads a model, prompts or sampling gets `tiny:shapes`, one caption and two steps.
    """

    kind: ClassVar[str] = "tasks"
    run_config: ClassVar[Mapping[str, Any]] = {}

    def test_reads_are_blocks_of_a_config(self) -> None:
        """`reads` names top-level blocks; any other word would never be found."""
        from genhub.config.checks import OPTIONAL

        reads = self.driver_class().reads
        unknown = sorted(set(reads) - set(OPTIONAL))
        if unknown:
            complain(f"reads names '{unknown[0]}'; the blocks are: {', '.join(OPTIONAL)}")

    def test_runs_to_the_end(self) -> None:
        """The smallest run ends well, and its manifest says so."""
        for settings, _ in self.valid():
            result = self._ran(json.dumps(settings))
            guessed = isinstance(result, GenHubError) and not self.run_config
            if guessed and result.code not in ("GH605", "GH606"):
                pytest.skip(f"say run_config = {{...}} in the test class: {one_line(result)}")
            if isinstance(result, Exception):
                complain(f"config {settings}: the run failed: {one_line(result)}")
            manifest = json.loads((result.folder / "manifest.json").read_text(encoding="utf-8"))
            if manifest["status"] != "done":
                complain(f"config {settings}: the manifest says {manifest['status']}, not done")

    def test_same_seed_gives_the_same_result(self) -> None:
        """A second run makes the same artifacts and the same figures, times aside."""
        for settings, first in self._done():
            second = self._run(settings, self._folder())
            if told := _difference(first, second):
                complain(f"config {settings}: a second run gives {told}: draw from run.config.seed")

    def test_interrupted_run_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Cut short after its first checkpoint, it goes on and ends with the same result."""
        from genhub.execution.checkpoint import FileCheckpoint

        saved = FileCheckpoint.save

        def save_and_stop(self: Any, *args: Any, **kwargs: Any) -> None:
            saved(self, *args, **kwargs)
            raise KeyboardInterrupt

        for settings, first in self._done():
            folder = self._folder()
            with monkeypatch.context() as patch:
                patch.setattr(FileCheckpoint, "save", save_and_stop)
                try:
                    self._run(settings, folder)
                except GenHubError as error:
                    if error.code != "GH603":
                        complain(f"Ctrl-C after a checkpoint ends in {one_line(error)}")
                else:
                    pytest.skip("it saves no checkpoint")
            import genhub

            (cut,) = [path for path in folder.glob("*") if not path.is_symlink()]
            try:
                second = genhub.run(cut, registries=self.registries())
            except GenHubError as error:
                complain(f"config {settings}: going on after Ctrl-C fails: {one_line(error)}")
            if told := _difference(first, second):
                complain(
                    f"config {settings}: cut short and gone on with, the run gives {told}: "
                    "save everything that later steps depend on"
                )

    def test_files_and_network_are_left_alone(self) -> None:
        """Everything is written into the run's folder, and no address is asked for."""
        for settings, _ in self._done():
            folder = self._folder()
            with watching(folder) as deeds:
                self._run(settings, folder)
            if deeds.writes:
                complain(f"{deeds.writes[0]} was written: write below run.folder")
            if deeds.calls:
                complain(f"it asked the network for {deeds.calls[0]}: nothing may")

    def _done(self) -> list[tuple[dict[str, Any], Any]]:
        """Give the configs whose run ended well, with its result; skip where there is none."""
        tried = [(each, self._ran(json.dumps(each))) for each, _ in self.valid()]
        found = [(each, result) for each, result in tried if not isinstance(result, Exception)]
        return found or pytest.skip("no run ended well: see test_runs_to_the_end")

    @classmethod
    def _folder(cls) -> Path:
        """Make a new folder; it goes when the interpreter ends."""
        return Path(mkdtemp(dir=cls._scratch().name))

    @classmethod
    @cache
    def _scratch(cls) -> TemporaryDirectory[str]:
        return TemporaryDirectory(prefix="genhub-task-")

    @classmethod
    @cache
    def _ran(cls, settings: str) -> Any:
        try:
            return cls._run(json.loads(settings), cls._folder())
        except GenHubError as error:
            return error

    @classmethod
    def _run(cls, settings: dict[str, Any], folder: Path) -> Any:
        import genhub

        reads = cls.driver_class().reads
        config = {key: value for key, value in _SMALLEST.items() if key in reads}
        config |= {"genhub": 1, "name": "check", "output": {"report": False}, **cls.run_config}
        config["task"] = {"type": cls.entry().qualified, **settings}
        return genhub.run(config, output=folder, registries=cls.registries())


def _difference(one: Any, other: Any) -> str:
    """Say in what two results differ, if in anything."""
    if [a.sha256 for a in one.artifacts] != [a.sha256 for a in other.artifacts]:
        return "other artifacts"
    for variant, figures in one.metrics.items():
        for name, value in figures.items():
            seen = other.metrics.get(variant, {}).get(name)
            if seen != value and not _CLOCKED.search(name):
                return f"{name} = {seen}, not {value}"
    return ""
