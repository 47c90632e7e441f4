"""The host's own tasks."""
