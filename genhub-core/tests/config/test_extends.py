"""`extends`: maps are laid over maps, lists are replaced, places remember their file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from genhub.config import load
from genhub.errors import GenHubError
from genhub.registry import Registries

Write = Callable[..., Path]
BASE = """\
genhub: 1
sampling: {steps: 5, batch: 2}
attention:
  - {type: scale, factor: 2}
  - {type: focus, rank: 3}
parallel: {type: solo, stride: 2}
"""


def test_maps_are_merged_and_lists_replaced(write: Write, registries: Registries) -> None:
    write(BASE, "base/common.yaml")
    text = "extends: base/common.yaml\nsampling: {steps: 7}\nattention: [{type: scale}]\n"
    config = load(write(text), registries=registries).config
    assert (config.sampling.steps, config.sampling.batch) == (7, 2)
    assert [(block.type, block.factor) for block in config.attention] == [("scale", 1.0)]
    assert config.parallel.stride == 2


def test_another_driver_replaces_the_whole_block(write: Write, registries: Registries) -> None:
    write("genhub: 1\ntask: {type: rollout, steps: 5}\nenvironment: {type: maze}\n", "b.yaml")
    config = load(
        write("extends: b.yaml\ntask: generate\nenvironment: null\n"), registries=registries
    ).config
    assert config.task.type == "generate"
    assert config.environment is None


def test_fields_of_the_same_task_are_merged(write: Write, registries: Registries) -> None:
    write("genhub: 1\ntask: rollout\nenvironment: {type: maze}\n", "b.yaml")
    config = load(write("extends: b.yaml\ntask: {steps: 9}\n"), registries=registries).config
    assert (config.task.type, config.task.steps) == ("rollout", 9)


def test_later_files_of_a_list_win(write: Write, registries: Registries) -> None:
    write("genhub: 1\nseed: 1\nname: first\n", "a.yaml")
    write("seed: 2\n", "b.yaml")
    config = load(write("extends: [a.yaml, b.yaml]\n"), registries=registries).config
    assert (config.seed, config.name) == (2, "first")


def test_places_remember_their_file(write: Write, registries: Registries) -> None:
    base = write("genhub: 1\nsampling: {steps: 0}\nseed: 3\n", "base/common.yaml")
    top = write("extends: base/common.yaml\nseed: -3\n")
    with pytest.raises(GenHubError) as caught:
        load(top, registries=registries)
    places = [(p.mark.file, p.mark.line, p.mark.column) for p in caught.value.problems if p.mark]
    assert places == [(str(top), 2, 7), (str(base), 2, 19)]


def test_a_base_that_cannot_be_read_is_told_in_its_own_place(
    write: Write, registries: Registries
) -> None:
    base = write("genhub: [1\n", "base.yaml")
    with pytest.raises(GenHubError) as caught:
        load(write("extends: base.yaml\n"), registries=registries)
    mark = caught.value.problems[0].mark
    assert (caught.value.code, mark and mark.file) == ("GH101", str(base))


def test_files_that_extend_each_other_are_refused(write: Write, registries: Registries) -> None:
    write("extends: c.yaml\ngenhub: 1\n", "b.yaml")
    with pytest.raises(GenHubError) as caught:
        load(write("extends: b.yaml\n"), registries=registries)
    assert caught.value.code == "GH108"
    assert "extends itself" in caught.value.problems[0].message


def test_a_long_chain_ends(write: Write, registries: Registries) -> None:
    write("genhub: 1\n", "c0.yaml")
    for i in range(1, 12):
        path = write(f"extends: c{i - 1}.yaml\n", f"c{i}.yaml")
    with pytest.raises(GenHubError) as caught:
        load(path, registries=registries)
    assert caught.value.code == "GH108"


def test_here_and_prompt_files_belong_to_the_file_that_names_them(
    write: Write, registries: Registries, tmp_path: Path
) -> None:
    write("a star\n\na circle\n", "base/prompts.txt")
    write(
        "genhub: 1\noutput: {dir: '${here}'}\ninput: {prompts: prompts.txt}\n", "base/common.yaml"
    )
    config = load(write("extends: base/common.yaml\n"), registries=registries).config
    assert config.output.dir == str(tmp_path / "base")
    assert config.input.prompts == str(tmp_path / "base" / "prompts.txt")
