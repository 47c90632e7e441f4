"""Sound that is made piece by piece is the sound made at once."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from small_pipelines import vocoder
from torch import Tensor, nn

from genhub_litefocus.vocoder_stream import CONTEXT, context_frames, hop_of, sounded


@pytest.mark.parametrize("frames", [1, 20, 130])
@pytest.mark.parametrize("most", [7, 50, 1000])
@pytest.mark.parametrize("block", [9, 64])
def test_pieces_join_to_the_sound_of_the_whole(frames: int, most: int, block: int) -> None:
    torch.manual_seed(1)
    voice, mel = vocoder(), torch.randn(2, frames, 64)
    with torch.no_grad():
        whole = voice(mel)
        pieces = list(sounded(voice, mel.split(block, 1), most))
    joined = torch.cat(pieces, 1)
    assert joined.shape == whole.shape == (2, frames * 160 + 32)
    assert (joined - whole).abs().max() <= 1e-6 * whole.abs().max()
    assert all(piece.shape[1] <= most * 160 + 32 for piece in pieces)


def test_the_context_is_what_a_frame_changes() -> None:
    torch.manual_seed(2)
    voice = vocoder().double()
    mel = torch.randn(1, 81, 64, dtype=torch.double)
    bent = mel.clone()
    bent[:, 40] += 1
    with torch.no_grad():
        changed = (voice(mel) != voice(bent)).squeeze(0).nonzero().flatten()
    reach = max(40 * 160 - int(changed[0]), int(changed[-1]) + 1 - 41 * 160) / 160
    assert context_frames(voice) - 1 < reach <= context_frames(voice)


def test_the_published_vocoder_hears_about_two_dozen_frames() -> None:
    published = vocoder(
        upsample_initial_channel=32, upsample_rates=[5, 4, 2, 2, 2],
        upsample_kernel_sizes=[16, 16, 8, 4, 4],
    )  # fmt: skip
    assert context_frames(published) == 23 and hop_of(published) == 160


class Placed(nn.Module):
    """Sounds of where it stands, and of the frame that follows."""

    context_frames = 1
    config = SimpleNamespace(upsample_rates=(2,), sampling_rate=8)

    def forward(self, spectrogram: Tensor, start: int = 0) -> Tensor:
        level, following = spectrogram[..., 0], spectrogram[:, 1:, 0]
        following = torch.cat([following, level[:, -1:]], 1)
        place = torch.arange(start, start + level.shape[1])
        return torch.stack([level * place, following + place], 2).flatten(1)


def test_a_vocoder_that_counts_frames_is_told_where_a_piece_stands() -> None:
    voice, mel = Placed(), torch.randn(1, 23, 4)
    for most in (1, 5, 100):
        assert torch.equal(torch.cat(list(sounded(voice, mel.split(3, 1), most)), 1), voice(mel))


def test_pieces_come_before_the_mel_picture_ends() -> None:
    taken = 0

    def arriving() -> Iterator[Tensor]:
        nonlocal taken
        while taken < 1000:
            taken += 1
            yield torch.randn(1, 10, 64)

    with torch.no_grad():
        next(sounded(vocoder(), arriving(), 20))
    assert 10 * taken <= 20 + CONTEXT + 10


def test_no_frames_make_no_sound() -> None:
    assert list(sounded(vocoder(), [], 10)) == []
