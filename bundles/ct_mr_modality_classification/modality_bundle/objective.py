"""What the classifier minimises: cross-entropy, with equal probabilities as the target of what is of no class.

Outlier exposure: D. Hendrycks, M. Mazeika, T. Dietterich, ICLR 2019 (arXiv:1812.04606, section 4.1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from transmodal.engines.phases import Batch

__all__ = ["ClassificationObjective"]


class ClassificationObjective:
    """One named term; knows no optimizer, device or loop.

    Args:
        network: from (B, 1, S, S) to logits (B, K).
        smoothing: this share of every target is spread over all classes.
    """

    def __init__(self, network: nn.Module, smoothing: float = 0.02) -> None:
        self.network, self.smoothing = network, smoothing

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """Of ``image`` (B, 1, S, S) and ``label`` (B,); a label of K or more is of no class."""
        logits = self.network(batch["image"]).float()
        classes = logits.shape[1]
        labels = batch["label"].long()
        known = (labels < classes)[:, None]
        exact = functional.one_hot(labels.clamp_max(classes - 1), classes).float()
        uniform = torch.full_like(exact, 1.0 / classes)
        targets = torch.where(known, torch.lerp(exact, uniform, self.smoothing), uniform)
        return {"cross_entropy": functional.cross_entropy(logits, targets)}
