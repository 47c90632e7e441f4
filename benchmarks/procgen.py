"""Steps per CPU second of genhub-cprocgen against the benchmark library and EnvPool.

    python benchmarks/procgen.py [--rounds 5] [--procgen PYTHON] [--envpool PYTHON] [--quick]

64 environments in easy mode, random actions, one thread, pictures as each library draws them by
itself, ours also with those of the benchmark. Each library steps in a process of its own, in an
environment that is made under .nox/peers at the first run, or that of the interpreter given
(EnvPool needs Qt 5 of the system, on Debian libqt5gui5); where one cannot be installed its column
stays empty. Libraries take turns within a round; a figure is the median over the rounds of CPU
times, a ratio the median of the rounds' ratios. Two threads are held against one by the least of
many short bursts: by wall time where two single-threaded jobs at once run as fast as each alone,
otherwise by half the CPU time of both, for they take environments in chunks as they come free.
Writes benchmarks/results/procgen.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from machine import describe

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "procgen.json"
PEERS = {
    "procgen": ["procgen-mirror", "numpy<2"],
    "envpool": ["envpool", "gymnasium"],
}
ENVS, SOME, MANY = 64, 1024, 4096
BURST = 4096  # steps of an environment that a short run has
FREE = 0.05  # what a job may take longer while another works on the other core
# Promised: geometric means over all games, the least of a game, threads, many environments.
OVER_PROCGEN, OVER_PROCGEN_LEAST, OVER_ENVPOOL = 5.0, 3.0, 8.0
BLIND_OVER_PROCGEN, TWO_THREADS, MANY_OVER_FEW = 15.0, 1.85, 1.2
Spent = dict[str, float]


class Worker:
    """A library in a process of its own, pinned to some cores."""

    def __init__(self, library: str, python: str, cores: Sequence[int]) -> None:
        script = Path(__file__).with_name("procgen_worker.py")
        self._process = subprocess.Popen(
            [python, "-I", str(script), library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        os.sched_setaffinity(self._process.pid, cores)
        about = self.receive()
        self.version, self.pictures = about.get("version"), about.get("pictures")

    def ask(self, game: str, steps: int, envs: int = ENVS, **options: Any) -> None:
        """Begin steps."""
        asked = {"game": game, "envs": envs, "steps": steps, **options}
        assert self._process.stdin is not None
        print(json.dumps(asked), file=self._process.stdin, flush=True)

    def receive(self) -> dict[str, Any]:
        """Wait for the end of the steps; gives seconds. Raises RuntimeError."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")
        return json.loads(line)

    def time(self, game: str, steps: int, envs: int = ENVS, **options: Any) -> Spent:
        """Step and wait; gives seconds."""
        self.ask(game, steps, envs, **options)
        return self.receive()


def against_peers(workers: dict[str, Worker], games: list[str], rounds: int, steps: int) -> Any:
    """Step every game with every library in turn; gives steps per CPU second and ratios."""
    rows, ratios = {}, {}
    for game in games:
        spent: dict[str, list[float]] = {}
        for _ in range(rounds + 1):
            for name, once in _contenders(workers, game, steps).items():
                spent.setdefault(name, []).append(once())
        each = {name: times[1:] for name, times in spent.items()}  # the first is thrown away
        rows[game] = {name: round(1 / median(times)) for name, times in each.items()}
        for name in each:
            for peer in PEERS:
                if peer in each and name.startswith("genhub"):
                    rates = [p / o for p, o in zip(each[peer], each[name], strict=True)]
                    ratios.setdefault(f"{name} over {peer}", {})[game] = median(rates)
    return rows, ratios


def _contenders(
    workers: dict[str, Worker], game: str, steps: int
) -> dict[str, Callable[[], float]]:
    """Give what takes turns, each with the CPU seconds of one step of one environment."""

    def once(library: str, count: int, **options: Any) -> Callable[[], float]:
        return lambda: workers[library].time(game, count, **options)["cpu"] / (count * ENVS)

    found = {"genhub": once("genhub", 4 * steps)}
    if "procgen" in workers:  # the same pictures in both, which are larger than the built-in ones
        folder = workers["procgen"].pictures
        found["genhub, same pictures"] = once("genhub", 4 * steps, skin=folder)
    found["genhub, no pictures"] = once("genhub", 12 * steps, observation="none")
    return found | {peer: once(peer, steps) for peer in PEERS if peer in workers}


def summary(by_game: dict[str, float], target: float, least: float | None = None) -> Any:
    """Give the geometric mean over the games and the least of them, with what was promised."""
    mean = math.exp(sum(map(math.log, by_game.values())) / len(by_game))
    worst = min(by_game, key=by_game.__getitem__)
    row = {
        "by game": {game: round(ratio, 2) for game, ratio in by_game.items()},
        "geometric mean": round(mean, 2),
        "target": target,
        "met": mean >= target,
        "least": {"game": worst, "ratio": round(by_game[worst], 2)},
    }
    if least is not None:
        row["least"] |= {"target": least, "met": by_game[worst] >= least}
    return row


def two_threads(cores: Sequence[int], games: list[str], bursts: int) -> Any:
    """Hold two threads against one: the least of many short bursts, in which cores may be free."""
    alone = [Worker("genhub", sys.executable, [core]) for core in cores[:2]]
    both = Worker("genhub", sys.executable, cores[:2])
    longer = _longer_together(alone, games[0], bursts)
    free = longer <= FREE
    counted, threads = ("wall", 1) if free else ("cpu", 2)
    result: dict[str, Any] = {
        "a job takes longer beside another on the other core by, percent": round(100 * longer, 1),
        "counted": "wall time" if free else "CPU time of both threads, halved",
    }
    for envs in (ENVS, SOME):
        steps = BURST // envs
        ratios = {}
        for game in games:
            times = [
                (
                    alone[0].time(game, steps, envs)[counted],
                    both.time(game, steps, envs, num_threads=2)[counted] / threads,
                )
                for _ in range(bursts)
            ]
            first, second = map(min, zip(*times, strict=True))
            ratios[game] = first / second
        result[f"{envs:,} environments"] = summary(ratios, TWO_THREADS)
    return result


def _longer_together(workers: list[Worker], game: str, bursts: int) -> float:
    """Say by what share of its time a job takes longer while another runs on another core."""
    steps = BURST // ENVS
    alone = [min(w.time(game, steps)["wall"] for _ in range(bursts)) for w in workers]
    together = []
    for _ in range(bursts):
        for worker in workers:
            worker.ask(game, steps)
        times = [worker.receive()["wall"] for worker in workers]
        together.append(max(t / a for t, a in zip(times, alone, strict=True)))
    return min(together) - 1


def many(worker: Worker, games: list[str], rounds: int, steps: int) -> Any:
    """Hold the cost of a step of 4,096 environments against that of 64."""
    ratios = {}
    for game in games:
        each = []
        for _ in range(rounds + 1):
            few = worker.time(game, 4 * steps)["cpu"] / (4 * steps * ENVS)
            count = max(2, steps // 16)
            each.append(worker.time(game, count, MANY)["cpu"] / (count * MANY) / few)
        ratios[game] = median(each[1:])
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    return {
        "by game": {game: round(ratio, 2) for game, ratio in ratios.items()},
        "geometric mean": round(mean, 2),
        "target": MANY_OVER_FEW,
        "met": mean <= MANY_OVER_FEW,
    }


def peer_python(name: str, given: str | None) -> str:
    """Give an interpreter that has a peer, made when there is none. Raises CalledProcessError."""
    if given:
        return given
    folder = ROOT / ".nox" / "peers" / name
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *PEERS[name]]
        subprocess.run(install, check=True)
        (folder / "complete").touch()
    return str(python)


def peers(arguments: argparse.Namespace, cores: Sequence[int]) -> dict[str, Worker]:
    """Start the peers that can be had."""
    found = {}
    for name in PEERS:
        try:
            python = peer_python(name, getattr(arguments, name))
            found[name] = Worker(name, python, cores)
            found[name].time("maze", 2, 2)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            found.pop(name, None)
            print(f"without {name}: {error}", file=sys.stderr)
    return found


def main() -> int:
    """Measure, print and write the results."""
    arguments = _arguments()
    rounds, steps = (1, 20) if arguments.quick else (arguments.rounds, 160)
    cores = sorted(os.sched_getaffinity(0))
    workers = {"genhub": Worker("genhub", sys.executable, cores[:1])}
    workers |= peers(arguments, cores[:1])
    import genhub_cprocgen

    games = genhub_cprocgen.games()
    rates, ratios = against_peers(workers, games, rounds, steps)
    promised = {
        "genhub over procgen": (OVER_PROCGEN, OVER_PROCGEN_LEAST),
        "genhub, same pictures over procgen": (OVER_PROCGEN, OVER_PROCGEN_LEAST),
        "genhub over envpool": (OVER_ENVPOOL, None),
        "genhub, no pictures over procgen": (BLIND_OVER_PROCGEN, None),
    }
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe(("genhub-cprocgen", "numpy", "gymnasium")),
        "peers": {name: workers[name].version for name in PEERS if name in workers},
        "what": f"{ENVS} environments, easy, random actions, one thread, {rounds} rounds",
        "steps per CPU second": rates,
        **{name: summary(ratios[name], *goal) for name, goal in promised.items() if name in ratios},
        "4,096 environments over 64, CPU time of a step": many(
            workers["genhub"], games, rounds, steps
        ),
    }
    if len(cores) > 1:
        result["two threads over one"] = two_threads(cores, games, 10 * rounds)
    text = json.dumps(result, indent=2) + "\n"
    sys.stdout.write(text)
    if not arguments.quick:
        RESULTS.write_text(text, encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure genhub-cprocgen against its peers.")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each library")
    parser.add_argument("--procgen", help="an interpreter that imports procgen")
    parser.add_argument("--envpool", help="an interpreter that imports envpool")
    parser.add_argument("--quick", action="store_true", help="a few steps; writes nothing")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
