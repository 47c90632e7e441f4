"""The games of the Procgen benchmark with controllable contexts."""
