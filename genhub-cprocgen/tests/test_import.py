"""What importing brings along, and what the package offers."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import pytest

import genhub_cprocgen as cp

HEAVY = ("torch", "pydantic", "PIL", "pygame", "genhub", "genhub_cprocgen.vector")


def test_importing_brings_only_gymnasium_and_the_engine():
    code = f"import sys, genhub_cprocgen; print([m for m in {HEAVY} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_an_environment_needs_neither_the_core_nor_pictures():
    code = (
        "import sys, numpy as np, genhub_cprocgen as cp\n"
        "for absent in ('torch', 'pydantic', 'PIL', 'genhub'): sys.modules[absent] = None\n"
        "env = cp.make_vec('maze', num_envs=2)\n"
        "env.reset(); env.step(np.array([4, 4])); env.close()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", cp.__all__)
def test_everything_that_is_offered_is_there(name):
    assert getattr(cp, name).__doc__


def test_other_names_are_told():
    with pytest.raises(AttributeError, match="has no attribute 'make_vector'"):
        _ = cp.make_vector  # type: ignore[attr-defined]


def test_importing_again_registers_nothing_twice(recwarn):
    from genhub_cprocgen.registration import register_games

    before = dict(gymnasium.registry)
    register_games()
    assert gymnasium.registry == before
    assert not list(recwarn)
