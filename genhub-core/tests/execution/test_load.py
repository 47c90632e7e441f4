from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

import genhub
from genhub import GenHubError
from genhub.config import Model, load
from genhub.execution import load as loading
from genhub.execution import plan_text
from genhub.registry import default


def located(source: str) -> Any:
    return loading.locate(Model(source=source), default())


def refusal(config: Any, **changes: Any) -> GenHubError:
    with pytest.raises(GenHubError) as caught:
        genhub.run(config, set={key.replace("__", "."): v for key, v in changes.items()})
    return caught.value


@pytest.mark.parametrize("source", ["./missing", "missing", "/missing/model", "a/b/c", "~/missing"])
def test_a_missing_folder_is_named_in_full_and_never_looked_for_elsewhere(source: str) -> None:
    with pytest.raises(GenHubError) as caught:
        located(source)
    assert caught.value.code == "GH501"
    assert str(Path(source).expanduser().resolve()) in str(caught.value)


def test_a_slip_inside_a_folder_that_exists_is_no_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GenHubError, match="does not exist"):
        located("models/mine")
    assert located("someone/mine").hub_id == "someone/mine"


def test_a_folder_without_an_index_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(GenHubError, match=r"without model_index\.json") as caught:
        located(str(tmp_path))
    assert caught.value.code == "GH502"
    (tmp_path / "file").write_text("")
    with pytest.raises(GenHubError, match="it is a file"):
        located(str(tmp_path / "file"))


def test_a_missing_model_leaves_no_run_folder_behind(config: Any) -> None:
    assert refusal(config, model__source="./missing").code == "GH501"
    assert not Path(config["output"]["dir"]).exists()


@pytest.mark.parametrize("how", ["field", "variable"])
def test_a_hub_id_while_offline_says_so(
    config: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    if how == "variable":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    error = refusal(config, model__source="someone/nothing", model__offline=how == "field")
    assert error.code == "GH503" and error.exit_code == 1
    assert "'someone/nothing'" in str(error) and "offline" in str(error)
    assert "\n" not in error.problems[0].message


def test_cuda_that_is_not_there_is_an_error(config: Any) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    error = refusal(config, launch__devices="cuda:1")
    assert error.code == "GH504" and "cuda:1" in str(error)


def test_a_library_that_is_missing_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "LIBRARIES", {"no_such_module": "no-such-library"})
    with pytest.raises(GenHubError) as caught:
        loading.require_libraries()
    assert caught.value.code == "GH505"
    assert "no-such-library" in str(caught.value)
    assert 'pip install "genhub-core[run]"' in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"model__scheduler": "EulerDiscreteSchedular"}, "GH207", "'EulerDiscreteScheduler'"),
        ({"model__pipeline": "StableDifusionPipeline"}, "GH207", "'StableDiffusionPipeline'"),
        ({"model__scheduler_args": {"beta_strat": 0.1}}, "GH301", "'beta_start'"),
        ({"model__scheduler_args": {"beta_schedule": "odd"}}, "GH305", "odd"),
    ],
)
def test_classes_and_arguments_that_do_not_exist_are_corrected(
    config: Any, changes: dict[str, Any], code: str, said: str
) -> None:
    error = refusal(config, **changes)
    assert error.code == code and said in str(error)


def test_the_scheduler_is_swapped_and_keeps_what_is_not_changed(config: Any) -> None:
    block = Model(
        source=config["model"]["source"],
        scheduler="DPMSolverMultistepScheduler",
        scheduler_args={"use_karras_sigmas": True},
    )
    device = loading.choose_device("cpu")
    pipeline = loading.load(block, loading.locate(block, default()), device).pipeline

    assert type(pipeline.scheduler).__name__ == "DPMSolverMultistepScheduler"
    assert pipeline.scheduler.config.use_karras_sigmas is True
    assert pipeline.scheduler.config.steps_offset == 1  # of the model's own config


def test_weights_that_are_not_safetensors_are_refused(
    config: Any, model: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    error = refusal(config, model__source=str(copy))
    assert error.code == "GH506" and "safetensors" in str(error)


def test_damaged_weights_are_one_sentence(config: Any, model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    error = refusal(config, model__source=str(copy))
    assert error.code == "GH506" and "\n" not in error.problems[0].message


def test_a_model_that_brings_its_own_code_is_refused(
    config: Any, model: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    index = json.loads((copy / "model_index.json").read_text())
    index["_class_name"] = ["pipeline", "Mine"]
    (copy / "model_index.json").write_text(json.dumps(index))
    (copy / "pipeline.py").write_text("raise SystemExit('ran')")
    assert refusal(config, model__source=str(copy)).code == "GH506"


def test_libraries_are_heard_except_for_what_is_of_no_use(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import StableDiffusionPipeline

    plain = StableDiffusionPipeline.from_pretrained

    def talking(*args: Any, **kwargs: Any) -> Any:
        speaker = logging.getLogger("diffusers.pipelines.pipeline_utils")
        speaker.warning("Expected types for vae: something else")
        speaker.warning("Expected types for unet: something else")
        return plain(*args, **kwargs)

    monkeypatch.setattr("diffusers.DiffusionPipeline.from_pretrained", talking)
    said = (genhub.run(config).folder / "log.txt").read_text()
    assert "Expected types for unet" in said and "Expected types for vae" not in said
    assert not [h for h in logging.getLogger("diffusers").handlers if h.filters]  # taken off again


def test_a_plan_is_text_and_runs_nothing(config: Any) -> None:
    text = plan_text(load(config))
    assert "unet2d" in text and "8 attention sites" in text
    assert not Path(config["output"]["dir"]).exists()


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"model.source": "tiny:shapes", "model.revision": "main"}, "GH305", "model.revision"),
        ({"model.source": "tiny:shapes", "model.pipeline": "FluxPipeline"}, "GH305", "pipeline"),
        ({"model.revision": "main"}, "GH305", "model.revision means nothing for a folder"),
        ({"launch.devices": "cuda:0,1"}, "GH406", "this run uses 1"),
        ({"input.subject": "sub1"}, "GH305", "input.subject is for a decoder"),
        ({"metrics": ["psnr"]}, "GH409", "compare: [baseline]"),
    ],
)
def test_what_would_have_no_effect_is_an_error(
    config: Any, changes: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(GenHubError) as caught:
        genhub.run(config, set=changes)
    assert caught.value.code == code and said in str(caught.value)
