"""Where an adversarial diffusion objective takes its random numbers from: each sample from its own seed."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from transmodal.engines.phases import Batch
from transmodal.schedulers import SeededNoise, mixed

CRITICS, GENERATORS = 0, 1
"""Turns of one iteration, each with random numbers of its own."""


class Draws(Protocol):
    """Random numbers of one turn, one row for each sample of the batch."""

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, (B, *shape)."""
        ...

    def uniform(self, *shape: int) -> Tensor:
        """Numbers drawn uniformly from [0, 1), (B, *shape)."""
        ...

    def integers(self, high: int) -> Tensor:
        """Integers drawn uniformly from 0, ..., ``high - 1``, (B,)."""
        ...


def seeded_draws(batch: Batch, turn: int) -> Draws:
    """Random numbers that depend on each sample's own ``seed`` and on the turn, and on nothing else.

    So the number of processes changes no random number, and a resumed training draws what the uninterrupted one would
    have. It still changes the training: a critic's minibatch standard deviation sees the samples of one process, as in
    the published codes.

    Args:
        batch: with ``image``, (B, ...), on whose device the numbers are wanted, and ``seed``, (B,), integers of 0 or
            more; without it the global random generator of PyTorch chooses the seeds.
        turn: such as ``CRITICS`` or ``GENERATORS``.
    """
    image = batch["image"]
    seeds = batch["seed"] if "seed" in batch else torch.randint(2**31, (len(image),))
    return SeededNoise([mixed(int(seed), turn) for seed in seeds.tolist()], image.device)
