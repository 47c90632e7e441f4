"""Runs of pipelines that make sound and video, of random weights."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import tinypipe
from diffusers.models.attention_processor import AttnProcessor2_0
from PIL import Image
from rundrivers import OwnLoop

import genhub
from genhub.api import AttentionMixer, Needs, ParallelScheduler, Request, Sample, Where
from genhub.cli import main
from genhub.execution.artifacts import read_embedded
from genhub.execution.folder import read_manifest
from genhub.execution.handover import up_to_decoding
from genhub.registry import Registries

PLAIN = {
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "block_out_channels": (8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "latent_channels": 4,
}
UNET = {"sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1}
UNET |= {"norm_num_groups": 4}


def sounding(folder: Path) -> Path:
    """Save a complete AudioLDM pipeline."""
    import torch
    from diffusers import AudioLDMPipeline, AutoencoderKL, UNet2DConditionModel
    from transformers import (
        ClapTextConfig,
        ClapTextModelWithProjection,
        SpeechT5HifiGan,
        SpeechT5HifiGanConfig,
    )

    base = tinypipe.build()
    torch.manual_seed(1)
    text = ClapTextConfig(
        vocab_size=len(base.tokenizer), hidden_size=16, intermediate_size=16, projection_dim=12,
        num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=80, pad_token_id=1,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        attention_head_dim=2, cross_attention_dim=(8, 16), class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=12, class_embeddings_concat=True,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **UNET,
    )  # fmt: skip
    vocoder = SpeechT5HifiGanConfig(
        model_in_dim=8, sampling_rate=4000, upsample_initial_channel=8, upsample_rates=[2, 2],
        upsample_kernel_sizes=[4, 4], resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1]],
        normalize_before=False,
    )  # fmt: skip
    voice = SpeechT5HifiGan(vocoder).eval()
    for weight in voice.parameters():
        torch.nn.init.normal_(weight, std=0.3)  # of its own it whispers
    pipe = AudioLDMPipeline(
        vae=AutoencoderKL(in_channels=1, out_channels=1, **PLAIN).eval(),
        text_encoder=ClapTextModelWithProjection(text).eval(), tokenizer=base.tokenizer,
        unet=unet.eval(), scheduler=base.scheduler, vocoder=voice,
    )  # fmt: skip
    pipe.save_pretrained(folder)
    return folder


def moving(folder: Path) -> Path:
    """Save a complete TextToVideoSD pipeline."""
    import torch
    from diffusers import AutoencoderKL, TextToVideoSDPipeline, UNet3DConditionModel

    base = tinypipe.build()
    torch.manual_seed(1)
    unet = UNet3DConditionModel(
        attention_head_dim=4, cross_attention_dim=16,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"), **UNET,
    )  # fmt: skip
    pipe = TextToVideoSDPipeline(
        vae=AutoencoderKL(**PLAIN).eval(), text_encoder=base.text_encoder,
        tokenizer=base.tokenizer, unet=unet.eval(), scheduler=base.scheduler,
    )  # fmt: skip
    pipe.save_pretrained(folder)
    return folder


def config(model: Path, folder: Path, **sampling: Any) -> dict[str, Any]:
    return {
        "genhub": 1, "name": "media", "task": "generate", "model": {"source": str(model)},
        "input": {"prompts": ["a red star", "a blue ring"]},
        "sampling": {"steps": 2, "guidance": 2.0, **sampling},
        "output": {"dir": str(folder / "runs")},
    }  # fmt: skip


@pytest.fixture(scope="module")
def sound_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sound")
    return genhub.run(config(sounding(folder / "model"), folder, seconds=0.1, batch=2))


@pytest.fixture(scope="module")
def video_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("video")
    about = config(moving(folder / "model"), folder, frames=3, height=16, width=16, batch=2)
    about["output"] |= {"video": "webp", "fps": 5}
    return genhub.run(about)


def test_sound_is_generated_at_the_rate_of_the_vocoder(sound_run: Any) -> None:
    assert [a.path for a in sound_run.artifacts] == [f"artifacts/{i:06d}.wav" for i in range(2)]
    contents = []
    for artifact in sound_run.artifacts:
        assert artifact.kind == "audio" and artifact.info["rate"] == 4000
        with wave.open(str(sound_run.folder / artifact.path)) as file:
            assert file.getframerate() == 4000 and file.getnframes() == 400
            contents.append(file.readframes(400))
    assert contents[0] != contents[1] and any(np.frombuffer(contents[0], "<i2"))
    page = sound_run.report.read_text()
    assert page.count("<audio") == 2 and "a red star" in page


def test_video_is_generated_at_the_rate_of_the_config(video_run: Any) -> None:
    for artifact in video_run.artifacts:
        assert artifact.kind == "video"
        assert (artifact.info["frames"], artifact.info["fps"]) == (3, 5)
        with Image.open(video_run.folder / artifact.path) as film:
            assert film.n_frames == 3 and film.size == (16, 16)
            film.load()
            assert film.info["duration"] == 200
    assert video_run.report.read_text().count("<picture>") == 2


def test_a_metric_of_pictures_says_that_it_cannot_judge_video(
    video_run: Any, tmp_path: Path
) -> None:
    about = config(Path(read_manifest(video_run.folder)["model"]["source"]), tmp_path, frames=2)
    about["sampling"] |= {"height": 16, "width": 16}
    about |= {"metrics": ["psnr"], "compare": ["baseline"]}
    with pytest.raises(genhub.GenHubError, match="judges pictures, and this run makes video"):
        genhub.run(about, quiet=True)


class Halting(ParallelScheduler):
    """Writes each sound in two pieces, and once ends between those of the second."""

    summary = "generates sound piece by piece"
    falls = True

    def plan(self, facts: Any, denoisers: Any, world: int) -> Any:
        return OwnLoop(None).plan(facts, denoisers, world)

    @contextmanager
    def install(self, ctx: Any, plan: Any) -> Iterator[Any]:
        def generate(request: Any, sink: Any) -> None:
            for row in range(len(request.samples)):
                for piece in range(2):
                    if Halting.falls and (row, piece) == (1, 1):
                        Halting.falls = False
                        raise ValueError("out of breath")
                    sink.write(np.full(200, 0.5, np.float32), row)

        yield SimpleNamespace(output_ranks=(0,), generate=generate)


def test_pieces_of_a_loop_that_fails_are_listed_and_made_anew(
    sound_run: Any, tmp_path: Path, registries: Registries
) -> None:
    registries.get("parallel_schedulers").add("halting", Halting)
    about = config(Path(read_manifest(sound_run.folder)["model"]["source"]), tmp_path, batch=2)
    about["parallel"] = {"type": "halting"}
    with pytest.raises(genhub.GenHubError, match="out of breath"):
        genhub.run(about, registries=registries)
    folder = (tmp_path / "runs" / "latest").resolve()
    seconds = [a["info"]["seconds"] for a in read_manifest(folder)["artifacts"]]
    assert seconds == [0.1, 0.05]
    result = genhub.run(folder, registries=registries)
    assert result.folder == folder
    assert [a.info["seconds"] for a in result.artifacts] == [0.1, 0.1]


@pytest.mark.parametrize("made", ["sound_run", "video_run"])
def test_a_file_of_results_repeats_itself(
    made: str, request: Any, tmp_path: Path, capsys: Any
) -> None:
    run = request.getfixturevalue(made)
    path = run.folder / run.artifacts[1].path
    assert read_embedded(path)["sample"] == 1

    again = genhub.run(path, output=tmp_path, quiet=True)
    assert len(again.artifacts) == 1
    infos = [dict(a.info) for a in (again.artifacts[0], run.artifacts[1])]
    assert infos[0].pop("recipe") != infos[1].pop("recipe")  # its number in the run is another
    assert infos[0] == infos[1]
    first, second = map(values_of, (path, again.folder / again.artifacts[0].path))
    assert first.std() > 4
    assert np.abs(first - second).max() <= (40 if made == "sound_run" else 2)  # batches of 2 and 1

    assert main(["show", str(path)]) == 0
    assert "a blue ring" in capsys.readouterr().out


def values_of(path: Path) -> Any:
    if path.suffix == ".wav":
        with wave.open(io.BytesIO(path.read_bytes())) as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    with Image.open(path) as film:
        return np.asarray(film.convert("RGB")).astype(float)


class Voice(AttentionMixer):
    """Leaves attention as it is, and makes the sound itself, in three pieces."""

    summary = "decodes in pieces"
    default_where = Where(kind="self")
    ranks: ClassVar[list[int]] = []  # that decoded

    def needs(self) -> Needs:
        return Needs(owns=frozenset({"vae-decode"}))

    def build(self, site: Any, attn: Any, ctx: Any) -> Any:
        return AttnProcessor2_0()

    def decode(self, latents: Any, request: Any, sink: Any, ctx: Any) -> None:
        Voice.ranks.append(ctx.comm.rank)
        mel = ctx.pipeline.vae.decode(latents).sample
        sound = ctx.pipeline.vocoder(mel.squeeze(1))[:, :400]
        for piece in sound.split(150, dim=1):
            for row, samples in enumerate(piece):
                sink.write(samples, row)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_mixer_that_owns_decoding_writes_what_the_pipeline_would(
    sound_run: Any, tmp_path: Path, registries: Registries, ranks: int
) -> None:
    registries.get("attention_mixers").add("voice", Voice)
    source = Path(read_manifest(sound_run.folder)["model"]["source"])
    about = config(source, tmp_path, seconds=0.1, batch=2) | {"attention": [{"type": "voice"}]}
    if ranks == 2:
        about |= {
            "parallel": {"type": "cfg-parallel"}, "launch": {"processes": 2, "simulate": True},
        }  # fmt: skip
    Voice.ranks.clear()
    run = genhub.run(about, registries=registries, quiet=True)
    assert Voice.ranks == [0]  # a rank that writes nothing does not decode
    for made, plain in zip(run.artifacts, sound_run.artifacts, strict=True):
        first, second = (values_of(r.folder / a.path) for r, a in ((run, made), (sound_run, plain)))
        assert len(first) == 400 and np.abs(first - second).max() <= (0 if ranks == 1 else 40)
    assert read_manifest(run.folder)["phases"]["decode"]["wall"] > 0


def test_the_pipeline_decodes_where_a_call_makes_more_than_one_for_each_sample(
    sound_run: Any,
) -> None:
    import torch
    from diffusers import AudioLDMPipeline

    pipe = AudioLDMPipeline.from_pretrained(read_manifest(sound_run.folder)["model"]["source"])
    call = {"prompt": ["a red star"], "num_inference_steps": 2, "audio_length_in_s": 0.1}
    request = Request((Sample(0, 0),), call)
    latents, result = up_to_decoding(pipe, request)
    assert result is None and isinstance(latents, torch.Tensor) and len(latents) == 1
    twice = Request((Sample(0, 0),), call | {"num_waveforms_per_prompt": 2})
    latents, result = up_to_decoding(pipe, twice)
    assert latents is None and result.audios.shape == (2, 400)
    assert "decode" not in vars(pipe.vae)
