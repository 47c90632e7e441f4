"""The parallel schedulers that ship with the host."""
