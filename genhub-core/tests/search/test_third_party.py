"""A space and a strategy of a stranger's package, and a search that is killed for real."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

import genhub
from genhub.config import load
from genhub.registry import Registries
from toys import ToySite

SPACE = """
    import os, signal

    from pydantic import Field

    from genhub.api import Cost, Decision, PluginConfig, SearchSpace, SearchStrategy
    from genhub.api import SpaceDescription, Trial, Violation


    class Config(PluginConfig):
        floors: int = Field(4, ge=1, le=20, description="height of the tower")


    class Towers(SearchSpace):
        Config = Config
        name = "towers"
        summary = "blocks on a tower"
        figures = ("height",)
        evaluated = 0

        def describe(self):
            made = ("none", "wood", "stone")
            names = [f"floor{i}" for i in range(self.config.floors)]
            return SpaceDescription(
                tuple(Decision(id=name, choices=made, role="tower") for name in names)
            )

        def broken(self, g):
            codes = g.roles["tower"]
            for i, (below, above) in enumerate(zip(codes, codes[1:])):
                if below == 0 < above:
                    yield Violation(f"floor{i + 1} stands on nothing", (f"floor{i + 1}",))

        def cost(self, g, role, **dims):
            return Cost(params=0, macs=sum(g.roles[role]))

        def evaluate(self, g, budget, seed, run):
            Towers.evaluated += 1
            if Towers.evaluated == int(os.environ.get("TOY_KILL_AT", 0)):
                os.kill(os.getpid(), signal.SIGKILL)
            return {"height": sum(code > 0 for code in g.roles["tower"])}


    class Climb(SearchStrategy):
        summary = "the best neighbour, again and again"

        def search(self, space, evaluate, run):
            import numpy as np

            seed = run.config.seed
            here = space.genotype([0] * len(space.describe().decisions))
            figures = evaluate(here, 0, seed)
            yield Trial(here, figures, seed=seed)
            while True:
                best = here
                for near in space.neighbours(here):
                    found = evaluate(near, 0, seed)
                    yield Trial(near, found, seed=seed)
                    if found["height"] > figures["height"]:
                        best, figures = near, found
                if best is here:
                    return
                here = best
"""
RUN = """
genhub: 1
task: search
search:
  type: towers
  strategy: {type: climb}
  objective: [{metric: height, goal: max}, {metric: macs, goal: min}]
output: {report: false}
"""


def lines(folder: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in found]


def test_a_strangers_search_survives_a_kill(
    toys: ToySite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = {
        "search_spaces": {"towers": "plg_towers:Towers"},
        "search_strategies": {"climb": "plg_towers:Climb"},
    }
    toys.install("plg-towers", points, {"plg_towers": SPACE})
    config = tmp_path / "towers.yaml"
    config.write_text(RUN, encoding="utf-8")
    registries = Registries()
    whole = genhub.run(config, output=tmp_path / "whole", quiet=False, registries=registries)
    shown = capsys.readouterr().out
    assert "trial  height (higher)  macs (lower)" in shown
    assert "wood 4" in shown  # as high as stone, for half as much
    assert "stone" not in shown

    killed = toys.genhub("run", str(config), "--output", str(tmp_path / "cut"), TOY_KILL_AT="6")
    assert killed.returncode == -signal.SIGKILL
    folder = (tmp_path / "cut" / "latest").resolve()
    assert len(lines(folder)) == 5
    assert genhub.run(folder, registries=registries).folder == folder
    assert lines(folder) == lines(whole.folder)

    with pytest.raises(genhub.GenHubError, match="of the space: params, macs") as caught:
        load(config, set=["search.objective.0.metric=hieght"], registries=registries)
    assert caught.value.code == "GH201"
