"""A UNet of four blocks, small enough to list by hand what reads what."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Down(nn.Module):
    """Gives its hidden state twice, the second time as its last skip, as blocks of UNets do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)

    def forward(self, x: Tensor, temb: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        a = self.first(x + temb)
        b = self.second(a)
        return b, (a, b)


class Up(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.merge = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.merge(torch.cat([x, skip], -1))


class ToyNet(nn.Module):
    """sample [B, width], timestep [B] -> [B, width]; a residual is added in place after `down`."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.time = nn.Linear(1, width)
        self.entry = nn.Linear(width, width)
        self.down = Down(width)
        self.mid = nn.Linear(width, width)
        self.up = Up(width)
        self.exit = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, sample: Tensor, timestep: Tensor, residual: Tensor | None = None) -> Tensor:
        temb = self.time(timestep[:, None])
        h = self.entry(sample)
        h, skips = self.down(h, temb)
        if residual is not None:
            h += residual
        h = self.mid(h)
        h = self.up(h, skips[0])
        h = self.exit(h + skips[-1])
        return h + self.bias + sample


PATHS = ("entry", "down", "mid", "up", "exit")


def call(residual: bool = False) -> tuple[Tensor, ...]:
    """Give the arguments of a call with one sample."""
    args = (torch.ones(1, 4), torch.ones(1))
    return (*args, torch.ones(1, 4)) if residual else args
