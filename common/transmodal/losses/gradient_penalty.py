"""The R1 gradient penalty on real images (Mescheder et al. 2018, arXiv:1801.04406, equation 9)."""

from __future__ import annotations

import torch
from torch import Tensor

from transmodal.errors import InputError

__all__ = ["r1_penalty"]


def r1_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Square the gradient of a critic's logits in each image, summed over its pixels, averaged over the batch.

    The result can be differentiated again, for the critic's update; the loss takes γ/2 times it.

    Args:
        logits: made from ``images``, one or a map for each.
        images: (B, ...), requiring gradients since before the critic saw them.
    Returns:
        A scalar of 0 or more, float32.
    Raises:
        InputError: if ``images`` requires no gradient.
    """
    if not images.requires_grad:
        raise InputError(
            "r1_penalty, images",
            found="a tensor that requires no gradient",
            wanted="the very tensor that the critic judged, requiring gradients",
            remedy="call images.requires_grad_() before the critic, outside torch.no_grad",
        )
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().square().flatten(1).sum(dim=1).mean()
