"""The order in which an epoch draws from a data set: a function of seed and epoch, whatever the number of processes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from typing import Any

import torch
import torch.distributed as dist
from torch.utils.data import DistributedSampler

__all__ = ["SeededSampler"]


class SeededSampler(DistributedSampler[tuple[int, ...]]):
    """Draw indices ``(number, seed)``: a new permutation in each epoch, and with each number a seed for its randomness.

    Ranks take every n-th index, so that n processes see together what one process sees at the global batch size; where
    they do not divide the data set, the last draws begin another pass. MONAI's engines tell a ``DistributedSampler``
    the epoch, which is all the state there is.

    Args:
        dataset: its length is drawn from.
        seed: with the epoch it fixes every draw.
        num_replicas, rank: processes that share the epoch; by default those of the process group, or one.
    """

    def __init__(self, dataset: Sized, seed: int = 0, num_replicas: int | None = None, rank: int | None = None) -> None:
        grouped = dist.is_available() and dist.is_initialized()
        replicas = num_replicas if num_replicas is not None else (dist.get_world_size() if grouped else 1)
        own = rank if rank is not None else (dist.get_rank() if grouped else 0)
        sized: Any = dataset
        super().__init__(sized, num_replicas=replicas, rank=own, shuffle=True, seed=seed)
        self.lengths: tuple[int, ...] = (len(dataset),)

    def __len__(self) -> int:
        return math.ceil(max(self.lengths) / self.num_replicas)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        total = len(self) * self.num_replicas
        numbers = [self._pass(length, total, generator) for length in self.lengths]
        seeds = torch.randint(2**31, (total,), generator=generator).tolist()
        draws = list(zip(*numbers, seeds, strict=True))
        return iter(draws[self.rank : total : self.num_replicas])

    @staticmethod
    def _pass(length: int, total: int, generator: torch.Generator) -> list[int]:
        rounds = [torch.randperm(length, generator=generator) for _ in range(math.ceil(total / length))]
        return [int(number) for number in torch.cat(rounds)[:total]]
