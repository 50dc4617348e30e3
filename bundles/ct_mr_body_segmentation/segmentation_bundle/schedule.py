"""The learning rate of DeepLab: a power of what is left of the training (Chen et al. 2017, arXiv:1706.05587, 4.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from transmodal.errors import require_integer


@dataclass(frozen=True)
class PolynomialDecay:
    """The factor ``(1 - epoch / max_epochs) ** power`` on the initial learning rate, epochs counting from 0.

    Its method goes to ``torch.optim.lr_scheduler.LambdaLR``, which then saves none of these values: a training that is
    resumed to last longer decays as its configuration says.

    Args:
        max_epochs: of the training; the last one still learns, and whatever follows does not.
        power: 0.9 as published.
    """

    max_epochs: int
    power: float = 0.9

    def __post_init__(self) -> None:
        require_integer("PolynomialDecay, max_epochs", self.max_epochs, 1, "give a number of epochs")

    def factor(self, epoch: int) -> float:
        """Factor in an epoch, from 1 down to 0."""
        return max(0.0, 1.0 - epoch / self.max_epochs) ** self.power


@dataclass(frozen=True)
class PublishedDecay:
    """The published study's rate: constant for so many epochs, then a factor of exp(-0.1) in each.

    Args:
        constant_epochs: 10 as published.
        rate: exponent for each further epoch.
    """

    constant_epochs: int = 10
    rate: float = 0.1

    def factor(self, epoch: int) -> float:
        """Factor in an epoch, epochs counting from 0."""
        return math.exp(-self.rate * max(0, epoch + 1 - self.constant_epochs))
