"""What networks are trained to make small."""

from transmodal.losses.adversarial import SoftplusLoss
from transmodal.losses.gradient_penalty import r1_penalty

__all__ = ["SoftplusLoss", "r1_penalty"]
