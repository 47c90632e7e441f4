"""From latents to sound in pieces: by hand, under a pipeline's own call, and in runs."""

from __future__ import annotations

import copy
import os
import pickle
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_pipelines
import torch

import genhub
from genhub.api import GenHubError
from genhub_litefocus import decoding, spill, vae_stream
from genhub_litefocus.decoding import decode_to_sink, stream_audio, streamed_decoding

CALL = {"num_inference_steps": 2, "audio_length_in_s": 2.37, "guidance_scale": 2.5}


@pytest.fixture(scope="module")
def pipe() -> Any:
    return small_pipelines.audioldm2()


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "CHUNK_SECONDS", 0.5)
    monkeypatch.setattr(spill, "MEMORY", 1 << 18)
    monkeypatch.setattr(vae_stream, "BLOCK", 1 << 18)


def made_by(pipe: Any, **changes: Any) -> Any:
    generator = torch.Generator().manual_seed(1)
    return pipe("a beep", generator=generator, **{**CALL, **changes}).audios


def musicldm() -> Any:
    made = small_pipelines.musicldm()
    text_features = made.text_encoder.get_text_features
    made.text_encoder.get_text_features = lambda *a, **k: text_features(*a, **k).pooler_output
    return made


@pytest.mark.parametrize("make", [small_pipelines.audioldm2, small_pipelines.audioldm, musicldm])
def test_a_pipeline_makes_the_same_sound_while_its_decoding_is_streamed(make: Any) -> None:
    pipe = make()
    before = dict(vars(pipe.vae)), dict(vars(pipe.vocoder))
    plain = made_by(pipe)
    with streamed_decoding(pipe):
        streamed = made_by(pipe)
        assert vars(pipe.vae).keys() - before[0].keys() == {"decode"}
    assert streamed.shape == plain.shape == (1, 37920)
    assert np.abs(streamed - plain).max() < 1e-5 * np.abs(plain).max()
    assert (dict(vars(pipe.vae)), dict(vars(pipe.vocoder))) == before
    assert np.array_equal(made_by(pipe), plain)


def test_latents_become_the_sound_of_the_pipeline_chunk_by_chunk(pipe: Any, tmp_path: Path) -> None:
    plain, latents = made_by(pipe), made_by(pipe, output_type="latent")
    chunks = stream_audio(pipe, latents, seconds=2.37, chunk_seconds=0.5, workspace=tmp_path)
    lengths = []
    joined = torch.cat([lengths.append(c.shape[1]) or c for c in chunks], 1)
    assert lengths == [8000] * 4 + [5920]
    assert np.abs(joined.numpy() - plain).max() < 1e-5 * np.abs(plain).max()
    whole = torch.cat(list(stream_audio(pipe, latents)), 1)
    assert whole.shape[1] == latents.shape[2] * 4 * 160 + 32


def test_copies_of_a_streaming_pipeline_use_their_own_weights(pipe: Any) -> None:
    latents = torch.randn(1, 4, 9, 16)
    with streamed_decoding(pipe), torch.no_grad():
        copied = copy.deepcopy((pipe.vae, pipe.vocoder))
        pickled = pickle.loads(pickle.dumps((pipe.vae, pipe.vocoder)))
        mel = pipe.vae.decode(latents).sample
        sound = pipe.vocoder(mel[:, 0])
        for vae, vocoder in (copied, pickled):
            assert torch.equal(vae.decode(latents, return_dict=False)[0], mel)
            assert torch.equal(vocoder(mel[:, 0]), sound)
            vae.decoder.conv_out.bias.data += 1
            vocoder.conv_post.bias.data += 1
            assert not torch.equal(vae.decode(latents).sample, mel)
            assert not torch.equal(vocoder(mel[:, 0]), sound)
        assert torch.equal(pipe.vae.decode(latents).sample, mel)


def test_gradients_flow_as_without_streaming(pipe: Any) -> None:
    latents = torch.randn(1, 4, 9, 16, requires_grad=True)
    with streamed_decoding(pipe):
        pipe.vocoder(pipe.vae.decode(latents).sample[:, 0]).sum().backward()
    assert latents.grad is not None and latents.grad.abs().sum() > 0


def test_a_decoder_that_cannot_be_streamed_decodes_at_once_with_a_warning(caplog: Any) -> None:
    pipe = small_pipelines.audioldm2()
    pipe.vae.decoder.up_blocks[0].resnets[0].nonlinearity = torch.nn.Softmax(dim=1)
    plain, latents = made_by(pipe), made_by(pipe, output_type="latent")
    with streamed_decoding(pipe):
        assert "decode" not in vars(pipe.vae)
        assert np.abs(made_by(pipe) - plain).max() < 1e-5 * np.abs(plain).max()
    joined = torch.cat(list(stream_audio(pipe, latents, seconds=2.37)), 1)
    assert np.abs(joined.numpy() - plain).max() < 1e-5 * np.abs(plain).max()
    assert "decoded at once" in caplog.text and "Softmax" in caplog.text


def test_wrong_latents_and_workspaces_are_refused_at_the_call(pipe: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\[1, 4, 16, 9\].*\[batch, 4, time, 16\]"):
        stream_audio(pipe, torch.zeros(1, 4, 16, 9))
    with pytest.raises(ValueError, match=r"\[1, 4, 0, 16\]"):
        stream_audio(pipe, torch.zeros(1, 4, 0, 16))
    with pytest.raises(NotADirectoryError, match=r"workspace is no folder.*nowhere"):
        stream_audio(pipe, torch.zeros(1, 4, 1, 16), workspace=tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["seconds", "chunk_seconds"])
@pytest.mark.parametrize("value", [0, -1, 1e-5, float("nan"), float("inf")])
def test_lengths_without_a_sample_are_refused_before_anything_is_made(
    pipe: Any, name: str, value: float
) -> None:
    with pytest.raises(ValueError, match=f"^{name} is {value}: .* at least one sample"):
        stream_audio(pipe, torch.zeros(1, 4, 9, 16), **{name: value})


def test_a_folder_without_room_is_named_before_anything_is_written(
    pipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match=f"GiB in {tmp_path}.*set the environment variable TMPDIR"):
        next(stream_audio(pipe, torch.zeros(1, 4, 99, 16), workspace=tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="lists the open files of a process")
@pytest.mark.parametrize("end", ["success", "closed", ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_the_workspace(
    pipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Any
) -> None:
    chunks = stream_audio(pipe, torch.randn(1, 4, 99, 16), chunk_seconds=0.2, workspace=tmp_path)
    next(chunks)
    assert open_in(tmp_path) and not list(tmp_path.iterdir())  # files without a name
    if end == "success":
        assert len(list(chunks)) > 5
    elif end == "closed":
        chunks.close()  # type: ignore[attr-defined]
    else:
        monkeypatch.setattr(pipe.vae.decoder.conv_act, "forward", failing(end))
        with pytest.raises(end):
            list(chunks)
    assert not open_in(tmp_path) and not list(tmp_path.iterdir())


def failing(error: type[BaseException]) -> Any:
    def forward(*args: Any) -> None:
        raise error

    return forward


def open_in(folder: Path) -> list[str]:
    """List the open files of this process inside a folder, named or not."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:  # the one that lists
            continue
        found += [target] if target.startswith(str(folder)) else []
    return found


@pytest.fixture(scope="module")
def folder(pipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    pipe.save_pretrained(made)
    return made


def run_of(folder: Path, output: Path, **more: Any) -> Iterator[np.ndarray]:
    config = {
        "genhub": 1, "model": {"source": str(folder)}, "input": {"prompts": ["a beep", "rain"]},
        "sampling": {"steps": 2, "guidance": 2.5, "seconds": 2.37, "batch": 2},
        "output": {"dir": str(output), "report": False}, **more,
    }  # fmt: skip
    run = genhub.run(config, quiet=True)
    for artifact in run.artifacts:
        with wave.open(str(run.folder / artifact.path)) as file:
            yield np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(int)


def test_the_files_of_a_run_are_those_of_the_pipeline_to_one_step_of_16_bits(
    folder: Path, tmp_path: Path
) -> None:
    plain, streamed = (
        list(run_of(folder, tmp_path / how, attention=[{"type": "litefocus", "decode": how}]))
        for how in ("pipeline", "stream")
    )
    for one, other in zip(streamed, plain, strict=True):
        assert one.shape == other.shape == (37920,) and one.std() > 100
        assert np.abs(one - other).max() <= 1


def test_the_sink_of_a_run_gets_every_sample_in_chunks(pipe: Any) -> None:
    latents = torch.randn(2, 4, 60, 16)
    written: list[tuple[int, torch.Tensor]] = []
    sink = SimpleNamespace(write=lambda chunk, sample: written.append((sample, chunk)))
    request = SimpleNamespace(call={"audio_length_in_s": 2.37})
    decode_to_sink(latents, request, sink, SimpleNamespace(pipeline=pipe))  # type: ignore[arg-type]
    assert [(row, len(chunk)) for row, chunk in written[:4]] == [(0, 8000), (1, 8000)] * 2
    with torch.no_grad():
        whole = pipe.vocoder(pipe.vae.decode(latents).sample[:, 0])[:, :37920]
    for row in range(2):
        joined = torch.cat([chunk for of, chunk in written if of == row])
        assert (joined - whole[row]).abs().max() < 1e-5 * whole.abs().max()


def test_an_attached_pipeline_streams_its_decoding_until_it_is_detached(pipe: Any) -> None:
    with genhub.attach(pipe, [{"type": "litefocus", "decode": "pipeline"}]):
        plain = made_by(pipe)
    with genhub.attach(pipe, [{"type": "litefocus"}]) as attached:
        assert attached.decoder is attached.driver("litefocus")
        assert "decode" in vars(pipe.vae) and "forward" in vars(pipe.vocoder)
        assert np.abs(made_by(pipe) - plain).max() < 1e-5 * np.abs(plain).max()
    assert "decode" not in vars(pipe.vae) and "forward" not in vars(pipe.vocoder)


def test_a_run_whose_sound_no_vocoder_makes_says_how_to_go_on(pipe: Any) -> None:
    silent = copy.copy(pipe)
    silent.vocoder = None
    ctx = SimpleNamespace(pipeline=silent)
    with pytest.raises(GenHubError, match="has no vocoder") as caught:
        decode_to_sink(torch.zeros(1, 4, 9, 16), None, None, ctx)  # type: ignore[arg-type]
    assert "decode: pipeline" in caught.value.problems[0].hint
