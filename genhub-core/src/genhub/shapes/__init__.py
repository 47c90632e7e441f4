"""The captioned-shapes world: a renderer, its captions, a judge, and a model trained on it."""
