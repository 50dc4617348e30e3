"""What the denoisers minimise: how far the predicted noise is from the true one.

Source: the MD-DGA training code (CT to MR by a scalable slice model and a scalable latent volume model), whose three
losses these are; its ``double`` is :class:`ConsistentNoise`.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from transmodal.engines.phases import Terms, require_weight
from transmodal.errors import InputError

__all__ = ["ConsistentNoise", "L1Noise", "MSENoise"]


class L1Noise:
    """The mean absolute difference."""

    def __call__(self, predicted: Tensor, noise: Tensor) -> Terms:
        """``{"l1": scalar}`` of two tensors (B, C, ...), in single precision whatever theirs."""
        return {"l1": l1_loss(predicted.float(), noise.float())}


class MSENoise:
    """The mean squared difference."""

    def __call__(self, predicted: Tensor, noise: Tensor) -> Terms:
        """``{"mse": scalar}`` of two tensors (B, C, ...), in single precision whatever theirs."""
        return {"mse": mse_loss(predicted.float(), noise.float())}


class ConsistentNoise:
    """The mean absolute difference, and the squared one of the steps from slice to slice.

    With the error e = predicted - noise and z along ``axis``: l1 · mean |e| + consistency · (1/N) Σ_{z ≥ 1} (e_z -
    e_{z-1})². N counts all elements, those of the first slice too, as published.

    Args:
        l1, consistency: weights of the two terms.
        axis: spatial axis along which neighbours are to agree; 0 is axial after orientation to SPL.
    Raises:
        InputError: if a weight is no number of 0 or more.
    """

    def __init__(self, l1: float = 0.8, consistency: float = 0.2, axis: int = 0) -> None:
        for name, weight in (("l1", l1), ("consistency", consistency)):
            require_weight(f"ConsistentNoise, {name}", weight)
        if isinstance(axis, bool) or axis not in (0, 1, 2):
            raise InputError(
                "ConsistentNoise, axis",
                found=repr(axis),
                wanted="a spatial axis: 0, 1 or 2",
                remedy="give the axis that numbers the slices, 0 as published",
            )
        self.l1, self.consistency, self.axis = l1, consistency, axis

    def __call__(self, predicted: Tensor, noise: Tensor) -> Terms:
        """``{"l1": scalar, "consistency": scalar}``, both weighted, of two tensors (B, C, ...)."""
        error = predicted.float() - noise.float()
        steps = error.diff(dim=self.axis + 2)
        consistency = steps.square().sum() / error.numel()
        return {"l1": self.l1 * error.abs().mean(), "consistency": self.consistency * consistency}
