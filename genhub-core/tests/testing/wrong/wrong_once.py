"""A module that changes something outside itself when it is imported."""

import wrong_mixers

import genhub.api

if hasattr(genhub.api, "once_is_enough"):
    raise RuntimeError("imported before")
genhub.api.once_is_enough = True


class Once(wrong_mixers.Honest):
    pass
