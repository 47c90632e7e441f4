"""What the front page shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.parametrize("count", range(1, len(BLOCKS) + 1))
def test_every_block_runs_after_those_before_it(count, capsys):
    exec(compile("\n".join(BLOCKS[:count]), str(PAGE), "exec"), {})


def test_the_page_has_examples():
    assert len(BLOCKS) == 4
