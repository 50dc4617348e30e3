"""Cosine annealing that ends, beside PyTorch's, which does not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from transmodal.errors import InputError
from transmodal.schedulers import CosineAnnealing


def optimizer() -> torch.optim.Optimizer:
    """Two groups with rates of their own."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (1.6e-4, 1e-4)]
    return torch.optim.SGD(groups, lr=1.0)


def rates(schedule: LRScheduler, epochs: int) -> list[list[float]]:
    """Rates now and after each of so many epochs."""
    found = [schedule.get_last_lr()]
    for _ in range(epochs):
        schedule.optimizer.step()
        schedule.step()
        found.append(schedule.get_last_lr())
    return found


def test_until_the_end_the_rates_are_pytorchs() -> None:
    ours, theirs = CosineAnnealing(optimizer(), 7, 1e-5), CosineAnnealingLR(optimizer(), 7, 1e-5)
    for one, other in zip(rates(ours, 7), rates(theirs, 7), strict=True):
        assert one == pytest.approx(other, rel=1e-12)


def test_the_first_and_the_last_rate_are_exact() -> None:
    found = rates(CosineAnnealing(optimizer(), 7, 1e-5), 7)
    assert (found[0], found[-1]) == ([1.6e-4, 1e-4], [1e-5, 1e-5])


def test_after_the_end_the_rate_stays() -> None:
    assert rates(CosineAnnealing(optimizer(), 3, 1e-5), 9)[3:] == [[1e-5, 1e-5]] * 7


@pytest.mark.parametrize("kind", [CosineAnnealing, CosineAnnealingLR])
def test_an_extended_training_goes_on_as_the_longer_one_and_ends_low(kind: type[CosineAnnealingLR]) -> None:
    finished, extended = kind(optimizer(), 4, 1e-5), CosineAnnealing(optimizer(), 8, 2e-5)
    rates(finished, 4)
    extended.load_state_dict(finished.state_dict())
    whole = rates(CosineAnnealing(optimizer(), 8, 2e-5), 8)
    assert rates(extended, 4)[1:] == whole[5:]
    assert whole[-1] == [2e-5, 2e-5]


def test_a_resumed_training_has_the_rates_of_an_uninterrupted_one() -> None:
    before, after = CosineAnnealing(optimizer(), 8, 1e-5), CosineAnnealing(optimizer(), 8, 1e-5)
    rates(before, 3)
    after.load_state_dict(before.state_dict())
    assert rates(after, 5)[1:] == rates(before, 5)[1:]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"T_max": 0}, "T_max: found 0; wanted an integer of 1 or more"),
        ({"T_max": "500"}, "T_max: found '500'; wanted an integer of 1 or more"),
        ({"T_max": True}, "T_max: found True; wanted an integer of 1 or more"),
        ({"T_max": 5, "eta_min": "1e-5"}, "eta_min: found '1e-5'; wanted a number of 0 or more"),
        ({"T_max": 5, "eta_min": -1.0}, "eta_min: found -1.0; wanted a number of 0 or more"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=f"CosineAnnealing, {complaint}"):
        CosineAnnealing(optimizer(), **arguments)
