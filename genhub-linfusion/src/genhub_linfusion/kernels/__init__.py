"""Kernels of linear attention, each checked against `genhub_linfusion.reference`."""
