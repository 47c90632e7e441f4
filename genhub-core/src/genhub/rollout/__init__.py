"""Policies at work in environments: episodes, returns by context, films."""
