"""The models that ship with the host."""
