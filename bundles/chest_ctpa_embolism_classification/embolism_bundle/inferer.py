"""From an image to the probability of the finding."""

from __future__ import annotations

from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor, nn

from transmodal.errors import require_flag
from transmodal.handlers.weights import unwrapped

__all__ = ["FindingInferer"]


class FindingInferer(Inferer):
    """Asks the network once for each image.

    Args:
        calibrated: give probability and threshold, (B, 2); else the logit, (B, 1), as a validation needs it, which is
            to fix both.
        amp: compute in bfloat16 where this is faster.
    """

    def __init__(self, calibrated: bool = True, amp: bool = False) -> None:
        super().__init__()
        for name, value in (("calibrated", calibrated), ("amp", amp)):
            require_flag(f"FindingInferer, {name}", value)
        self.calibrated, self.amp = calibrated, amp

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Judge images (B, C, ...) by a :class:`~transmodal.networks.nets.FindingClassifier`."""
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.amp):
            logits: Tensor = network(inputs).float()
        if not self.calibrated:
            return logits
        scores: Tensor = unwrapped(network).scores(logits)
        return scores
