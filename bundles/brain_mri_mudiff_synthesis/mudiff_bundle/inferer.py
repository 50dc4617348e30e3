"""Sample by the mean of two denoisers, and tell how sure they are.

Averaging the two posterior means, as published, is the posterior step with the mean of both predictions, since that
step is linear in the prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from transmodal.inferers import DDGANInferer


class MutualInferer(DDGANInferer):
    """A reverse chain of ``MutualDenoisers``, with a standard deviation beside the image.

    Two things make a voxel uncertain: that draws differ, and that the denoisers disagree about one draw. By the law of
    total variance the deviation is √(variance of the draws + mean over the draws of ((x01 - x02) / 2)²), where x01 and
    x02 are the two predictions at the last step; with one sample it is the disagreement alone.

    Arguments and errors are those of :class:`~transmodal.inferers.DDGANInferer`; the image is of one channel.
    """

    @torch.no_grad()
    def __call__(
        self,
        inputs: Tensor,
        network: Callable[..., Tensor],
        *args: Any,
        numbers: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Synthesise slices of the target.

        Args:
            inputs: source slices, (N, K, H, W) in [-1, 1].
            network: called as ``MutualDenoisers`` is, with ``separate=True``; it gets further arguments as they are.
            numbers: of the slices in their volume, N of them; 0 to N - 1 by default.
        Returns:
            (N, 2, H, W), float32: the image in [-1, 1] and its standard deviation.
        """
        denoisers = _Denoisers(network)
        drawn = super().__call__(inputs, denoisers, *args, numbers=numbers, **kwargs)
        image, between = drawn[:, :1], drawn[:, 1:].square().sum(dim=1, keepdim=True)  # no second channel: nothing
        return torch.cat([image, (between + denoisers.variance / self.num_samples).sqrt()], dim=1)


class _Denoisers:
    """Both denoisers as one that predicts their mean; adds up how far they are apart at the last step of a chain."""

    def __init__(self, network: Callable[..., Tensor]) -> None:
        self.network = network
        self.variance = torch.zeros(())

    def __call__(self, *args: Any, timesteps: Tensor, **kwargs: Any) -> Tensor:
        both = self.network(*args, timesteps=timesteps, separate=True, **kwargs).float()
        if int(timesteps[0]) == 0:
            self.variance = self.variance.to(both.device) + (both[:, :1] - both[:, 1:]).square() / 4
        return both.mean(dim=1, keepdim=True)
