"""Change the code of a package bit by bit, and count how many changes its tests notice.

    python tests/mutation.py config                     every mutant
    python tests/mutation.py plan --sample 400 --seed 1 some of them, drawn with a seed

Run it with an interpreter that has mutmut, pytest and what the package needs. A mutant that no
test reaches counts as survived. Fails where fewer than 80 % are killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from math import sqrt
from pathlib import Path

CORE = Path(__file__).resolve().parent.parent
LEAST = 0.8
# Exit statuses of pytest, and of a worker that went beyond its time: an endless loop is noticed.
KILLED = {1: "killed", 3: "killed", 24: "timeout", -24: "timeout", 36: "timeout", 152: "timeout"}
# The fuzz test would be run for every mutant that survives, and finds nothing the others miss.
LEFT_OUT = {"config": ["tests/config/test_mutations.py"], "plan": []}
SETUP = """\
[mutmut]
source_paths =
    src
only_mutate =
    src/genhub/{part}/*.py
pytest_add_cli_args_test_selection =
    tests/{part}
pytest_add_cli_args =
    -p
    no:cacheprovider
    {left_out}
track_dependencies = false
use_git_change_detection = false
"""


def prepare(part: str, folder: Path) -> None:
    """Copy the package and its tests to a place where they can be changed."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("src", "tests"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CORE / name, folder / name, ignore=ignore)
    left_out = "\n    ".join(f"--ignore={path}" for path in LEFT_OUT[part])
    text = SETUP.format(part=part, left_out=left_out)
    (folder / "setup.cfg").write_text(text, encoding="utf-8")


def mutmut(folder: Path, children: int, names: list[str], *, quiet: bool = False) -> None:
    command = Path(sys.executable).with_name("mutmut")
    done = subprocess.run(
        [command, "run", "--max-children", str(children), *names],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    if quiet and not any((folder / "mutants").rglob("*.meta")):
        sys.exit(f"mutmut made no mutants:\n{done.stdout}")


def statuses(part: str, folder: Path) -> dict[str, int | None]:
    """Give what mutmut wrote down of every mutant; None is one that was not tried."""
    found: dict[str, int | None] = {}
    for path in sorted((folder / "mutants" / "src" / "genhub" / part).glob("*.meta")):
        found |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def interval(killed: int, tried: int, z: float = 1.96) -> tuple[float, float]:
    """Give Wilson's interval of a share, at 95 %."""
    share, square = killed / tried, z * z / tried
    middle = share + square / 2
    reach = z * sqrt(share * (1 - share) / tried + square / tried / 4)
    return (middle - reach) / (1 + square), (middle + reach) / (1 + square)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=sorted(LEFT_OUT))
    parser.add_argument("--sample", type=int, help="how many mutants, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=CORE / "build" / "mutation")
    args = parser.parse_args()
    folder = args.folder.resolve() / args.part
    prepare(args.part, folder)
    mutmut(folder, args.children, ["-"], quiet=True)  # makes all, and finds none of this name
    every = sorted(statuses(args.part, folder))
    chosen = every
    if args.sample is not None and args.sample < len(every):
        chosen = sorted(random.Random(args.seed).sample(every, args.sample))
    mutmut(folder, args.children, chosen)
    return report(args.part, {n: statuses(args.part, folder)[n] for n in chosen}, len(every))


def report(part: str, tried: dict[str, int | None], of: int) -> int:
    """Print the score and the survivors; give the exit status."""
    kinds = Counter(KILLED.get(status, "survived") for status in tried.values())  # type: ignore[arg-type]
    killed = len(tried) - kinds["survived"]
    low, high = interval(killed, len(tried))
    for name, status in tried.items():
        if status not in KILLED:
            print(f"survived: {name}")
    print(
        f"{part}: {killed} of {len(tried)} mutants killed ({kinds['timeout']} by time), "
        f"{of} there are: {killed / len(tried):.1%}, 95 % interval {low:.1%} to {high:.1%}"
    )
    return int(killed / len(tried) < LEAST)


if __name__ == "__main__":
    sys.exit(main())
