"""A classifier of one finding, there or not, with what turns its logit into a probability and an answer.

Temperature scaling: Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (arXiv:1706.04599, section 4.2).
A weight on one class shifts the logits: C. Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001, theorem 2.
"""

import torch
from torch import Tensor, nn

from transmodal.networks.task import Task

__all__ = ["Decision", "FindingClassifier"]


class Decision(nn.Module):
    """How a logit becomes a probability and a yes or no: three numbers that were fixed before any test.

    They are buffers, so they travel with the weights; in double precision, as probabilities are, or a threshold that
    is the probability of a case could be rounded above it.

    Args:
        offset: subtracted from the logit: the logarithm of the weight that positive cases had in training, which makes
            a logit larger than the logarithm of the odds by just that.
        temperature: the logit is then divided by it.
        threshold: a probability of this or more is a yes.
    """

    offset: Tensor
    temperature: Tensor
    threshold: Tensor

    def __init__(self, offset: float = 0.0, temperature: float = 1.0, threshold: float = 0.5) -> None:
        super().__init__()
        self.register_buffer("offset", torch.tensor(float(offset), dtype=torch.float64))
        self.register_buffer("temperature", torch.tensor(float(temperature), dtype=torch.float64))
        self.register_buffer("threshold", torch.tensor(float(threshold), dtype=torch.float64))

    def forward(self, logits: Tensor) -> Tensor:
        """The probability of the finding, (B,) in double precision, of logits (B, 1) or (B,).

        In single precision sure cases would all have probability 1, and no longer an order.
        """
        return torch.sigmoid((logits.double().flatten() - self.offset.double()) / self.temperature.double())

    def fix(self, offset: float, temperature: float, threshold: float) -> None:
        """Set the three numbers in place."""
        for name, value in (("offset", offset), ("temperature", temperature), ("threshold", threshold)):
            self.get_buffer(name).fill_(value)

    def extra_repr(self) -> str:
        """The three numbers, for ``print(network)``."""
        return ", ".join(f"{name}={float(value):.4g}" for name, value in self.named_buffers())


class FindingClassifier(nn.Module):
    """A classifier with one logit, its decision, and the description of what it was trained for.

    Args:
        classifier: from (B, C, H, W[, D]) to logits (B, 1).
        task: the finding and what it is seen in, such as ``"embolism in ct, -200 to 500 HU"``; weights that were
            trained for something else are refused (:class:`~transmodal.networks.Task`).
        offset, temperature, threshold: of :class:`Decision`.
    """

    def __init__(
        self,
        classifier: nn.Module,
        task: str = "finding",
        offset: float = 0.0,
        temperature: float = 1.0,
        threshold: float = 0.5,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.decision = Decision(offset, temperature, threshold)
        self.task = Task(task, remedy="give the overlays and ids that the weights were trained with, or train anew")

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 1) of ``image``, which is what a loss takes; :meth:`scores` makes use of them."""
        logits: Tensor = self.classifier(image)
        return logits

    def scores(self, logits: Tensor) -> Tensor:
        """Probability of the finding, and the threshold from which it is a yes: (B, 2), double precision."""
        probability: Tensor = self.decision(logits)
        threshold = self.decision.threshold.double()
        return torch.stack([probability, threshold.expand_as(probability)], dim=1)
