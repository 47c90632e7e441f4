from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import genhub
from genhub import GenHubError
from genhub.execution.artifacts import MOST_TEXT, encode, read_embedded

texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def written(tmp_path: Path, payload: Any) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(encode(Image.new("RGB", (4, 3), "red"), payload))
    return path


@settings(deadline=None)  # busy machines are no faults
@given(config=st.dictionaries(st.text(), texts, max_size=4))
def test_what_is_put_into_a_picture_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]
) -> None:
    payload = {"genhub": 1, "config": config, "seed": 3}
    assert read_embedded(written(tmp_path_factory.mktemp("png"), payload)) == payload


def test_the_picture_itself_is_untouched(tmp_path: Path) -> None:
    path = written(tmp_path, {"genhub": 1, "config": {}})
    assert Image.open(path).convert("RGB").getcolors() == [(12, (255, 0, 0))]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (None, "carries no config"),
        ({"genhub": 99, "config": {}}, "not of this version"),
        ({"genhub": 1, "config": "text"}, "damaged"),
        ({"genhub": 1, "config": {"x": "y" * (MOST_TEXT + 1)}}, "larger than"),
    ],
)
def test_a_picture_without_a_sound_config_is_refused(
    tmp_path: Path, payload: Any, said: str
) -> None:
    with pytest.raises(GenHubError, match=said) as caught:
        read_embedded(written(tmp_path, payload))
    assert caught.value.code == "GH608"


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n\0"])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(GenHubError) as caught:
        read_embedded(path)
    assert caught.value.code == "GH608"
    with pytest.raises(GenHubError, match="cannot be read"):
        read_embedded(tmp_path / "absent.png")


@settings(deadline=None)  # busy machines are no faults
@given(cut=st.integers(8, 150), noise=st.binary(min_size=1, max_size=8))
def test_a_damaged_picture_never_gives_anything_but_its_config_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes
) -> None:
    payload = {"genhub": 1, "config": {"a": "b"}}
    path = written(tmp_path_factory.mktemp("png"), payload)
    data = path.read_bytes()
    path.write_bytes(data[:cut] + noise + data[cut + len(noise) :])
    try:
        assert read_embedded(path) == payload
    except GenHubError as error:
        assert error.code == "GH608"


def test_pictures_carry_nothing_when_the_config_says_so(config: Any) -> None:
    result = genhub.run(config, set={"output.embed_config": False})
    with pytest.raises(GenHubError, match="carries no config"):
        read_embedded(result.folder / result.artifacts[0].path)
