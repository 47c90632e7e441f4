"""The captioned-shapes world: scenes and captions, a renderer, a judge, and a trained model.

`scenes` needs nothing; `render` and `judge` need numpy; the rest is the model's training.
"""
