"""Architecture search: the task, two strategies, and the space of mixer placements."""
