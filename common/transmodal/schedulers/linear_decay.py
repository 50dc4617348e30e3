"""The learning rate of CycleGAN: constant, then linear to zero (Zhu et al. 2017, arXiv:1703.10593, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

from transmodal.errors import require_flag, require_integer


@dataclass(frozen=True)
class LinearDecay:
    """The factor on the initial learning rate in an epoch; its method goes to ``torch.optim.lr_scheduler.LambdaLR``.

    The method, and not an object that can be called: of such an object the scheduler would save the values and restore
    them, in a resumed training, over those of a configuration that trains longer.

    Epochs count from 0 and ``1 - max(0, epoch + 1 - constant_epochs) / (decay_epochs + 1)`` is the factor, never below
    0: the last of ``constant_epochs + decay_epochs`` epochs still learns.

    Args:
        constant_epochs: epochs at the initial rate.
        decay_epochs: epochs of decay after them.
        legacy: begin the decay one epoch earlier and end at 0, as CycleGAN implementations did until mid-2018.
    """

    constant_epochs: int = 100
    decay_epochs: int = 100
    legacy: bool = False

    def __post_init__(self) -> None:
        for name, value in (("constant_epochs", self.constant_epochs), ("decay_epochs", self.decay_epochs)):
            require_integer(f"LinearDecay, {name}", value, 0, "give a number of epochs")
        require_flag("LinearDecay, legacy", self.legacy)

    def factor(self, epoch: int) -> float:
        """The factor in [0, 1] for the epoch of this index, counted from 0."""
        decayed = max(0, epoch + 1 + int(self.legacy) - self.constant_epochs)
        return max(0.0, 1.0 - decayed / (self.decay_epochs + 1))
