"""From slices to a verdict: every informative slice of an image votes, and the mean decides or abstains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor

from transmodal.errors import InputError
from transmodal.modality.verdict import CLASSES, Verdict
from transmodal.modality.view import seen_slices

__all__ = ["SliceVotes", "decide"]


class SliceVotes(Inferer):
    """Show a network the informative slices of images in any units.

    Args:
        size: side of the square that a slice is resized to.
        max_slices: look at so many slices of an image at most, evenly spaced.
        axis: spatial axis that numbers the slices.
        calibrated: give the scores of a ``CalibratedClassifier``; else its logits.
    """

    def __init__(self, size: int = 96, max_slices: int = 32, axis: int = 2, calibrated: bool = True) -> None:
        self.size, self.max_slices, self.axis, self.calibrated = size, max_slices, axis, calibrated

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Let the slices of one image vote.

        Args:
            inputs: (1, 1, H, W[, D]) in any units.
            network: a ``transmodal.networks.nets.CalibratedClassifier``.
        Returns:
            (1, N, K + 1): of each slice the probability of each class and the score of no answer; (1, N, K) logits if
            not ``calibrated``. N is 0 where no slice shows anything.
        Raises:
            InputError: if there are several images, which need not have equally many informative slices.
        """
        if len(inputs) != 1:
            raise InputError(
                "SliceVotes",
                found=f"a batch of {len(inputs)} images",
                wanted="one image at a time",
                remedy="set the batch_size of the dataloader to 1; the slices of an image are a batch already",
            )
        seen = seen_slices(inputs[0], self.size, self.max_slices, self.axis)
        if len(seen) == 0:
            return torch.zeros((1, 0, len(CLASSES) + self.calibrated), device=inputs.device)
        logits = network(seen)
        return (network.scores(logits) if self.calibrated else logits.float())[None]  # type: ignore[attr-defined]


def decide(scores: Tensor, agreement: float = 0.75) -> Verdict:
    """The verdict of slices: the class with the largest mean score, if most of the slices are of the same opinion.

    Args:
        scores: (N, K + 1) as :class:`SliceVotes` gives them.
        agreement: a smaller share of slices to which the class is the more probable one is no answer.
    """
    if len(scores) == 0:
        return Verdict(None, "network", None, "no slice shows anything")
    means = scores.float().mean(dim=0)
    best = int(means[:-1].argmax())
    name, probability, threshold = CLASSES[best], float(means[best]), float(means[-1])
    share = float((scores[:, :-1].argmax(dim=1) == best).float().mean())
    slices = f"{len(scores)} slice{'s' * (len(scores) > 1)}"
    if probability < threshold:
        reason = f"{name.upper()} over {slices} is not probable enough ({probability:.2f}, wanted {threshold:.2f})"
        return Verdict(None, "network", probability, reason)
    if share < agreement:
        reason = f"the slices disagree: {share:.0%} of {slices} look like {name.upper()}"
        return Verdict(None, "network", probability, reason)
    return Verdict(name, "network", probability, f"{share:.0%} of {slices} look like {name.upper()}")
