"""Kernels of the operation `focus_attention`, one a module, and their drivers."""
