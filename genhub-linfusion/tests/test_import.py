"""Importing the package is cheap and its public names are there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import genhub_linfusion


def test_import_loads_neither_torch_nor_diffusers():
    code = (
        "import sys, genhub_linfusion; dir(genhub_linfusion); "
        "print([m for m in ('torch', 'diffusers', 'numpy', 'safetensors') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("name", genhub_linfusion.__all__)
def test_public_names_resolve(name):
    assert name in dir(genhub_linfusion)
    assert getattr(genhub_linfusion, name).__doc__


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'softmax'"):
        genhub_linfusion.softmax  # noqa: B018
