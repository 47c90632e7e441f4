"""The host's own metrics."""
