"""Decoding block by block gives what decoding at once gives."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from small_pipelines import autoencoder
from torch import Tensor, nn

from genhub_litefocus import vae_stream
from genhub_litefocus.spill import Workspace


def lively(vae: nn.Module) -> nn.Module:
    """Give norms weights that matter: of their own all are one and zero."""
    for part in vae.modules():
        if isinstance(part, nn.GroupNorm):
            nn.init.normal_(part.weight, 1, 0.3)
            nn.init.normal_(part.bias)
    return vae


def tiny() -> AutoencoderTiny:
    return AutoencoderTiny(
        in_channels=1, out_channels=1, latent_channels=4,
        encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8),
        num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(2, 1, 1),
    ).eval()  # fmt: skip


def picture(vae: nn.Module, latents: Tensor, most: int | None = None, memory: int = 0) -> Tensor:
    with Workspace(memory=memory) as workspace:
        return torch.cat(list(vae_stream.decoded(vae, latents, workspace, most)), 2)


def distance(one: Tensor, other: Tensor) -> float:
    assert one.shape == other.shape
    return float((one - other).norm() / other.norm())


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read so little at a time that every pass has many blocks, at odd places."""
    monkeypatch.setattr(vae_stream, "BLOCK", 50_000)
    monkeypatch.setattr(vae_stream, "KEYS", 112)


@pytest.mark.parametrize("frames", [1, 7, 53])
@pytest.mark.parametrize("memory", [0, 1 << 17])
def test_a_streamed_picture_is_the_one_decoded_at_once(
    small_blocks: None, frames: int, memory: int
) -> None:
    torch.manual_seed(1)
    vae, latents = lively(autoencoder()), 3 * torch.randn(2, 4, frames, 16)
    with torch.no_grad():
        whole = vae.decode(latents).sample
    assert distance(picture(vae, latents, memory=memory), whole) < 1e-5
    assert distance(picture(vae, latents, most=37, memory=memory), whole) < 1e-5


@pytest.mark.parametrize(
    "changes",
    [
        {"mid_block_add_attention": False},
        {"use_post_quant_conv": False, "use_quant_conv": False},
        {"layers_per_block": 2, "norm_num_groups": 16},
        {"block_out_channels": [16, 32], "down_block_types": ["DownEncoderBlock2D"] * 2,
         "up_block_types": ["UpDecoderBlock2D"] * 2},
    ],
)  # fmt: skip
def test_decoders_of_other_shapes_are_streamed_too(small_blocks: None, changes: dict) -> None:
    torch.manual_seed(2)
    vae, latents = lively(autoencoder(**changes)), 3 * torch.randn(1, 4, 21, 16)
    with torch.no_grad():
        whole = vae.decode(latents).sample
    assert distance(picture(vae, latents), whole) < 1e-5
    assert vae_stream.upscaling(vae) == whole.shape[2] // 21


def test_streaming_loses_less_to_rounding_than_decoding_at_once(small_blocks: None) -> None:
    torch.manual_seed(3)
    vae, latents = lively(autoencoder()), 3 * torch.randn(1, 4, 150, 16)
    with torch.no_grad():
        exact = copy.deepcopy(vae).double().decode(latents.double()).sample
        at_once = distance(vae.decode(latents).sample.double(), exact)
    assert distance(picture(vae, latents).double(), exact) < min(2e-6, at_once)
    doubled = copy.deepcopy(vae).double()
    assert distance(picture(doubled, latents.double()), exact) < 1e-13


def test_a_decoder_of_convolutions_alone_takes_one_pass(
    small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(4)
    vae, latents = tiny(), torch.randn(2, 4, 61, 16)
    stored = []
    store = Workspace.store
    monkeypatch.setattr(Workspace, "store", lambda *args: stored.append(1) or store(*args))
    blocks = picture(vae, latents, most=20)
    with torch.no_grad():
        assert distance(blocks, vae.decode(latents).sample) < 1e-6
    assert len(stored) == 1 and vae_stream.upscaling(vae) == 4  # the latents, and nothing behind


def test_half_precision_stays_as_near_as_decoding_at_once(small_blocks: None) -> None:
    torch.manual_seed(5)
    vae, latents = lively(autoencoder()), 3 * torch.randn(1, 4, 40, 16)
    half = copy.deepcopy(vae).bfloat16()
    with torch.no_grad():
        exact = vae.decode(latents).sample
        at_once = distance(half.decode(latents.bfloat16()).sample.float(), exact)
    streamed = picture(half, latents.bfloat16())
    assert streamed.dtype == torch.bfloat16
    assert distance(streamed.float(), exact) < 1.2 * at_once


def test_no_block_is_longer_than_asked() -> None:
    vae = autoencoder()
    with Workspace() as workspace:
        blocks = list(vae_stream.decoded(vae, torch.randn(1, 4, 33, 16), workspace, most=10))
    assert [block.shape[2] for block in blocks] == [10] * 13 + [2]


def test_decoders_that_hold_something_else_are_refused_by_name() -> None:
    turned = autoencoder()
    turned.decoder.conv_out.padding_mode = "circular"
    strange = autoencoder()
    strange.decoder.up_blocks[0].resnets[0].nonlinearity = nn.Softmax(dim=2)
    odd = autoencoder()
    odd.decoder = nn.Conv2d(4, 1, 3)
    for vae, said in ((turned, "Conv2d"), (strange, "Softmax"), (odd, "another kind")):
        assert said in (vae_stream.why_not(vae) or "")
        with Workspace() as workspace, pytest.raises(ValueError, match=said):
            next(vae_stream.decoded(vae, torch.randn(1, 4, 3, 16), workspace))
    with torch.device("meta"):
        assert "offloaded" in (vae_stream.why_not(autoencoder()) or "")
    assert vae_stream.why_not(autoencoder()) is None


def test_a_layer_that_is_offloaded_as_a_whole_is_moved_first() -> None:
    moved = []

    class Hook:
        def pre_forward(self, module: AutoencoderKL) -> None:
            moved.append(module)

    vae = autoencoder()
    vae._hf_hook = Hook()
    with Workspace() as workspace:
        next(vae_stream.decoded(vae, torch.randn(1, 4, 3, 16), workspace))
    assert moved == [vae]
