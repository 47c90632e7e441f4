"""Audio pipelines of random weights, small enough for a second of sound in a tenth of one.

`audioldm2`, `audioldm` and `musicldm` give pipelines of 100 mel frames a second at 16 kHz, whose
latents are [B, 4, 25 frames a second, 16]: every module is there, nothing is downloaded.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AudioLDM2Pipeline,
    AudioLDMPipeline,
    AutoencoderKL,
    DDIMScheduler,
    MusicLDMPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.audioldm2 import (
    AudioLDM2ProjectionModel,
    AudioLDM2UNet2DConditionModel,
)
from transformers import (
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapTextModelWithProjection,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    RobertaTokenizer,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

LETTERS = [chr(code) for code in range(33, 127)]


def audioldm2(
    *, seed: int = 0, gpt2: str = "lm", cross_dims: tuple[Any, ...] = (None, 16, 32), depth: int = 1
) -> AudioLDM2Pipeline:
    """Make an AudioLDM2 pipeline; `gpt2="plain"` gives the language model published repositories
    name, which current transformers cannot generate with.
    """
    torch.manual_seed(seed)
    gpt2_config = GPT2Config(
        n_embd=16,
        n_head=2,
        n_layer=2,
        vocab_size=1000,
        n_positions=99,
        bos_token_id=0,
        eos_token_id=0,
    )
    gpt2_config.max_new_tokens = 8
    language_model = (GPT2LMHeadModel if gpt2 == "lm" else GPT2Model)(gpt2_config)
    t5_config = T5Config(
        d_model=32, d_ff=37, d_kv=8, num_heads=2, num_layers=2, vocab_size=1000, pad_token_id=0
    )
    pipe = AudioLDM2Pipeline(
        vae=autoencoder(),
        text_encoder=ClapModel(_clap_config()),
        text_encoder_2=T5EncoderModel(t5_config),
        projection_model=AudioLDM2ProjectionModel(16, 32, 16),
        language_model=language_model,
        tokenizer=_roberta(),
        tokenizer_2=_t5(),
        feature_extractor=_features(),
        unet=audioldm2_unet(cross_dims=cross_dims, depth=depth),
        scheduler=_scheduler(),
        vocoder=vocoder(),
    )
    return _quiet(pipe)


def audioldm(*, seed: int = 0) -> AudioLDMPipeline:
    """Make a first-generation AudioLDM pipeline, whose attn2 are self-attention too."""
    torch.manual_seed(seed)
    text = ClapTextModelWithProjection(_clap_config().text_config)
    pipe = AudioLDMPipeline(
        vae=autoencoder(), text_encoder=text, tokenizer=_roberta(), unet=audioldm_unet(),
        scheduler=_scheduler(), vocoder=vocoder(),
    )  # fmt: skip
    return _quiet(pipe)


def musicldm(*, seed: int = 0) -> MusicLDMPipeline:
    """Make a MusicLDM pipeline, which calls CLAP in a way that transformers 5 has ended."""
    torch.manual_seed(seed)
    pipe = MusicLDMPipeline(
        vae=autoencoder(), text_encoder=ClapModel(_clap_config()), tokenizer=_roberta(),
        feature_extractor=_features(), unet=audioldm_unet(), scheduler=_scheduler(),
        vocoder=vocoder(),
    )  # fmt: skip
    return _quiet(pipe)


def audioldm2_unet(
    *, cross_dims: tuple[Any, ...] = (None, 16, 32), depth: int = 1
) -> AudioLDM2UNet2DConditionModel:
    """Make the UNet: three levels, attention at the second and the third."""
    return AudioLDM2UNet2DConditionModel(
        block_out_channels=(16, 32, 48),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=4,
        sample_size=32,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=(list(cross_dims),) * 3,
        transformer_layers_per_block=depth,
    ).eval()


def audioldm_unet() -> UNet2DConditionModel:
    """Make the UNet of AudioLDM and MusicLDM: conditioned by class embeddings alone."""
    return UNet2DConditionModel(
        block_out_channels=(16, 32, 48),
        layers_per_block=1,
        norm_num_groups=8,
        attention_head_dim=4,
        sample_size=32,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=(16, 32, 48),
        class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=16,
        class_embeddings_concat=True,
    ).eval()


def autoencoder(**changes: Any) -> AutoencoderKL:
    """Make an autoencoder of mel pictures: factor 4, attention in its middle, groups of 8."""
    given: dict[str, Any] = {
        "block_out_channels": [16, 32, 32],
        "in_channels": 1,
        "out_channels": 1,
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
        "latent_channels": 4,
        "norm_num_groups": 8,
    }
    return AutoencoderKL(**{**given, **changes}).eval()


def vocoder(**changes: Any) -> SpeechT5HifiGan:
    """Make a vocoder of 160 samples a frame at 16 kHz."""
    given: dict[str, Any] = {
        "model_in_dim": 64,
        "sampling_rate": 16000,
        "upsample_initial_channel": 16,
        "upsample_rates": [5, 4, 4, 2],
        "upsample_kernel_sizes": [16, 16, 8, 4],
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5]] * 3,
        "normalize_before": False,
    }
    made = SpeechT5HifiGan(SpeechT5HifiGanConfig(**{**given, **changes})).eval()
    for part in made.modules():  # its own initial weights are so small that it is silent
        if isinstance(part, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            fan = part.weight.numel() // max(part.in_channels, part.out_channels)
            torch.nn.init.normal_(part.weight, std=fan**-0.5)
    return made


def _clap_config() -> ClapConfig:
    text = {
        "hidden_size": 16, "intermediate_size": 37, "num_attention_heads": 2,
        "num_hidden_layers": 2, "vocab_size": 1000, "pad_token_id": 1, "projection_dim": 16,
        "layer_norm_eps": 1e-5,
    }  # fmt: skip
    audio = {
        "spec_size": 64, "window_size": 4, "num_mel_bins": 64, "depths": [2, 2],
        "num_attention_heads": [2, 2], "num_hidden_layers": 2, "hidden_size": 192,
        "patch_size": 2, "patch_stride": 2, "patch_embed_input_channels": 4, "projection_dim": 16,
    }  # fmt: skip
    return ClapConfig(text_config=text, audio_config=audio, projection_dim=16)


def _roberta() -> RobertaTokenizer:
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *LETTERS, "\u0120"]
    vocab = {word: place for place, word in enumerate(words)}
    return RobertaTokenizer(vocab=vocab, merges=[], model_max_length=77)


def _t5() -> T5Tokenizer:
    known = [(word, 0.0) for word in ("<pad>", "</s>", "<unk>")]
    letters = [(letter, -1.0) for letter in (*LETTERS, "\u2581")]
    return T5Tokenizer(vocab=known + letters, extra_ids=0, model_max_length=77)


def _features() -> ClapFeatureExtractor:
    return ClapFeatureExtractor(feature_size=64, sampling_rate=48000, hop_length=480)


def _scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1,
    )  # fmt: skip


def _quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipe
