"""Kernels of LiteFocus attention, each checked against `genhub_litefocus.reference`."""
