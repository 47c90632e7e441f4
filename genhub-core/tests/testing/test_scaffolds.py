"""What `genhub new` writes passes its own tests unmodified."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from genhub.registry import default
from genhub.scaffold import SCAFFOLDS, write
from genhub.testing.runner import outcomes_of
from toys import ToySite


@pytest.mark.parametrize("scaffold", SCAFFOLDS)
def test_a_new_package_passes_its_own_tests(
    scaffold: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scaffold == "environment":
        pytest.importorskip("gymnasium")
    name = f"new-{scaffold}"
    package = write(scaffold, name, tmp_path)
    site = ToySite(tmp_path / "site")
    module, cls = name.replace("-", "_"), name.title().replace("-", "")
    point = {name: f"genhub_{module}.plugin:{cls}"}
    site.install(f"genhub-{name}", {SCAFFOLDS[scaffold]: point})
    shutil.copytree(package / "src", site.folder, dirs_exist_ok=True)
    monkeypatch.syspath_prepend(str(site.folder))
    monkeypatch.chdir(tmp_path)
    default.cache_clear()  # an interpreter that begins now would see it
    outcomes = outcomes_of(package / "tests" / f"test_{module}.py")
    assert [each for each in outcomes if each.status != "ok"] == []
    assert len(outcomes) > 15
    default.cache_clear()
    for loaded in [key for key in sys.modules if key.startswith(f"genhub_{module}")]:
        del sys.modules[loaded]
