"""Phases: what they refuse, which parameters are theirs, and freezing what is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from transmodal.engines import Phase
from transmodal.engines.phases import frozen, require_weight
from transmodal.errors import InputError


def phase(**arguments: Any) -> Phase:
    optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)
    return Phase(name="generator", terms=lambda batch: {}, optimizer=optimizer, **arguments)


def test_a_phase_knows_the_parameters_of_all_groups() -> None:
    first, second = nn.Linear(2, 1), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([{"params": first.parameters()}, {"params": second.parameters()}], lr=0.1)
    held = Phase(name="both", terms=lambda batch: {}, optimizer=optimizer).parameters
    assert [tuple(parameter.shape) for parameter in held] == [(1, 2), (1,), (1, 3), (1,)]


@pytest.mark.parametrize("every", [0, -1, "5", 1.0, True])
def test_a_period_that_is_no_positive_integer_is_refused(every: Any) -> None:
    with pytest.raises(InputError, match=f"phase 'generator', every: found {every!r}; wanted an integer of 1 or more"):
        phase(every=every)


@pytest.mark.parametrize("limit", [0, -1.0, "1", True, float("nan")])
def test_a_gradient_norm_that_is_not_positive_is_refused(limit: Any) -> None:
    with pytest.raises(
        InputError, match=r"phase 'generator', max_grad_norm: found .*; wanted a positive number or null"
    ):
        phase(max_grad_norm=limit)


def test_frozen_parameters_get_no_gradient_but_pass_it_on() -> None:
    judge = nn.Linear(1, 1)
    image = torch.ones(1, 1, requires_grad=True)
    with frozen(judge.parameters()):
        judge(image).sum().backward()
    assert judge.weight.grad is None
    torch.testing.assert_close(image.grad, judge.weight.detach())


def test_freezing_ends_with_the_block_even_when_it_fails() -> None:
    judge = nn.Linear(1, 1)
    judge.bias.requires_grad_(False)
    with pytest.raises(RuntimeError, match="deliberate"), frozen(judge.parameters()):
        raise RuntimeError("deliberate")
    assert (judge.weight.requires_grad, judge.bias.requires_grad) == (True, False)


@pytest.mark.parametrize("weight", [0, 0.5, 100])
def test_a_weight_of_0_or_more_is_taken(weight: float) -> None:
    require_weight("objective, l1_weight", weight)


@pytest.mark.parametrize("weight", [-0.5, "0.5", True, float("nan"), float("inf"), None])
def test_what_cannot_be_a_weight_is_refused(weight: Any) -> None:
    with pytest.raises(InputError, match=r"objective, l1_weight: found .*; wanted a number of 0 or more(.|\n)*quotes"):
        require_weight("objective, l1_weight", weight)
