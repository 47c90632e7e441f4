"""The memory that decoding takes does not depend on the length of the sound."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import small_pipelines
import torch

from genhub_litefocus import spill, vae_stream
from genhub_litefocus.decoding import stream_audio

PROGRAM = """
import resource
import torch
import small_pipelines
from genhub_litefocus import spill, vae_stream
from genhub_litefocus.decoding import stream_audio

torch.set_num_threads(1)
spill.MEMORY, vae_stream.BLOCK = 2**22, 2**21
pipe = small_pipelines.audioldm2()
for attention, frames in ((False, 600), (False, 1600), (True, 400), (True, 1000)):
    pipe.vae = small_pipelines.autoencoder(mid_block_add_attention=attention)
    samples = sum(c.shape[1] for c in stream_audio(pipe, torch.randn(1, 4, frames, 16)))
    assert samples == frames * 640 + 32
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""

LATENT = 4 * 16 * 4  # bytes of one frame of latents
# One activation of the longer sounds, kept in half precision, would be 16 and 10 MB; at once, three
# in full precision would be there, and all scores of 16000 tokens.
SLACK = 6 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_peak_memory_is_that_of_a_short_sound() -> None:
    # What the allocator and oneDNN keep for later would hide what is in use.
    keeping = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    keeping |= {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "8"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parent, capture_output=True,
        text=True, check=True, env={**os.environ, **keeping},
    )  # fmt: skip
    peaks = [int(line) for line in ran.stdout.split()]
    for short, long, frames in ((*peaks[:2], 1600), (*peaks[2:], 1000)):
        assert long - short < SLACK + 3 * LATENT * frames


def test_what_lives_between_chunks_is_that_of_a_short_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spill, "MEMORY", 0)
    monkeypatch.setattr(vae_stream, "BLOCK", 2**19)
    pipe = small_pipelines.audioldm2()
    short, long = (most_alive(pipe, frames) for frames in (60, 240))
    assert short > 0 and long - short <= 3 * LATENT * (240 - 60)


def most_alive(pipe: Any, frames: int) -> int:
    """Give the most bytes of tensors that are there when a chunk comes."""
    gc.collect()
    before = alive()
    latents = torch.randn(1, 4, frames, 16)
    return max(alive() - before for _ in stream_audio(pipe, latents, chunk_seconds=1.0))


def alive() -> int:
    """Count the bytes of all tensors that Python knows of, shared memory once."""
    tensors = [thing for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor)]
    storages = [t.untyped_storage() for t in tensors if t.device.type == "cpu"]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
