"""A Stable Diffusion pipeline whose pictures are sound: caption, latents, mel picture, wave."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import (
    AudioPipelineOutput,
    ConfigMixin,
    ModelMixin,
    StableDiffusionPipeline,
)
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from genhub_litefocus.tones import mel
from genhub_litefocus.tones.sound import RATE

__all__ = ["MelSynthesiser", "TonesPipeline"]


class MelSynthesiser(ModelMixin, ConfigMixin):
    """The vocoder: `mel.synthesise`, with the configuration that vocoders of diffusers show."""

    context_frames = 1  # a piece of sound needs the frame after it

    @register_to_config
    def __init__(
        self,
        model_in_dim: int = mel.BANDS,
        sampling_rate: int = RATE,
        upsample_rates: tuple[int, ...] = (mel.HOP,),
    ) -> None:
        super().__init__()
        # diffusers asks every part of a pipeline where it is and in which precision it computes.
        # Saved, because a part of which nothing is saved cannot be loaded either.
        self.register_buffer("gain", torch.ones(1))

    def forward(self, spectrogram: Tensor, start: int = 0) -> Tensor:
        """Give waveforms [B, frames * hop] of mel pictures [B, frames, 64] in -1..1.

        `start` is how many frames came before, where the sound is made piece by piece.
        """
        return mel.synthesise(spectrogram, start=start) * self.gain


class TonesPipeline(StableDiffusionPipeline):
    """Text to sound: the stock pipeline as far as the latents, then mel picture and waveform.

    Latents are [B, 4, T, 16] with ten frames a second; the mel picture has 40 frames a second and
    64 bands. The sound has 16,000 samples a second.
    """

    _optional_components: ClassVar = ["safety_checker", "feature_extractor", "image_encoder"]

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        scheduler: Any,
        vocoder: Any,
        safety_checker: Any = None,
        feature_extractor: Any = None,
        image_encoder: Any = None,
        requires_safety_checker: bool = False,
    ) -> None:
        super().__init__(
            vae, text_encoder, tokenizer, unet, scheduler, safety_checker, feature_extractor,
            image_encoder, requires_safety_checker,
        )  # fmt: skip
        self.register_modules(vocoder=vocoder)

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        audio_length_in_s: float = 9.6,
        num_inference_steps: int = 20,
        guidance_scale: float = 3.0,
        negative_prompt: str | list[str] | None = None,
        num_waveforms_per_prompt: int = 1,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: Tensor | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: Any = None,
    ) -> AudioPipelineOutput | tuple[Any]:
        """Make sounds [B, samples] of `audio_length_in_s` seconds.

        The length is rounded up to what the model can make, 0.2 s, and cut. `output_type` is "np",
        "pt", or "latent" for the denoised latents. Raises ValueError for a length that is not
        positive.
        """
        if not audio_length_in_s > 0:
            raise ValueError(f"audio_length_in_s is {audio_length_in_s}: it must be above 0.")
        grain = 2 * self.vae_scale_factor  # frames: the stock pipeline takes multiples of 8
        samples = int(audio_length_in_s * RATE)
        frames = -(-samples // (mel.HOP * grain)) * grain
        made = super().__call__(
            prompt, frames, mel.BANDS, num_inference_steps, guidance_scale=guidance_scale,
            negative_prompt=negative_prompt, num_images_per_prompt=num_waveforms_per_prompt,
            eta=eta, generator=generator, latents=latents, output_type="latent",
            callback_on_step_end=callback_on_step_end,
        )  # fmt: skip
        sounds: Any = made.images
        if output_type != "latent":
            picture = self.vae.decode(sounds / self.vae.config.scaling_factor).sample
            sounds = self.vocoder(picture[:, 0])[:, :samples]
            if output_type == "np":
                sounds = np.asarray(sounds.cpu())
        return AudioPipelineOutput(audios=sounds) if return_dict else (sounds,)
