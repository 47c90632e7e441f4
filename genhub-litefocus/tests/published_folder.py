"""Write the configs of the published AudioLDM2 as a model folder without weights."""

from __future__ import annotations

import json
from pathlib import Path

_UNET = {
    "_class_name": "AudioLDM2UNet2DConditionModel",
    "in_channels": 8,
    "out_channels": 8,
    "block_out_channels": [128, 256, 384, 640],
    "down_block_types": ["DownBlock2D", *["CrossAttnDownBlock2D"] * 3],
    "up_block_types": [*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"],
    "cross_attention_dim": [[None, 768, 1024]] * 4,
    "attention_head_dim": 8,
    "layers_per_block": 2,
    "sample_size": 256,
}
_VAE = {
    "_class_name": "AutoencoderKL",
    "block_out_channels": [128, 256, 512],
    "latent_channels": 8,
    "in_channels": 1,
    "out_channels": 1,
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "layers_per_block": 2,
    "sample_size": 1024,
    "scaling_factor": 0.4110932946205139,
}
_VOCODER = {"model_in_dim": 64, "sampling_rate": 16000, "upsample_rates": [5, 4, 2, 2, 2]}
_INDEX = {
    "_class_name": "AudioLDM2Pipeline",
    "unet": ["audioldm2", _UNET["_class_name"]],
    "vae": ["diffusers", "AutoencoderKL"],
    "vocoder": ["transformers", "SpeechT5HifiGan"],
    "language_model": ["transformers", "GPT2Model"],
}


def audioldm2_folder(folder: Path) -> Path:
    """Write the folder and give it back."""
    parts = {"unet": _UNET, "vae": _VAE, "vocoder": _VOCODER}
    for name, config in parts.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps(config))
    (folder / "model_index.json").write_text(json.dumps(_INDEX))
    return folder
