"""The area under the ROC curve of validation cases, and the probability and threshold that these fix."""

from __future__ import annotations

import logging
import math
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric
from torch import Tensor

from transmodal.handlers.records import gathered, samples_of
from transmodal.metrics import area_under_curve, fit_temperature, log_loss, youden_threshold
from transmodal.networks.nets import FindingClassifier

__all__ = ["KeepDecision", "ValidationArea"]

logger = logging.getLogger(__name__)


class ValidationArea(Metric):
    """Area under the ROC curve; of equal areas that of the smaller log loss is the larger.

    For ``key_val_metric`` of an evaluator whose inferer gives logits. The log loss lowers the area by less than the
    least by which two areas of these cases can differ. Processes exchange their cases, and one that a distributed
    sampler repeats counts once. Where all cases are of one kind there is no area, and minus the log loss stands for it.

    Args:
        pos_weight: of the training's objective; its logarithm is taken off the logits.
    """

    def __init__(self, pos_weight: float = 1.0) -> None:
        self.offset = math.log(pos_weight)
        self.temperature, self.threshold = 1.0, 0.5
        self._told: dict[str, tuple[float, int]] = {}
        super().__init__()

    def reset(self) -> None:
        """Forget all cases."""
        self._told = {}

    def iteration_completed(self, engine: Engine) -> None:
        """Take in the cases of an iteration."""
        self.update(samples_of(engine))

    def update(self, output: list[dict[str, Any]]) -> None:
        """Samples with ``case``, ``label`` and ``pred``, a logit (1,)."""
        for sample in output:
            self._told[str(sample["case"])] = (float(torch.as_tensor(sample["pred"]).squeeze()), int(sample["label"]))

    def compute(self) -> float:
        """The area over the cases of all processes; temperature and threshold are fixed on the way.

        Raises:
            NotComputableError: if there was no case.
        """
        told = {case: value for share in gathered(self._told) for case, value in share.items()}
        if not told:
            raise NotComputableError("ValidationArea has seen no case; is the validation dataset empty?")
        logits, labels = (torch.tensor(values) for values in zip(*(told[case] for case in sorted(told)), strict=True))
        if not bool(torch.isfinite(logits).all()):
            return -math.inf
        shifted = logits.double() - self.offset
        pairs = torch.stack([torch.zeros_like(shifted), shifted], dim=1)
        self.temperature = fit_temperature(pairs, labels)
        loss = log_loss(pairs, labels, self.temperature)
        probabilities = torch.sigmoid(shifted / self.temperature)
        threshold, area = youden_threshold(probabilities, labels), area_under_curve(shifted, labels)
        if threshold is None or area is None:
            logger.warning(
                "all validation cases are of one kind: no area, no threshold; weights are chosen by log loss"
            )
            return -loss
        self.threshold = threshold
        logger.info("area under the ROC curve %.4f, log loss %.4f", area, loss)
        return area - _least_difference(labels) * loss / (1 + loss)


def _least_difference(labels: Tensor) -> float:
    """Of two areas of these cases: one pair of a positive and a negative case that becomes a tie."""
    positive = int(labels.sum())
    return 0.5 / (positive * (len(labels) - positive))


class KeepDecision:
    """Gives the network the probability and the threshold of the validation; list it before ``BestWeights``.

    Args:
        network: whose decision is set.
        fitted: the validation's area.
    """

    def __init__(self, network: FindingClassifier, fitted: ValidationArea) -> None:
        self.network, self.fitted = network, fitted

    def attach(self, engine: Engine) -> None:
        """Set it when a validation is complete."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Set the three numbers in place."""
        self.network.decision.fix(self.fitted.offset, self.fitted.temperature, self.fitted.threshold)
        logger.info("%s", self.network.decision)
