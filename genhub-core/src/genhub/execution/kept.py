"""What an earlier process of the same run has finished: found again, checked, and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from genhub.api import Artifact, GenHubError, Request, Sample, Sink
from genhub.execution.artifacts import file_name, read_embedded
from genhub.execution.result import artifact_of

__all__ = ["Kept", "KeptSink"]

RECIPE = "recipe"  # in an artifact's info: the sha256 of the config that makes it
Payloads = Mapping[int, Mapping[str, Any]]  # by index of a sample, what `embedded` gives


class Kept:
    """The artifacts that a run which is gone on with has already.

    One is kept where its file is as the manifest lists it and was made by the sample's very config,
    or, as a run may be killed between a file and its entry, where a whole picture carries that
    config. A path is looked at once: what this process writes is never an earlier one's.
    """

    def __init__(self, folder: Path, listed: Sequence[Mapping[str, Any]] | None) -> None:
        """Look at a folder; `listed` is None in a new one."""
        self.any = listed is not None
        self.told: set[str] = set()  # paths that were listed: hooks know of these artifacts
        self._folder = folder
        self._listed = {str(entry["path"]): entry for entry in listed or ()}
        paths = (folder / "artifacts").glob("[!.]*") if self.any else ()
        self._paths = {path.relative_to(folder).as_posix() for path in paths}

    def of(self, request: Request, payloads: Payloads) -> dict[int, Artifact]:
        """Give what is there of a batch, by place in it."""
        found = {}
        for place, sample in enumerate(request.samples):
            kept = self._find(sample, payloads[sample.index])
            if kept is not None:
                found[place] = kept
        return found

    def unseen(self) -> list[Mapping[str, Any]]:
        """Give the entries of the manifest that were not asked for yet."""
        return [entry for path, entry in self._listed.items() if path in self._paths]

    def forget(self, path: str) -> None:
        """Take a file out that this process has made anew."""
        self._paths.discard(path)

    def _find(self, sample: Sample, payload: Mapping[str, Any]) -> Artifact | None:
        stem = Path(file_name(sample)).stem
        for path in sorted(p for p in self._paths if Path(p).stem == stem):
            self._paths.discard(path)
            digest = sha256((self._folder / path).read_bytes()).hexdigest()
            entry = self._listed.get(path)
            if entry is not None and entry["sha256"] == digest:
                if entry.get("info", {}).get(RECIPE) == _recipe(payload):
                    self.told.add(path)
                    return replace(artifact_of(entry), sample=sample)
            elif path.endswith(".png") and (size := self._size_if_whole(path, payload)) is not None:
                info = {**size, RECIPE: _recipe(payload)}
                return Artifact(path, "image", sample, digest, info=info)
        return None

    def _size_if_whole(self, path: str, payload: Mapping[str, Any]) -> dict[str, int] | None:
        """Give width and height of a picture that carries `payload` and can be decoded."""
        from genhub.metrics.pictures import open_picture

        try:
            if read_embedded(self._folder / path) != json.loads(json.dumps(payload)):
                return None
            height, width, _ = open_picture(self._folder / path).shape
        except (GenHubError, OSError, ValueError, SyntaxError):
            return None
        return {"width": width, "height": height}


class KeptSink:
    """A sink that leaves the samples of a batch alone which are there already."""

    def __init__(
        self,
        inner: Sink,
        request: Request,
        payloads: Payloads,
        kept: Mapping[int, Artifact],
        tells: bool = True,
    ) -> None:
        """Wrap a sink; of several ranks that make the batch, one `tells` of what was kept."""
        self._inner = inner
        self._request = request
        self._payloads = payloads
        self._kept = kept
        self._tells = tells

    def write(self, chunk: Any, sample: int = 0) -> None:
        """Take a piece of the `sample`-th sample of the request."""
        if sample not in self._kept:
            self._inner.write(chunk, sample)

    def close(self) -> Sequence[Artifact]:
        """Give the artifacts, kept and new, in the order of the samples."""
        made = [
            replace(a, info={**a.info, RECIPE: _recipe(self._payloads[a.sample.index])})
            for a in self._inner.close()
        ]
        order = {sample: place for place, sample in enumerate(self._request.samples)}
        kept = self._kept.values() if self._tells else ()
        return sorted([*kept, *made], key=lambda a: order[a.sample])


def _recipe(payload: Mapping[str, Any]) -> str:
    return sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
