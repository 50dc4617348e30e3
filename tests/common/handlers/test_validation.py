"""Validation at intervals, and after the last epoch whatever the interval."""

from __future__ import annotations

import pytest
from monai.engines import Workflow

from transmodal import InputError
from transmodal.handlers import EpochValidation


class Validator:
    def __init__(self) -> None:
        self.epochs: list[int] = []

    def run(self, epoch: int) -> None:
        self.epochs.append(epoch)


@pytest.mark.parametrize(("interval", "epochs"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (5, [5]), (9, [5]), (0, [])])
def test_validates_when_due(interval: int, epochs: list[int]) -> None:
    validator = Validator()
    handler = EpochValidation(validator, interval)  # type: ignore[arg-type]
    Workflow("cpu", 5, [{}], iteration_update=lambda engine, batch: {}, handlers=[handler]).run()
    assert validator.epochs == epochs


def test_an_interval_that_is_no_count_is_refused() -> None:
    with pytest.raises(InputError, match=r"found -1; wanted an integer of 0 or more"):
        EpochValidation(Validator(), -1)  # type: ignore[arg-type]
