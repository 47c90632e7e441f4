"""Replicas of a pipeline: what they share, and what each has to itself."""

from __future__ import annotations

import torch

from genhub.comm.replica import replica


class Tokenizer:
    """Remembers how it was called last, as those of transformers do."""

    def __init__(self) -> None:
        self.padding = "none"

    def batch_decode(self, rows: list[int]) -> list[str]:
        return [str(row) for row in rows]


class Pipeline:
    def __init__(self) -> None:
        self.unet = torch.nn.Linear(2, 2)
        self.tokenizer = Tokenizer()
        self.note = object()


def test_a_replica_shares_tensors_and_no_module_or_tokenizer():
    pipeline = Pipeline()
    twin = replica(pipeline)
    assert twin.unet is not pipeline.unet
    assert twin.unet.weight is pipeline.unet.weight
    twin.tokenizer.padding = "longest"
    assert pipeline.tokenizer.padding == "none"
    assert twin.note is pipeline.note
