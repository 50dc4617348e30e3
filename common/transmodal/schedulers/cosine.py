"""The learning rate of SynDiff: half a cosine (I. Loshchilov and F. Hutter, SGDR, ICLR 2017, arXiv:1608.03983, (5))."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from transmodal.errors import require_integer, require_number


class CosineAnnealing(CosineAnnealingLR):
    """Cosine annealing that ends: the rate falls from the initial one to ``eta_min`` at ``T_max`` and stays there.

    PyTorch's own rises again after ``T_max``, and restores ``T_max`` with its state: a finished training that is
    extended would end at its full rate. Here the rate follows from the epoch alone, and :meth:`load_state_dict` keeps
    the length and the end that this object was made with. Until ``T_max`` both have the same rates.

    Args:
        optimizer: whose rates are set.
        T_max: epochs until the end, 1 or more; PyTorch's name for it.
        eta_min: the rate at the end, 0 or more.
        last_epoch: complete epochs of a training that goes on, -1 for a new one.
    Raises:
        InputError: for a length or an end that is out of range.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        require_integer("CosineAnnealing, T_max", T_max, 1, "give a number of epochs")
        require_number("CosineAnnealing, eta_min", eta_min, "give the last learning rate as a number without quotes")
        super().__init__(optimizer, T_max, eta_min, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """The rate of each parameter group in the present epoch."""
        return self._get_closed_form_lr()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the saved epoch, towards this object's own end; the next step sets the rate."""
        super().load_state_dict({**state_dict, "T_max": self.T_max, "eta_min": self.eta_min})

    def _get_closed_form_lr(self) -> list[float | Tensor]:
        left = (1 + math.cos(math.pi * min(self.last_epoch / self.T_max, 1.0))) / 2
        return [left * rate + (1 - left) * self.eta_min for rate in self.base_lrs]  # both ends are exact
