from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from smallruns import small_config, toy_registries

import genhub
from genhub import GenHubError
from genhub.cli import main
from genhub.execution.artifacts import read_embedded
from genhub.metrics.pictures import open_picture


@pytest.fixture(scope="module")
def made(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    config = small_config(model, tmp_path_factory.mktemp("made"))
    config |= {
        "seed": 11,
        "attention": [{"type": "gain", "gain": 1.5}],
        "variants": {"loud": {"attention.0.gain": 3.0, "sampling.guidance": 5.0}},
        "compare": ["baseline", "loud"],
        "metrics": ["psnr"],
    }
    config["sampling"]["samples"] = 2
    return genhub.run(config, registries=toy_registries())


def test_a_run_folder_repeats_its_files_bit_for_bit(made: Any, registries: Any) -> None:
    again = genhub.run(made.folder, registries=registries)

    assert again.folder != made.folder
    assert [(a.path, a.sha256) for a in again.artifacts] == [
        (a.path, a.sha256) for a in made.artifacts
    ]
    assert again.metrics == made.metrics
    manifest = json.loads((again.folder / "manifest.json").read_text())
    assert manifest["repeats"] == made.folder.name
    resolved = [(f / "resolved.yaml").read_text() for f in (made.folder, again.folder)]
    assert resolved[0] == resolved[1]


@pytest.mark.parametrize(
    "name", ["000000.png", "000003.png", "000002-baseline.png", "000001-loud.png"]
)
def test_a_picture_repeats_its_one_sample(
    made: Any, registries: Any, tmp_path: Path, name: str
) -> None:
    picture = tmp_path / "elsewhere.png"  # nothing but the file itself is needed
    shutil.copy(made.folder / "artifacts" / name, picture)

    again = genhub.run(picture, registries=registries)

    (artifact,) = again.artifacts
    assert np.array_equal(open_picture(picture), open_picture(again.folder / artifact.path))
    assert artifact.sample.seed == 11 + int(name[:6])


def test_a_picture_of_a_batch_is_repeated_up_to_rounding(config: Any) -> None:
    batch = genhub.run(config, set={"sampling.batch": 2})
    again = genhub.run(batch.folder / batch.artifacts[1].path)

    pictures = [
        open_picture(batch.folder / batch.artifacts[1].path).astype(int),
        open_picture(again.folder / again.artifacts[0].path).astype(int),
    ]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_a_prompt_from_a_file_travels_inside_the_picture(config: Any, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a large red star in the center on white\na ${odd} one\n")
    first = genhub.run(config, set={"input.prompts": str(prompts)})
    prompts.unlink()

    again = genhub.run(first.folder / first.artifacts[1].path)
    assert again.artifacts[0].sample.prompt == "a ${odd} one"


@pytest.fixture(scope="module")
def swept(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("swept")
    config = small_config(model, folder) | {
        "attention": [{"type": "gain", "gain": 1.5}],
        "sweep": {"attention.0.gain": [2.5, 3.0], "sampling.steps": [1]},
        "compare": ["baseline"],
    }
    return genhub.run(config, registries=toy_registries())


def test_a_sweep_is_repeated_with_all_its_variants_bit_for_bit(swept: Any, registries: Any) -> None:
    again = genhub.run(swept.folder, registries=registries)
    assert [(a.path, a.sha256) for a in again.artifacts] == [
        (a.path, a.sha256) for a in swept.artifacts
    ]
    assert {a.sample.variant for a in again.artifacts} == {
        "main", "baseline", "gain=2.5,steps=1", "gain=3.0,steps=1",
    }  # fmt: skip


def test_a_picture_of_a_swept_variant_is_repeated_as_a_run_of_its_own(
    swept: Any, registries: Any
) -> None:
    picture = swept.folder / "artifacts" / "000001-gain=2.5,steps=1.png"
    again = genhub.run(picture, registries=registries)
    (artifact,) = again.artifacts
    assert artifact.sample.variant == "main"
    assert np.array_equal(open_picture(picture), open_picture(again.folder / artifact.path))


def test_the_command_reads_its_config_once(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    from genhub.execution import order

    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(small_config(model, tmp_path)))
    read: list[Any] = []
    find = order.find_target

    def watched(*args: Any) -> Any:
        read.append(args[0])
        return find(*args)

    monkeypatch.setattr(order, "find_target", watched)
    assert main(["run", str(path), "--quiet"]) == 0
    assert read == [str(path)]


def test_overrides_make_another_run_of_the_same_config(made: Any, registries: Any) -> None:
    other = genhub.run(
        made.folder, set={"seed": 12, "compare": [], "metrics": []}, registries=registries
    )
    assert [a.sample.seed for a in other.artifacts] == [12, 13, 14, 15]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "manifest.json"):
        with pytest.raises(GenHubError) as caught:
            genhub.run(source)
        assert caught.value.code in ("GH608", "GH106")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(GenHubError, match="cannot be read"):
        genhub.run(tmp_path)


def test_show_tells_how_a_run_and_a_picture_were_made(
    made: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(made.folder)]) == 0
    of_run = capsys.readouterr().out
    assert of_run.startswith(f"{made.folder}: done\n")
    assert "gain of toy-dist" in of_run and "psnr" in of_run

    assert main(["show", str(made.folder / "artifacts" / "000001-loud.png")]) == 0
    of_picture = capsys.readouterr().out
    assert of_picture.startswith("# 000001-loud.png: variant loud, sample 1, seed 12\n")
    assert "seed: 12" in of_picture and "gain: 3.0" in of_picture


def test_a_picture_holds_the_config_of_its_variant_alone(made: Any) -> None:
    payload = read_embedded(made.folder / "artifacts" / "000002-baseline.png")
    assert payload["config"]["attention"] == []
    assert payload["config"]["input"]["prompts"] == ["a small blue ring on the left on black"]
    assert not {"variants", "compare", "metrics"} & set(payload["config"])
