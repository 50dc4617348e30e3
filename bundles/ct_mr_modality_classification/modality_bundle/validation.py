"""The loss on validation images, and the temperature and threshold that these fix."""

from __future__ import annotations

import logging
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric
from torch import Tensor

from transmodal.handlers.records import gathered, samples_of
from transmodal.metrics import fit_temperature, fit_threshold, log_loss
from transmodal.modality import CLASSES
from transmodal.networks.nets import CalibratedClassifier

__all__ = ["KeepCalibration", "ValidationLogLoss"]

logger = logging.getLogger(__name__)


class ValidationLogLoss(Metric):
    """Mean log loss of slices after temperature scaling; every image counts alike, whatever its number of slices.

    For ``key_val_metric`` of an evaluator whose inferer gives logits. Processes exchange their images, and one that a
    distributed sampler repeats counts once. The temperature and the threshold are those that fit these images.

    Args:
        wanted: accuracy that slices above the threshold are to have.
        lowest: of the threshold.
    """

    def __init__(self, wanted: float = 0.99, lowest: float = 0.8) -> None:
        self.wanted, self.lowest = wanted, lowest
        self.temperature = self.threshold = 1.0
        self._votes: dict[str, tuple[Tensor, int]] = {}
        super().__init__()

    def reset(self) -> None:
        """Forget all images."""
        self._votes = {}

    def iteration_completed(self, engine: Engine) -> None:
        """Take in the images of an iteration."""
        self.update(samples_of(engine))

    def update(self, output: list[dict[str, Any]]) -> None:
        """Samples with ``case``, ``name``, ``label`` and ``pred``, logits (N, K)."""
        for sample in output:
            logits = torch.as_tensor(sample["pred"]).detach().cpu().float()
            self._votes[f"{sample['case']} {sample['name']}"] = (logits, int(sample["label"]))

    def compute(self) -> float:
        """The loss over the images of all processes.

        Raises:
            NotComputableError: if there was no slice of any class.
        """
        votes: dict[str, tuple[Tensor, int]] = {}
        for share in gathered(self._votes):
            votes.update(share)
        votes = {key: votes[key] for key in sorted(votes) if len(votes[key][0])}
        if not any(label < len(CLASSES) for _, label in votes.values()):
            raise NotComputableError("ValidationLogLoss has seen no slice; is the validation dataset empty?")
        logits = torch.cat([each for each, _ in votes.values()])
        labels = torch.cat([torch.full((len(each),), label) for each, label in votes.values()])
        weights = torch.cat([torch.full((len(each),), 1.0 / len(each)) for each, _ in votes.values()])
        known = labels < len(CLASSES)
        if not bool(torch.isfinite(logits).all()):
            return float("inf")
        self.temperature = fit_temperature(logits[known], labels[known], weights[known])
        probabilities = torch.softmax(logits / self.temperature, dim=1)
        self.threshold = fit_threshold(probabilities, labels, self.wanted, self.lowest)
        return log_loss(logits[known], labels[known], self.temperature, weights[known])


class KeepCalibration:
    """Gives the network the temperature and the threshold of the validation; list it before ``BestWeights``.

    Args:
        network: whose buffers are set.
        fitted: the validation's loss.
    """

    def __init__(self, network: CalibratedClassifier, fitted: ValidationLogLoss) -> None:
        self.network, self.fitted = network, fitted

    def attach(self, engine: Engine) -> None:
        """Set them when a validation is complete."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Set both buffers in place."""
        self.network.temperature.fill_(self.fitted.temperature)
        self.network.threshold.fill_(self.fitted.threshold)
        logger.info("temperature %.3g, threshold %.3g", self.fitted.temperature, self.fitted.threshold)
