"""The memory that decoding takes does not depend on the length of the sound."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource
import torch
import small_pipelines
from genhub_litefocus import spill, vae_stream
from genhub_litefocus.decoding import stream_audio

torch.set_num_threads(1)
spill.MEMORY, vae_stream.BLOCK = 2**22, 2**21
pipe = small_pipelines.audioldm2()
for attention, frames in ((False, 400), (False, 1400), (True, 300), (True, 800)):
    pipe.vae = small_pipelines.autoencoder(mid_block_add_attention=attention)
    samples = sum(c.shape[1] for c in stream_audio(pipe, torch.randn(1, 4, frames, 16)))
    assert samples == frames * 640 + 32
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""

PICTURE = 4 * 32 * 64 * 4  # bytes per frame of latents of one of the activations, 32 channels wide


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
    # At once, three such activations would be there, and all scores of 12800 tokens: 655 MB.
    assert peaks[1] - peaks[0] < 0.25 * PICTURE * (1400 - 400)
    assert peaks[3] - peaks[2] < 1.0 * PICTURE * (800 - 300)
