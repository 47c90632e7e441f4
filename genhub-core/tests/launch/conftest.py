from __future__ import annotations

from pathlib import Path

import pytest
import troublemaker

from genhub.registry import Registries
from toys import ToySite


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the toy schedulers are installed, for processes of their own."""
    site = ToySite(tmp_path_factory.mktemp("site"))
    source = Path(troublemaker.__file__).read_text(encoding="utf-8")
    points = {"trouble": "troublemaker:Trouble", "each-its-own": "troublemaker:EachItsOwn"}
    site.install("toy-ranks", {"parallel_schedulers": points}, {"troublemaker": source})
    return site.folder


@pytest.fixture
def registries() -> Registries:
    """The same schedulers in this process."""
    import torch

    torch.set_num_threads(1)  # as in the processes that results are compared with
    found = Registries()
    schedulers = found.get("parallel_schedulers")
    schedulers.add("trouble", troublemaker.Trouble, origin="toy-ranks")
    schedulers.add("each-its-own", troublemaker.EachItsOwn, origin="toy-ranks")
    found.get("tasks").add("tally", troublemaker.Tally, origin="toy-ranks")
    return found
