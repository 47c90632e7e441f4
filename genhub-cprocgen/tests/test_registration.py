"""The names for gymnasium are there in whichever order the packages are imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

CHECK = "assert gymnasium.spec('CProcgen/maze-v0').kwargs == {'game': 'maze'}"


@pytest.mark.parametrize(
    "program",
    [
        f"import gymnasium, genhub_cprocgen; {CHECK}",
        f"import genhub_cprocgen, gymnasium; {CHECK}",
        f"import genhub_cprocgen, gymnasium.vector; import gymnasium; {CHECK}",
        "import gymnasium; gymnasium.make('genhub_cprocgen:CProcgen/maze-v0').close()",
        "import genhub_cprocgen, sys; assert not {'gymnasium', 'numpy'} & set(sys.modules)",
        "import genhub_cprocgen, gymnasium, inspect, sys; assert inspect.getsource(gymnasium);"
        "assert type(gymnasium.__spec__.loader).__module__.startswith(('importlib', '_frozen'));"
        "assert not any(type(f).__module__.startswith('genhub_cprocgen') for f in sys.meta_path)",
    ],
)
def test_games_are_registered_as_soon_as_gymnasium_is_there(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True)
