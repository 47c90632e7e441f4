"""Fail when an installed GenHub package imports what its own metadata does not require.

The environments of the test sessions share one base, in which everything is present; this script
walks the requirements that each wheel declares, extras included, and checks versions as pip would.
"""

from __future__ import annotations

import sys
from importlib import metadata

from packaging.requirements import Requirement


def unmet(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> list[str]:
    """List the requirements of `name[extras]` that the environment does not satisfy."""
    if (name, extras) in seen:
        return []
    seen.add((name, extras))
    problems = []
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        marker = requirement.marker
        wanted = extras or frozenset({""})
        if marker and not any(marker.evaluate({"extra": extra}) for extra in wanted):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            problems.append(f"{name} requires {requirement}, which is not installed")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            problems.append(f"{name} requires {requirement}, found {version}")
        problems += unmet(requirement.name, frozenset(requirement.extras), seen)
    return problems


def main() -> int:
    ours = sorted(
        distribution.name
        for distribution in metadata.distributions()
        if distribution.name.startswith("genhub-")
    )
    problems = [problem for name in ours for problem in unmet(name, frozenset(), set())]
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
