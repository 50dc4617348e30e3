"""Random numbers that belong to a sample: the same in every batch, on every rank and for every device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

__all__ = ["NormalNoise", "SeededNoise", "mixed"]


class NormalNoise(Protocol):
    """Where a reverse chain takes its standard normal numbers from, one row per sample or one for all samples."""

    def normal(self, *shape: int) -> Tensor:
        """The next draw, (N, *shape) or (1, *shape), float32, on the device of the samples."""
        ...


class SeededNoise:
    """A random generator for each sample of a batch, seeded for itself.

    What a sample draws depends on its seed and on its own draws before, so neither the other samples of the batch nor
    their order matter. Numbers are drawn on the CPU and then moved: the device does not matter either.

    Args:
        seeds: one for each sample, N of them; see :func:`mixed`.
        device: where the numbers go.
    """

    def __init__(self, seeds: Sequence[int] | Tensor, device: str | torch.device = "cpu") -> None:
        numbers = seeds.tolist() if isinstance(seeds, Tensor) else seeds
        self.generators = [torch.Generator("cpu").manual_seed(int(seed)) for seed in numbers]
        self.device = torch.device(device)

    def normal(self, *shape: int) -> Tensor:
        """Draw standard normal numbers, (N, *shape), float32."""
        numbers = torch.empty((len(self.generators), *shape), dtype=torch.float32, device="cpu")
        for row, generator in zip(numbers, self.generators, strict=True):
            row.normal_(generator=generator)
        return numbers.to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Draw uniformly from [0, 1), (N, *shape), float32."""
        numbers = torch.empty((len(self.generators), *shape), dtype=torch.float32, device="cpu")
        for row, generator in zip(numbers, self.generators, strict=True):
            row.uniform_(generator=generator)
        return numbers.to(self.device)

    def integers(self, high: int) -> Tensor:
        """Draw uniformly from 0, ..., ``high - 1``, (N,), int64."""
        numbers = torch.empty(len(self.generators), dtype=torch.int64, device="cpu")
        for row, generator in zip(numbers, self.generators, strict=True):
            row.random_(high, generator=generator)
        return numbers.to(self.device)


def mixed(*numbers: int) -> int:
    """Join numbers, such as a seed, a sample and a slice, to one seed without relation to that of other numbers.

    Args:
        numbers: integers of 0 or more, below 2**64; their order and their count matter.
    Returns:
        An integer of 32 bits: PyTorch's CPU generator reads no more of a seed.
    Raises:
        ValueError: if a number is out of range.
    """
    if not all(0 <= number < 2**64 for number in numbers):
        raise ValueError(f"found the numbers {list(numbers)} for a seed; wanted 0 to 2**64 - 1. Choose other numbers.")
    # Two words for each number and the count first: numpy pads with zeros, and (1,) would else give the seed of (1, 0).
    words = [word for number in numbers for word in divmod(number, 2**32)]
    return int(np.random.SeedSequence([len(numbers), *words]).generate_state(1)[0])
