"""A manifest that somebody has edited is told of in one sentence, whatever it holds now."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from struct import pack
from typing import Any
from zlib import crc32

import pytest
import runfolders

import genhub
from genhub.api import Task
from genhub.cli import main
from genhub.registry import Registries

VALUES: list[Any] = [None, 0, -1, 1e308, "x", "", [], {}, [1], {"a": 1}, True, "../../x", [[]]]


class Stub(Task):
    summary = "does nothing"
    reads = frozenset()

    def run(self, run: Any) -> None:
        run.log(figure=1.0)


def places(held: Any) -> Iterator[tuple[Any, Any]]:
    """Go through all places of a manifest, as container and key."""
    keys = held if isinstance(held, dict) else range(len(held)) if isinstance(held, list) else ()
    for key in keys:
        yield held, key
        yield from places(held[key])


def edit(folder: Path, seed: int) -> None:
    """Lose an entry, or put something else in its place."""
    rng = random.Random(seed)
    manifest = json.loads((folder / "manifest.json").read_text())
    container, key = rng.choice(list(places(manifest)))
    if isinstance(container, dict) and rng.random() < 0.3:
        del container[key]
    else:
        container[key] = rng.choice(VALUES)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(("command", "times"), [("show", 60), ("report", 12)])
def test_what_makes_no_sense_is_said_to(
    command: str, times: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runfolders.compared(tmp_path / "run")
    whole = (folder / "manifest.json").read_text()
    refused = 0
    for seed in range(times):
        (folder / "manifest.json").write_text(whole)
        edit(folder, seed)
        status = main([command, str(folder)])
        told = capsys.readouterr().err
        assert status == 0 or told.count("error[GH608]") == 1, (seed, told)
        refused += status != 0
    assert refused


def test_pictures_that_claim_to_be_huge_are_not_shown(tmp_path: Path) -> None:
    folder = runfolders.compared(tmp_path / "run")
    head = pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + pack(">I", len(head)) + b"IHDR" + head
    bomb += pack(">I", crc32(b"IHDR" + head)) + pack(">I4sI", 0, b"IEND", crc32(b"IEND"))
    (folder / "artifacts" / "000000.png").write_bytes(bomb)
    film = runfolders.video(tmp_path / "film")
    for path in film.glob("artifacts/*.webp"):
        path.write_bytes(bomb)
    assert main(["report", str(folder)]) == main(["report", str(film)]) == 0


def test_a_run_does_not_go_on_from_what_makes_no_sense(tmp_path: Path) -> None:
    registries = Registries()
    registries.get("tasks").add("stub", Stub)
    wanted = {"genhub": 1, "task": "stub", "output": {"dir": str(tmp_path), "report": False}}
    folder = genhub.run(wanted, registries=registries).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    for phases in ({"metrics": 3}, {"metrics": {"wall": "x", "cpu": 1}}):
        edited = {**manifest, "status": "failed", "phases": phases}
        (folder / "manifest.json").write_text(json.dumps(edited))
        with pytest.raises(genhub.GenHubError, match="make no sense"):
            genhub.run(folder, registries=registries)
