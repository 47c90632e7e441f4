"""What the host costs before a model is loaded: commands over bare Python, and one listing.

    python benchmarks/host.py [--rounds 15]

Commands run in fresh processes, in turn, so that a busy machine slows all alike; what is counted
is CPU time (user and system) of the process. Writes benchmarks/results/host.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from machine import describe

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "host.json"
VERSIONS = ("genhub-core", "pluggy", "pydantic", "pyyaml", "stevedore")
GENHUB = "from genhub.cli import main; raise SystemExit(main())"
COMMANDS = {
    "bare python": ["pass"],
    "genhub --help": [GENHUB, "--help"],
    "genhub plugins": [GENHUB, "plugins"],
    "genhub validate": [GENHUB, "validate", str(ROOT / "examples" / "quickstart.yaml")],
    "genhub schema": [GENHUB, "schema"],
}


def cpu_seconds(arguments: list[str]) -> float:
    """Give the CPU time of one fresh interpreter."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def listing_seconds() -> float:
    """Give the CPU time of reading all kinds from what is installed, libraries imported."""
    from genhub.registry import Registries

    begin = time.process_time()
    for registry in Registries():
        registry.entries()
    return time.process_time() - begin


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Give median and least CPU milliseconds of every command, and the median over bare Python."""
    seconds: dict[str, list[float]] = {name: [] for name in [*COMMANDS, "registry listing"]}
    for _ in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            seconds[name].append(cpu_seconds(arguments))
        seconds["registry listing"].append(listing_seconds())
    warm = {name: taken[1:] for name, taken in seconds.items()}  # the first round writes bytecode
    bare = statistics.median(warm["bare python"])
    figures = {}
    for name, taken in warm.items():
        median = statistics.median(taken)
        figures[name] = {"median_ms": round(median * 1e3, 1), "min_ms": round(min(taken) * 1e3, 1)}
        if name.startswith("genhub"):
            figures[name]["over_bare_ms"] = round((median - bare) * 1e3, 1)
    return figures


def main() -> None:
    """Measure, print a table and write the results."""
    parser = argparse.ArgumentParser(description="Measure what the host costs.")
    parser.add_argument("--rounds", type=int, default=15, help="rounds after the warm-up")
    figures = measure(parser.parse_args().rounds)
    print(f"{'CPU time':<20}{'median':>10}{'least':>10}{'over bare':>12}")
    for name, row in figures.items():
        over = f"{row['over_bare_ms']:.1f} ms" if "over_bare_ms" in row else ""
        print(f"{name:<20}{row['median_ms']:>7.1f} ms{row['min_ms']:>7.1f} ms{over:>12}")
    RESULTS.parent.mkdir(exist_ok=True)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe(VERSIONS) | {"distributions": sum(1 for _ in metadata.distributions())},
        "unit": "CPU milliseconds of the process",
        "figures": figures,
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
