"""Small networks to measure, importable by the process that measures their memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.measuring import Inputs

MEGABYTES = 100


class Recording(nn.Module):
    """A convolution that remembers what it was called with and what it answered."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.seen: list[Tensor] = []
        self.answers: list[Tensor] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(image)
        self.answers.append(self.conv(image))
        return self.answers[-1]


class Large(nn.Module):
    """Holds ``MEGABYTES`` of 10⁶ bytes, and works with as much again for each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(MEGABYTES, 250_000))

    def forward(self, image: Tensor) -> Tensor:
        return torch.stack([(self.weight * pixel).mean() for pixel in image.flatten()])


def large(batch: int) -> tuple[nn.Module, Inputs]:
    """Build a large network and its inputs."""
    return Large(), {"image": torch.ones(batch, 1)}
