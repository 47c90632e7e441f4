"""One page about several runs: what differs in them, and what that did to figures and pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from genhub.api import GenHubError
from genhub.config.reader import read
from genhub.config.tree import plain
from genhub.execution.folder import read_manifest, replace_file
from genhub.execution.speedup import timing_rows
from genhub.report.contrast import contrast
from genhub.report.facts import headline, verdict
from genhub.report.gallery import Gallery, arranged, is_inside, label_of
from genhub.report.media import Room
from genhub.report.page import LIMIT, REPORT, ROOMS, template
from genhub.report.words import number

__all__ = ["write_side_by_side"]

MOST_RUNS = len(ascii_uppercase)
RESOLVED = "resolved.yaml"


@dataclass(frozen=True)
class _Run:
    """One run, by the letter that it has on the page."""

    letter: str
    folder: Path
    manifest: Mapping[str, Any]
    config: Any

    def column(self, variant: str) -> str:
        """Name a variant of this run."""
        alone = set(self.manifest.get("metrics") or self.variants) | set(self.variants) == {"main"}
        return self.letter if alone else f"{self.letter} {variant}"

    @property
    def variants(self) -> Mapping[str, Any]:
        """Give what the manifest says of each variant."""
        found: Mapping[str, Any] = self.manifest.get("variants") or {}
        return found


def write_side_by_side(folders: Sequence[Path], out: Path) -> Path:
    """Write the page about these run folders to `out`, whose links lead from there.

    Raises GenHubError (GH608) for a folder that is no run, one that is given twice, and runs that
    have neither a picture of one prompt and seed nor a figure in common.
    """
    runs = list(_read(folders))
    pairs, figures, times = _pairs(runs, out.parent), _figures(runs), _times(runs)
    if not pairs and not figures and len({row[0].split()[0] for row in times}) < 2:
        raise GenHubError(
            "GH608",
            "these runs have nothing in common: no picture of one prompt and seed, no figure, no "
            "time of a step",
            hint="give runs of one task, with the same prompts and seeds",
        )
    for room in ROOMS:
        page = template("side_by_side.html.j2").render(
            runs=[
                (run.letter, _link(run, out.parent), headline(run.manifest), verdict(run.manifest))
                for run in runs
            ],
            letters=[run.letter for run in runs],
            configs=_differing([run.config for run in runs]),
            surroundings=_differing([_surroundings(run.manifest) for run in runs]),
            figures=figures,
            times=times,
            galleries=_galleries(runs, pairs, out.parent, room),
        )
        if len(page.encode(errors="replace")) <= LIMIT:
            break
    try:
        replace_file(out, page.encode(errors="replace"))
    except OSError as error:
        raise GenHubError("GH601", f"cannot write {out}: {error.strerror}") from error
    return out


def _read(folders: Sequence[Path]) -> Iterator[_Run]:
    if len(folders) > MOST_RUNS:
        raise GenHubError("GH608", f"{len(folders)} runs are too many for one page")
    seen: set[Path] = set()
    for letter, folder in zip(ascii_uppercase, folders, strict=False):
        manifest = read_manifest(folder)
        if folder.resolve() in seen:
            raise GenHubError("GH608", f"{folder} is given twice", hint="give each run once")
        seen.add(folder.resolve())
        try:
            text = (folder / RESOLVED).read_text(encoding="utf-8")
            config = plain(read(text, str(folder / RESOLVED))[0])
        except (OSError, UnicodeDecodeError, GenHubError):
            raise GenHubError(
                "GH608", f"{folder} cannot be compared: it has no {RESOLVED} that can be read"
            ) from None
        yield _Run(letter, folder, manifest, config)


def _differing(values: Sequence[Any]) -> list[tuple[str, ...]]:
    return [(path, *cells) for path, cells in contrast(values)]


def _link(run: _Run, base: Path) -> tuple[str, str]:
    """Give the name of a run and the address of its own page, or of its folder."""
    report = run.folder / REPORT
    target = report if report.is_file() else run.folder
    return str(run.manifest["run"]), _from(base, target)


def _from(base: Path, path: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _surroundings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a run depends on beside its config, such as machine and versions."""
    machine = manifest.get("machine") or {}
    model = manifest.get("model") or {}
    return {
        **{key: machine.get(key) for key in ("python", "system", "cpu", "gpus", "cuda")},
        **dict(machine.get("versions") or {}),
        **{
            f"plugin {p['name']}": f"{p['dist']} {p['version']}"
            for p in manifest.get("plugins", [])
        },
        "device": manifest.get("device"),
        "model": {key: model.get(key) for key in ("source", "revision", "pipeline", "dtype")},
        "weights": {
            name: str(file.get("sha256"))[:12] for name, file in (model.get("files") or {}).items()
        },
        "repository": manifest.get("repository"),
    }


def _figures(runs: Sequence[_Run]) -> dict[str, Any]:
    """Lay out metrics that at least two runs have: columns by run and variant."""
    by_column = {
        run.column(variant): (run.letter, figures)
        for run in runs
        for variant, figures in (run.manifest.get("metrics") or {}).items()
    }
    owners: dict[str, set[str]] = {}
    for letter, figures in by_column.values():
        for name in figures:
            owners.setdefault(name, set()).add(letter)
    rows = []
    for name in (name for name, letters in owners.items() if len(letters) > 1):
        cells = [figures.get(name) for _, figures in by_column.values()]
        rows.append((name, cells, all(v is None or 0 <= v <= 1 for v in cells)))
    return {"variants": list(by_column), "rows": rows} if rows else {}


def _times(runs: Sequence[_Run]) -> list[tuple[str, ...]]:
    """Give rows of step times, and of the ratios that each run took in turns."""
    rows = []
    for run in runs:
        timing = run.manifest.get("timing")
        ratios = {}
        if timing:
            *_, versus = timing_rows(timing).values()
            ratios = {v: f"{text}, against {timing['reference']}" for v, text in versus.items()}
        for variant, about in run.variants.items():
            if about["steps"].get("count"):
                times = (number(about["steps"][key]) for key in ("p50_ms", "p95_ms"))
                rows.append((run.column(variant), *times, ratios.get(variant, "-")))
    return rows


Pairs = dict[str, dict[int, dict[str, Mapping[str, Any]]]]  # by kind, number and column


def _pairs(runs: Sequence[_Run], base: Path) -> Pairs:
    """Pair the files of at least two runs by kind, prompt and seed."""
    found: dict[tuple[str, str, int], dict[str, Mapping[str, Any]]] = {}
    letters: dict[tuple[str, str, int], set[str]] = {}
    shared = _shared_variants(runs)
    for run in runs:
        for entry in run.manifest.get("artifacts", []):
            sample = entry["sample"]
            if sample["variant"] not in shared or not is_inside(run.folder, entry["path"]):
                continue
            key = (entry["kind"], sample.get("prompt") or "", sample["seed"])
            path = _from(base, run.folder / entry["path"])
            entries = found.setdefault(key, {})
            if entries.setdefault(run.column(sample["variant"]), {**entry, "path": path}):
                letters.setdefault(key, set()).add(run.letter)
    pairs: Pairs = {}
    numbers = count()
    for key, entries in found.items():
        if len(letters[key]) > 1 and key[0] in ("image", "audio", "video"):
            pairs.setdefault(key[0], {})[next(numbers)] = entries
    return pairs


def _shared_variants(runs: Sequence[_Run]) -> set[str]:
    """Give the variants worth a column: main, and those that two runs have."""
    listed = [name for run in runs for name in run.variants]
    return {"main"} | {name for name in listed if listed.count(name) > 1}


def _galleries(runs: Sequence[_Run], pairs: Pairs, base: Path, room: int) -> list[Gallery]:
    pieces = sum(2 * len(entries) for kind in pairs.values() for entries in kind.values())
    media = Room(room, pieces)
    shared = _shared_variants(runs)
    galleries = []
    for kind, by_number in pairs.items():
        labels = {}
        for run in runs:
            for variant in sorted(shared, key=lambda name: (name != "main", name)):
                column = run.column(variant)
                if any(column in entries for entries in by_number.values()):
                    labels[column] = f"{run.letter} {label_of(variant, run.manifest)}"
        galleries.append(arranged(base, by_number, kind, media, labels))
    return galleries
