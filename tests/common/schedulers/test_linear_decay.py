"""The linear decay as LambdaLR uses it; the published numbers are in tests/parity/test_pool_and_schedule.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from transmodal.errors import InputError
from transmodal.schedulers import LinearDecay


def test_constant_epochs_keep_the_initial_rate() -> None:
    assert [LinearDecay(3, 2).factor(epoch) for epoch in range(3)] == [1.0, 1.0, 1.0]


def test_every_decay_epoch_still_learns() -> None:
    assert [LinearDecay(3, 2).factor(epoch) for epoch in (3, 4)] == pytest.approx([2 / 3, 1 / 3])


def test_legacy_begins_one_epoch_earlier() -> None:
    assert [LinearDecay(3, 2, legacy=True).factor(epoch) for epoch in (2, 3, 4)] == pytest.approx([2 / 3, 1 / 3, 0.0])


def test_factor_never_turns_negative_after_the_end() -> None:
    assert [LinearDecay(3, 2).factor(epoch) for epoch in (5, 6, 100)] == [0.0, 0.0, 0.0]


def test_no_decay_epochs_means_constant_until_the_end() -> None:
    assert [LinearDecay(2, 0).factor(epoch) for epoch in (0, 1, 2)] == [1.0, 1.0, 0.0]


def test_drives_a_lambda_lr() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, LinearDecay(constant_epochs=1, decay_epochs=2).factor)
    rates = []
    for _ in range(3):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.3, 0.2, 0.1])


@pytest.mark.parametrize("arguments", [{"constant_epochs": -1}, {"decay_epochs": "100"}, {"decay_epochs": True}])
def test_counts_that_are_no_numbers_of_epochs_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"LinearDecay, .*_epochs: found .*; wanted an integer of 0 or more"):
        LinearDecay(**arguments)


def test_a_string_for_legacy_is_refused() -> None:
    with pytest.raises(InputError, match="LinearDecay, legacy: found 'true'; wanted true or false"):
        LinearDecay(legacy="true")  # type: ignore[arg-type]


def test_a_resumed_training_may_be_longer() -> None:
    def schedule(constant_epochs: int) -> torch.optim.lr_scheduler.LambdaLR:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, LinearDecay(constant_epochs, 0).factor)
        optimizer.step()  # which PyTorch wants to come first
        return scheduler

    finished, longer = schedule(1), schedule(5)
    finished.step()
    assert finished.get_last_lr() == [0.0]
    longer.load_state_dict(finished.state_dict())
    longer.step()
    assert longer.get_last_lr() == [1.0]
