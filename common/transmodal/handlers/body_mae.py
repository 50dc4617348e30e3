"""The key metric of validation: mean absolute error inside the body, in physical units."""

from __future__ import annotations

import math

from ignite.engine import Engine
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric

from transmodal.errors import InputError
from transmodal.handlers.records import CaseRecord, case_records, gathered
from transmodal.metrics import Similarity, fault_of, mean_absolute_error

__all__ = ["BodyMAE"]


class BodyMAE(Metric):
    """Mean over cases of the mean absolute error inside each case's body; smaller is better.

    For ``key_val_metric`` of a MONAI evaluator whose cases are as `EvaluationReport` wants them. It is in the units of
    a prediction: HU for CT, those of the documented scale for MR. Processes exchange their cases, and a case that a
    distributed sampler repeats counts once. A prediction that is not finite makes the value infinite, so that its
    epoch is never the best one.

    Args:
        similarity: protocol that brings the target to the units of a prediction; by default they are the same.
    """

    def __init__(self, similarity: Similarity | None = None) -> None:
        self.similarity = similarity
        self._errors: dict[str, float] = {}
        super().__init__()

    def reset(self) -> None:
        """Forget all cases."""
        self._errors = {}

    def iteration_completed(self, engine: Engine) -> None:
        """Take in the cases of an iteration."""
        self.update(case_records(engine))

    def update(self, output: list[CaseRecord]) -> None:
        """Measure some cases.

        Raises:
            InputError: if a body mask is empty or a target cannot be compared with.
        """
        for record in output:
            self._errors[record.case] = self._error(record)

    def compute(self) -> float:
        """Mean over the cases of all processes.

        Raises:
            NotComputableError: if there were none.
        """
        errors: dict[str, float] = {}
        for share in gathered(self._errors):
            errors.update(share)
        if not errors:
            raise NotComputableError("BodyMAE has seen no case; is the validation dataset empty?")
        return sum(errors.values()) / len(errors)

    def _error(self, record: CaseRecord) -> float:
        mask = record.mask
        target = self.similarity.comparable(record.label, mask) if self.similarity else record.label
        if fault := fault_of(target, target, mask):
            raise InputError(
                f"validation case {record.case}",
                found=fault,
                wanted="a target with finite, varying values inside a body mask that is not empty",
                remedy="look at the case's target and mask, or leave it out of the validation split",
            )
        error = mean_absolute_error(record.pred, target, mask)
        return error if math.isfinite(error) else math.inf
