"""The key metric of validation."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from ignite.exceptions import NotComputableError

from tests.common.handlers.evaluation import evaluate, paired
from transmodal.errors import InputError
from transmodal.handlers import BodyMAE
from transmodal.metrics import MRSimilarity


def mae(*cases: dict[str, Any], metric: BodyMAE | None = None) -> float:
    evaluator = evaluate(cases, key_val_metric={"mae": metric or BodyMAE()})
    return evaluator.state.metrics["mae"]


def test_value_is_the_mean_over_cases_in_physical_units() -> None:
    assert mae(paired("a", error=10), paired("b", error=-20), paired("c", error=60)) == pytest.approx(30, abs=1e-4)


def test_errors_outside_the_body_do_not_count() -> None:
    case = paired("a", error=10)
    case["image"][case["mask"] == 0] = 3000
    assert mae(case) == pytest.approx(10, abs=1e-4)


def test_next_validation_starts_anew() -> None:
    metric = BodyMAE()
    mae(paired("a", error=10), metric=metric)
    assert mae(paired("b", error=30), metric=metric) == pytest.approx(30, abs=1e-4)


def test_repeated_case_counts_once() -> None:
    assert mae(paired("a", error=10), paired("b", error=20), paired("b", error=20)) == pytest.approx(15, abs=1e-4)


def test_mr_target_is_compared_on_the_documented_scale() -> None:
    similarity, case = MRSimilarity(), paired("a")
    case["label"] = case["source"]
    case["image"] = similarity.comparable(case["source"], case["mask"])[:] + 25
    assert mae(case, metric=BodyMAE(similarity)) == pytest.approx(25, abs=1e-3)


def test_prediction_that_is_not_finite_can_never_be_the_best() -> None:
    case = paired("b")
    case["image"][0, 10, 9, 4] = math.nan
    assert mae(paired("a"), case) == math.inf


def test_empty_mask_is_refused_with_the_name_of_the_case() -> None:
    case = paired("b")
    case["mask"] = torch.zeros_like(case["mask"])
    with pytest.raises(InputError, match="validation case b: found the body mask is empty"):
        mae(paired("a"), case)


def test_target_that_is_not_finite_is_refused() -> None:
    case = paired("b")
    case["label"][0, 10, 9, 4] = math.nan
    with pytest.raises(InputError, match="the target has no finite value at 1 of"):
        mae(case)


def test_no_case_gives_no_value() -> None:
    with pytest.raises(NotComputableError, match="no case"):
        BodyMAE().compute()
