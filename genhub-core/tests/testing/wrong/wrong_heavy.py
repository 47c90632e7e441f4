"""A module that imports what only its methods need."""

import numpy  # noqa: F401
import wrong_mixers


class Heavy(wrong_mixers.Honest):
    pass
