"""What the front page shows runs as it stands; the installed package carries the page."""

from __future__ import annotations

import re
from importlib import metadata

import pytest

PAGE = metadata.metadata("genhub-cprocgen").get_payload()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)


@pytest.mark.parametrize("count", range(1, len(BLOCKS) + 1))
def test_every_block_runs_after_those_before_it(count, capsys):
    exec(compile("\n".join(BLOCKS[:count]), "README.md", "exec"), {})


def test_the_page_has_examples():
    assert len(BLOCKS) == 4
