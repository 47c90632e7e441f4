"""`kill -9` at any moment leaves a folder that can be read, and that the same run goes on in."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from genhub.execution.artifacts import read_embedded
from genhub.execution.folder import read_manifest
from toys import ToySite

MOMENTS, BY_TIME = 18, 4  # and three of a run that makes pictures
LABOUR = """
    from pydantic import Field
    from genhub.api import PluginConfig, Task

    class Config(PluginConfig):
        steps: int = Field(8, ge=1, description="how far")

    class Toy(Task):
        Config = Config
        summary = "adds up, and writes down every sum"
        reads = frozenset()

        def run(self, run):
            import os
            import torch

            checkpoint = run.checkpoint()
            found = checkpoint.load()
            begun, total = (0, torch.zeros(2)) if found is None else (found[0], found[1]["total"])
            for step in range(begun + 1, self.config.steps + 1):
                total = total * 1.25 + step
                path = run.folder / "artifacts" / f"{step:06d}.txt"
                part = path.with_name(f".{path.name}.part")
                part.write_text(f"{total.tolist()}\\n")
                os.replace(part, path)
                run.log(step=step, total=float(total.sum()))
                run.progress(step, self.config.steps)
                checkpoint.save(step, {"total": total}, {"note": "half way"})
"""


class Server:
    """A fork server, and what it is asked for."""

    def __init__(self, site: ToySite, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forkserver.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "PYTHONPATH": str(site.folder), "OMP_NUM_THREADS": "1", "CI": ""},
        )  # fmt: skip

    def genhub(self, *arguments: object, **how: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        task = {"arguments": [str(a) for a in arguments], "watch": str(self.folder), **how}
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def runs(self) -> list[Path]:
        """Give the run folders, half-made ones aside."""
        return [p for p in sorted(self.folder.glob("runs/[!.]*")) if not p.is_symlink()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    site = ToySite(tmp_path_factory.mktemp("site"))
    site.install("plg-labour", {"tasks": {"labour": "plg_labour:Toy"}}, {"plg_labour": LABOUR})
    started = Server(site, tmp_path_factory.mktemp("killed"))
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


def check_is_readable(server: Server, folder: Path) -> None:
    """Assert that every file under a final name is whole, and that `show` tells of the run."""
    manifest = read_manifest(folder)
    assert manifest["status"] in ("running", "done")
    assert server.genhub("show", folder)["status"] == 0
    for artifact in manifest.get("artifacts") or ():
        assert (folder / artifact["path"]).is_file()
    for path in folder.glob("artifacts/[!.]*"):
        assert path.read_text().endswith("]\n") if path.suffix == ".txt" else read_embedded(path)
    for path in folder.glob("*.safetensors"):
        assert load_file(path)
    for path in folder.glob("*.jsonl"):
        assert [json.loads(line) for line in path.read_text().splitlines()]
    if (folder / "report.html").exists():
        assert (folder / "report.html").read_text().rstrip().endswith("</html>")


def outcome(folder: Path) -> dict[str, Any]:
    """Give all that must not depend on whether the run was killed."""
    manifest = read_manifest(folder)
    kept = ("status", "metrics", "error", "problems", "config_sha256", "report", "seed", "task")
    entries = [{k: a[k] for k in ("path", "sha256", "info")} for a in manifest["artifacts"]]
    paths = [*sorted(folder.glob("artifacts/*")), *sorted(folder.glob("*.safetensors"))]
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))
    return {
        "manifest": {key: manifest[key] for key in kept},
        "artifacts": entries,
        "bytes": [path.read_bytes() for path in paths],
        "names": names,
        "figures": (folder / "metrics.jsonl").read_text(),
    }


def killed_and_gone_on(server: Server, config: Path, whole: dict[str, Any], **how: Any) -> bool:
    """Kill a run, look at what it left, go on; say whether there was a run to go on with."""
    before = set(server.runs())
    status = server.genhub("run", config, "--quiet", **how)["status"]
    while status == 0 and "kill_after" in how:  # it took less time than the run that was timed
        before, how = set(server.runs()), {"kill_after": 0.8 * how["kill_after"]}
        status = server.genhub("run", config, "--quiet", **how)["status"]
    assert status == -9
    left = [run for run in server.runs() if run not in before]
    for folder in left:
        check_is_readable(server, folder)
        ended = read_manifest(folder)["status"] == "done" and "report" in read_manifest(folder)
        assert server.genhub("run", folder, "--quiet")["status"] == 0
        if ended:  # and then it is repeated, beside it
            (folder,) = [run for run in server.runs() if run not in {*before, folder}]
        assert outcome(folder) == whole, how
    return bool(left)


def test_a_task_killed_at_22_moments_ends_with_the_numbers_of_one_that_was_not(
    server: Server,
) -> None:
    config = server.folder / "labour.yaml"
    config.write_text(f"genhub: 1\ntask: labour\noutput: {{dir: {server.folder}/runs}}\n")
    answer = server.genhub("run", config, "--quiet")
    assert answer["status"] == 0
    (first,) = server.runs()
    whole = outcome(first)
    rng = random.Random(25)
    moments = sorted(rng.sample(range(1, answer["changes"] + 1), MOMENTS))
    times = [answer["cpu"] * rng.uniform(0.1, 0.9) for _ in range(BY_TIME)]
    ways = [*({"kill": moment} for moment in moments), *({"kill_after": time} for time in times)]
    went_on = [killed_and_gone_on(server, config, whole, **way) for way in ways]
    assert sum(went_on) >= MOMENTS - 5  # the first changes make the folder


PICTURES = """
genhub: 1
model: {{source: "tiny:shapes"}}
input:
  prompts: [a large red star in the center on white, a small blue ring on the left on black]
sampling: {{steps: 2, guidance: 3}}
compare: [baseline]
metrics: [caption-accuracy, psnr]
output: {{dir: {folder}/runs}}
"""


def test_pictures_killed_at_three_moments_are_those_of_a_run_that_was_not(server: Server) -> None:
    config = server.folder / "pictures.yaml"
    config.write_text(PICTURES.format(folder=server.folder))
    before = set(server.runs())
    answer = server.genhub("run", config, "--quiet")
    assert answer["status"] == 0
    (first,) = set(server.runs()) - before
    whole = outcome(first)
    rng = random.Random(3)
    for moment in rng.sample(range(12, answer["changes"] + 1), 3):
        assert killed_and_gone_on(server, config, whole, kill=moment)
