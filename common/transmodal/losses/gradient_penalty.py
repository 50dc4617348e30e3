"""The R1 gradient penalty on real images (Mescheder et al. 2018, arXiv:1801.04406, equation 9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from transmodal.errors import InputError

__all__ = ["LazyR1", "r1_penalty"]


class LazyR1:
    """Real images judged, and at the first and every so many calls γ/2 times the R1 penalty of the critics with it.

    As published with denoising diffusion GANs, the penalty is not multiplied by the interval.

    Args:
        gamma: γ; 0 leaves the penalty out.
        interval: calls from one penalty to the next, 1 or more.
    """

    def __init__(self, gamma: float = 1.0, interval: int = 10) -> None:
        self.gamma, self.interval = gamma, interval
        self.calls = 0

    def __call__(
        self, judge: Callable[[Sequence[Tensor]], Sequence[Tensor]], images: Sequence[Tensor]
    ) -> tuple[Sequence[Tensor], Tensor | None]:
        """Judge real images.

        Args:
            judge: the critics: a batch of images for each to logits for each, no critic reading another's images.
            images: a batch for each critic, (B, ...).
        Returns:
            The logits, and γ/2 times the penalty, summed over the critics; None in between. With it all is in full
            precision under autocast too, because the penalty is differentiated twice.
        """
        due = self.gamma > 0 and self.calls % self.interval == 0
        self.calls += 1
        if not due:
            return judge(images), None
        with torch.autocast(images[0].device.type, enabled=False):
            watched = [image.detach().requires_grad_() for image in images]
            logits = judge(watched)
            penalties = [r1_penalty(judged, image) for judged, image in zip(logits, watched, strict=True)]
            return logits, 0.5 * self.gamma * torch.stack(penalties).sum()

    def state_dict(self) -> dict[str, int]:
        """How often it was called."""
        return {"calls": self.calls}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue to count."""
        self.calls = state["calls"]


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
