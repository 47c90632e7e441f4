"""Tasks each of which does one thing that no task may do, and one that does none."""

from __future__ import annotations

import random
from pathlib import Path

from pydantic import Field

from genhub.api import PluginConfig, Task


class CountingConfig(PluginConfig):
    rounds: int = Field(3, ge=1, le=100, description="rounds")


class Counting(Task):
    """Adds up random numbers, round by round."""

    Config = CountingConfig
    summary = "adds up"
    reads = frozenset()

    def run(self, run):
        found = run.checkpoint().load()
        done, total = (0, 0.0) if found is None else (found[0], found[2]["total"])
        while done < self.config.rounds:
            total += self.drawn(run.config.seed, done)
            done += 1
            self.save(run, done, total)
        run.log(total=total)

    def drawn(self, seed, done):
        return random.Random(seed + done).random()

    def save(self, run, done, total):
        run.checkpoint().save(done, {}, {"total": total})


class Misreading(Counting):
    reads = frozenset({"modell"})


class Failing(Counting):
    def drawn(self, seed, done):
        raise ZeroDivisionError("1 / 0")


class Unseeded(Counting):
    def drawn(self, seed, done):
        return random.SystemRandom().random()

    def save(self, run, done, total):
        pass


class Forgetful(Counting):
    def save(self, run, done, total):
        run.checkpoint().save(done, {}, {"total": 0.0})


class Littering(Counting):
    def run(self, run):
        Path("littered.txt").write_text("was here")
        super().run(run)
