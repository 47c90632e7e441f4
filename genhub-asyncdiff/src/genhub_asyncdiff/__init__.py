"""Asynchronous model parallelism for any diffusers denoiser (AsyncDiff, NeurIPS 2024)."""
