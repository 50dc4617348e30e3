"""The non-saturating adversarial loss on logits (Goodfellow et al. 2014, arXiv:1406.2661, section 3)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["SoftplusLoss"]


class SoftplusLoss:
    """Binary cross-entropy of logits, written as a softplus, which stays exact for logits of any size.

    A critic minimises ``real(D(real image)) + fake(D(made image))`` and a generator ``real(D(made image))``. Logits of
    any shape are averaged, those of a patch critic over its map; the arithmetic is float32.
    """

    def real(self, logits: Tensor) -> Tensor:
        """The cost of not calling an image real, -log sigmoid(logit) on average; a scalar of 0 or more."""
        return softplus(-logits.float()).mean()

    def fake(self, logits: Tensor) -> Tensor:
        """The cost of not calling an image made, -log(1 - sigmoid(logit)) on average; a scalar of 0 or more."""
        return softplus(logits.float()).mean()
