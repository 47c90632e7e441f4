"""What the host costs: commands before a model is loaded, planning, a denoising step, a whole run.

    python benchmarks/host.py [--rounds 15] [--quick]

Commands run in fresh processes, in turn with bare Python, so that a busy machine slows all alike;
what is counted is CPU time of the process, and the least of all rounds, because whatever else runs
only adds. The cost of a step is the difference of the same pipeline with and without the host,
called in turn, with a denoiser that returns at once: against a real one it would drown in noise.
The run of the quickstart is wall time of the command. Writes benchmarks/results/host.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from machine import describe

import genhub

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "host.json"
EXAMPLES = Path(genhub.__file__).parent / "examples"
VERSIONS = (
    *("genhub-core", "genhub-cprocgen", "gymnasium", "pluggy", "pydantic", "pyyaml", "stevedore"),
    *("torch", "diffusers", "transformers"),
)
GENHUB = "from genhub.cli import main; raise SystemExit(main())"
LIBRARIES = """
import argparse, pluggy, stevedore, yaml
from importlib import metadata
import pydantic
metadata.entry_points(group="genhub.tasks")
class Model(pydantic.BaseModel):
    steps: int = pydantic.Field(20, ge=1)
Model()
"""
COMMANDS = {
    "bare python": ["pass"],
    "genhub --help": [GENHUB, "--help"],
    "genhub plugins": [GENHUB, "plugins"],
    "genhub validate": [GENHUB, "validate", str(EXAMPLES / "linear.yaml")],
    "genhub schema": [GENHUB, "schema"],
    "the libraries of validate alone": [LIBRARIES],
    "numpy and gymnasium": ["import numpy, gymnasium.vector"],
    "numpy, gymnasium and genhub-cprocgen": ["import genhub_cprocgen.vector"],
    "import genhub_cprocgen": ["import genhub_cprocgen"],
}
# CPU milliseconds over bare Python, for a machine on which bare Python takes 8 ms.
OVER_BARE = {"genhub --help": 22, "genhub plugins": 67, "genhub validate": 150}
BARE = 8.0
PROMPT = "a large red star in the center on white"


@dataclass
class Figure:
    """One measured number, its unit, and what it is held against."""

    value: float
    unit: str
    target: float | None = None

    def to_json(self) -> dict[str, object]:
        """Give the row of the results file."""
        row: dict[str, object] = {"value": _rounded(self.value), "unit": self.unit}
        if self.target is not None:
            row |= {"target": _rounded(self.target), "met": self.value <= self.target}
        return row


def commands(rounds: int) -> dict[str, Figure]:
    """Time the commands that need no torch; targets grow with what bare Python takes here."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            taken[name].append(_cpu_of(arguments) * 1e3)
    least = {name: min(each[1:]) for name, each in taken.items()}  # the first round compiles
    bare = least.pop("bare python")
    scale = max(1.0, bare / BARE)
    figures = {"bare python": Figure(bare, "ms CPU")}
    for name, value in least.items():
        target = OVER_BARE[name] * scale if name in OVER_BARE else None
        figures[f"{name}, over bare python"] = Figure(value - bare, "ms CPU", target)
    added = least["numpy, gymnasium and genhub-cprocgen"] - least["numpy and gymnasium"]
    figures["genhub-cprocgen, over numpy and gymnasium"] = Figure(added, "ms CPU")
    return figures


def registry(rounds: int) -> dict[str, Figure]:
    """List all kinds from what is installed, libraries imported."""
    from genhub.registry import Registries

    def listing() -> None:
        for each in Registries():
            each.entries()

    return {"list every plugin": Figure(_least(listing, rounds) * 1e3, "ms CPU")}


def reading(rounds: int) -> dict[str, Figure]:
    """Read 600 lines of YAML with positions."""
    from genhub.config.reader import read

    lines = ["genhub: 1", "input:", "  prompts:"]
    lines += [f"    - {{text: a {n} pixel circle on white, start: {n}}}" for n in range(597)]
    text = "\n".join(lines)
    seconds = _least(lambda: read(text, "run.yaml"), rounds)
    return {"read 600 lines of YAML": Figure(seconds * 1e3, "ms CPU", 20)}


def planning(rounds: int) -> dict[str, Figure]:
    """Probe a UNet of the size of Stable Diffusion 1.5 (32 sites) on meta, afresh and again."""
    import torch

    from genhub.plan import facts_of
    from genhub.plan.observe import probed

    unet = _sd15((320, 640, 1280, 1280), 8, torch.device("meta"))

    def afresh() -> None:
        probed.cache_clear()
        assert len(facts_of(unet).sites) == 32

    return {
        "plan 32 sites": Figure(_least(afresh, min(rounds, 5)) * 1e3, "ms CPU", 600),
        "plan 32 sites again": Figure(_least(lambda: facts_of(unet), rounds) * 1e3, "ms CPU"),
    }


def attaching(rounds: int) -> dict[str, Figure]:
    """Attach a mixer to 32 sites of a planned UNet and detach it."""
    import torch

    from genhub.api import AttentionMixer, Where
    from genhub.plan import facts_of, install
    from genhub.plan.parts import parts_from_blocks
    from genhub.plan.plan import plan_parts

    class Same(AttentionMixer):
        default_where = Where()

        def build(self, site, attn, ctx):
            return type(attn.processor)()

    unet = _sd15((8, 16, 16, 16), 2, torch.device("cpu"))
    plan = plan_parts(parts_from_blocks([Same()], None, None), facts_of(unet), unet)
    assert sum(len(claim.sites) for claim in plan.claims) == 32
    seconds = _least(lambda: install(plan, unet).detach(), rounds)
    return {"attach to 32 sites and detach": Figure(seconds * 1e3, "ms CPU", 5)}


def stepping(rounds: int) -> dict[str, Figure]:
    """Give what an attachment without listeners adds to a denoising step of tiny:shapes."""
    import torch

    from genhub.models.shapes import Shapes

    pipe = Shapes().load(torch.float32, torch.device("cpu"))
    pipe.set_progress_bar_config(disable=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # CPU time is of one core's work, without threads that wait

    def generate(steps: int) -> float:
        """Give the CPU seconds of one step."""
        begin = time.process_time()
        generator = torch.Generator().manual_seed(0)
        settings = {"guidance_scale": 3.0, "output_type": "latent", "generator": generator}
        pipe(PROMPT, num_inference_steps=steps, **settings)
        return (time.process_time() - begin) / steps

    generate(5)
    step = min(generate(20) for _ in range(3))
    real = _differences(pipe, lambda: generate(20), rounds)
    pipe.unet.forward = lambda sample, *args, **kwargs: (torch.zeros_like(sample),)
    generate(5)
    instant = _differences(pipe, lambda: generate(100), 3 * rounds)
    torch.set_num_threads(threads)
    cost = statistics.median(instant)
    low, *_, high = statistics.quantiles(real, n=20)
    return {
        "a step of tiny:shapes": Figure(step * 1e3, "ms CPU"),
        "host per step": Figure(cost * 1e6, "us CPU", 20),
        "host per step, share of a step": Figure(cost / step * 100, "%", 0.1),
        "real steps with the host against bare, median": Figure(
            statistics.median(real) / step * 100, "%"
        ),
        "real steps, 5 % quantile": Figure(low / step * 100, "%"),
        "real steps, 95 % quantile": Figure(high / step * 100, "%"),
    }


def quickstart() -> dict[str, Figure]:
    """Run the quickstart as a user does, and note when its first picture is there."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", GENHUB, "run", str(EXAMPLES / "quickstart.yaml")]
        command += ["--set", f"output.dir={folder}"]
        begin, first = time.perf_counter(), None
        child = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment()
        )
        while child.poll() is None:
            if first is None and any(Path(folder).glob("*/artifacts/*.png")):
                first = time.perf_counter() - begin
            time.sleep(0.02)
        whole = time.perf_counter() - begin
        if child.returncode or first is None:
            raise SystemExit(f"the quickstart failed with status {child.returncode}")
    return {
        "quickstart, first picture": Figure(first, "s wall", 15),
        "quickstart, end to end": Figure(whole, "s wall", 25),
    }


def main() -> None:
    """Measure, print a table and write the results."""
    parser = argparse.ArgumentParser(description="Measure what the host costs.")
    parser.add_argument("--rounds", type=int, default=15, help="rounds after the warm-up")
    parser.add_argument("--quick", action="store_true", help="commands only; writes nothing")
    args = parser.parse_args()
    figures = {**commands(args.rounds), **registry(args.rounds), **reading(args.rounds)}
    if not args.quick:
        figures |= {**quickstart(), **planning(args.rounds), **attaching(args.rounds)}
        figures |= stepping(args.rounds)
    for name, figure in figures.items():
        row = figure.to_json()
        verdict = {True: "met", False: "NOT MET", None: ""}[row.get("met")]
        goal = f"<= {row['target']:g}" if "target" in row else ""
        print(f"{name:<48}{row['value']:>10g} {figure.unit:<8}{goal:>10}  {verdict}")
    if args.quick:
        return
    RESULTS.parent.mkdir(exist_ok=True)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe(VERSIONS) | {"distributions": sum(1 for _ in metadata.distributions())},
        "figures": {name: figure.to_json() for name, figure in figures.items()},
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {RESULTS.relative_to(ROOT)}")


def _sd15(channels: tuple[int, ...], heads: int, device: object) -> object:
    """Build a UNet with the blocks of Stable Diffusion 1.5."""
    import torch
    from diffusers import UNet2DConditionModel

    with device:
        return UNet2DConditionModel(
            sample_size=64,
            block_out_channels=channels,
            attention_head_dim=heads,
            norm_num_groups=min(32, channels[0]),
            cross_attention_dim=768,
        ).to(torch.float32)


def _differences(pipe: object, run: Callable[[], float], rounds: int) -> list[float]:
    """Run without and with the host in turn; give what the host added in every round."""
    added = []
    for _ in range(rounds):
        bare = run()
        with genhub.attach(pipe):
            added.append(run() - bare)
    return added


def _least(run: Callable[[], object], rounds: int) -> float:
    run()
    taken = []
    for _ in range(rounds):
        begin = time.process_time()
        run()
        taken.append(time.process_time() - begin)
    return min(taken)


def _cpu_of(arguments: list[str]) -> float:
    """Give the CPU time of one fresh interpreter, user and system."""
    command = [sys.executable, "-c", *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


if __name__ == "__main__":
    main()
