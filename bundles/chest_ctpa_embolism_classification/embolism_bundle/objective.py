"""What the classifier minimises: binary cross-entropy, in which both kinds of cases weigh alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from transmodal.engines.phases import Batch

__all__ = ["FindingObjective"]


class FindingObjective:
    """One named term; knows no optimizer, device or loop.

    Args:
        network: from (B, C, ...) to logits (B, 1).
        pos_weight: weight of a positive case, a negative one has 1. It makes every logit larger than the logarithm of
            the odds by its own logarithm.
    """

    def __init__(self, network: nn.Module, pos_weight: float = 1.0) -> None:
        self.network, self.pos_weight = network, float(pos_weight)

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """Of ``image`` (B, C, ...) and ``label`` (B, 1), 0 or 1."""
        logits = self.network(batch["image"]).float()
        weight = torch.tensor(self.pos_weight, device=logits.device)
        loss = functional.binary_cross_entropy_with_logits(logits, batch["label"].float(), pos_weight=weight)
        return {"cross_entropy": loss}
