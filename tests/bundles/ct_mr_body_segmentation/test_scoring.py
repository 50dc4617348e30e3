"""Mean Dice over images: CT and MR of a case apart, a repeated image once, empty masks counted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ignite.exceptions import NotComputableError
from monai.data import MetaTensor
from segmentation_bundle.scoring import BodyDice, segmented_cases

from tests.bundles.ct_mr_body_segmentation.cases import LPS, SHAPE, evaluate, labelled, square
from transmodal.errors import InputError

EMPTY = torch.zeros(1, *SHAPE)


def mean_dice(*cases: dict[str, Any]) -> float:
    return float(evaluate(cases, key_val_metric={"dice": BodyDice()}).state.metrics["dice"])


def test_the_mean_over_images() -> None:
    """Dice of 8 rows against 4 of them is 2·4/12."""
    perfect, half = labelled("a", square(), square()), labelled("b", square(4, 8), square())
    assert mean_dice(perfect, half) == pytest.approx((1 + 2 / 3) / 2)


def test_ct_and_mr_of_a_case_count_apart() -> None:
    ct, mr = labelled("a", square(), square()), labelled("a", square(4, 8), square(), modality="mr")
    assert mean_dice(ct, mr) == pytest.approx((1 + 2 / 3) / 2)


def test_an_image_that_is_repeated_counts_once() -> None:
    perfect, half = labelled("a", square(), square()), labelled("b", square(4, 8), square())
    assert mean_dice(perfect, half, half) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize(("pred", "wanted"), [(EMPTY, 1.0), (square(), 0.0)])
def test_an_image_without_body_counts(pred: torch.Tensor, wanted: float) -> None:
    assert mean_dice(labelled("a", pred, EMPTY)) == wanted


def test_larger_is_better_for_the_evaluator_as_it_is() -> None:
    evaluator = evaluate([labelled("a", square(), square())], key_val_metric={"dice": BodyDice()})
    assert evaluator.state.best_metric == 1.0


def test_spacing_is_read_off_the_label() -> None:
    evaluator = evaluate([labelled("a", square(), square())])
    (segmented,) = segmented_cases(evaluator)
    assert segmented.spacing == pytest.approx((2.0, 2.0, 3.0))


def test_a_prediction_on_another_grid_is_refused() -> None:
    moved = LPS.clone()
    moved[0, 3] = 5
    case = {**labelled("a", square(), square()), "label": MetaTensor(square(), affine=moved)}
    with pytest.raises(InputError, match="equal shapes at different positions"):
        mean_dice(case)


def test_a_case_without_label_is_refused() -> None:
    case = labelled("a", square(), square())
    del case["label"]
    with pytest.raises(InputError, match=r"evaluation of case a.*wanted also label"):
        mean_dice(case)


def test_no_image_is_no_number() -> None:
    metric = BodyDice()
    with pytest.raises(NotComputableError, match="has seen no image"):
        metric.compute()
