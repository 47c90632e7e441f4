"""Runs of several ranks: how many there are, who starts them, and who tells what went wrong."""
