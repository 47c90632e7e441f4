"""Call a pipeline up to where it would decode, and take the latents from it there."""

from __future__ import annotations

from typing import Any

from genhub.api import Request

__all__ = ["up_to_decoding"]


def up_to_decoding(pipeline: Any, request: Request) -> tuple[Any, Any]:
    """Give the latents that the pipeline hands to `vae.decode`, or None and its own result.

    What is handed over is scaled as the autoencoder wants it, whichever pipeline it is, and
    pipelines that cannot be asked for latents serve as well. The pipeline goes on by itself where
    it has no autoencoder, and where latents are not one row for each sample of the request.
    """
    autoencoder = getattr(pipeline, "vae", None)
    if autoencoder is None:
        return None, pipeline(**request.call)
    own = vars(autoencoder).get("decode")
    decode = autoencoder.decode

    def hand_over(latents: Any, *args: Any, **kwargs: Any) -> Any:
        if len(latents) != len(request.samples):
            return decode(latents, *args, **kwargs)
        raise _HandedOver(latents)

    autoencoder.decode = hand_over
    try:
        return None, pipeline(**request.call)
    except _HandedOver as end:
        return end.latents, None
    finally:
        if own is None:
            del autoencoder.decode
        else:
            autoencoder.decode = own


class _HandedOver(Exception):
    """Ends the pipeline's call: somebody else decodes."""

    def __init__(self, latents: Any) -> None:
        super().__init__("the latents are handed over")
        self.latents = latents
