"""The two learning rates, at epochs whose factors are known."""

from __future__ import annotations

import math
from typing import Any

import pytest
from segmentation_bundle.schedule import PolynomialDecay, PublishedDecay

from transmodal.errors import InputError


def test_the_polynomial_falls_from_one_to_nothing() -> None:
    """(1 - 5/10)^0.9."""
    factors = [PolynomialDecay(10).factor(epoch) for epoch in (0, 5, 9, 10, 12)]
    assert factors == pytest.approx([1, 0.5**0.9, 0.1**0.9, 0, 0])
    assert PolynomialDecay(10, power=1).factor(5) == pytest.approx(0.5)


def test_the_published_rate_is_constant_for_ten_epochs() -> None:
    factors = [PublishedDecay().factor(epoch) for epoch in (0, 9, 10, 12)]
    assert factors == pytest.approx([1, 1, math.exp(-0.1), math.exp(-0.3)])


@pytest.mark.parametrize("epochs", [0, 1.5, True, "10"])
def test_epochs_that_are_no_number_are_refused(epochs: Any) -> None:
    with pytest.raises(InputError, match="PolynomialDecay, max_epochs"):
        PolynomialDecay(epochs)
