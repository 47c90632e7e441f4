from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toys import ToySite


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToySite]:
    """A folder to install toy distributions into, seen by this process and by its children."""
    for variable in ("GENHUB_PLUGINS", "GENHUB_DISABLE", "GENHUB_TRACE", "CI"):
        monkeypatch.delenv(variable, raising=False)
    site = ToySite(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site.folder))
    before = set(sys.modules)
    yield site
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(site.folder)):
            del sys.modules[name]
