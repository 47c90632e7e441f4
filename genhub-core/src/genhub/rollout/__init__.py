"""The task `rollout`: act in environments, and tell what returns that gives in which context."""
