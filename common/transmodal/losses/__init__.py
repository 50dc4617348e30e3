"""What networks are trained to make small."""

from transmodal.losses.adversarial import SoftplusLoss
from transmodal.losses.gradient_penalty import LazyR1, r1_penalty

__all__ = ["LazyR1", "SoftplusLoss", "r1_penalty"]
