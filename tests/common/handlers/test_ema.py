"""The moving average: its value, its start, its buffers, its refusals."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from transmodal.engines import AlternatingTrainer, Phase
from transmodal.errors import InputError
from transmodal.handlers import EMAHandler


class Weight(nn.Module):
    """One number that falls by 1 in each step of SGD, with a buffer that counts the calls."""

    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))
        self.register_buffer("calls", torch.tensor(0))

    def terms(self, batch: Any) -> dict[str, torch.Tensor]:
        self.calls += 1
        return {"value": self.value * 1.0}


def train(network: Weight, *handlers: Any, iterations: int = 3) -> AlternatingTrainer:
    phase = Phase(name="network", terms=network.terms, optimizer=torch.optim.SGD(network.parameters(), lr=1.0))
    trainer = AlternatingTrainer("cpu", 1, [{}] * iterations, [phase], train_handlers=handlers)
    trainer.run()
    return trainer


def test_average_follows_by_the_equation() -> None:
    network, average = Weight(1.0), Weight(1.0)
    train(network, EMAHandler(network, average, decay=0.5))
    # the weight goes 1, 0, -1, -2; the average 1, 0.5, -0.25, -1.125
    assert (network.value.item(), average.value.item()) == (-2.0, -1.125)


def test_average_starts_as_the_network_when_training_starts() -> None:
    network, average = Weight(1.0), Weight(100.0)
    train(network, EMAHandler(network, average, decay=0.5), iterations=1)
    assert average.value.item() == 0.5


def test_warmup_lowers_the_first_decays() -> None:
    network, average = Weight(1.0), Weight(1.0)
    train(network, EMAHandler(network, average, decay=0.999, warmup=True), iterations=2)
    # decay 1/10: 0.1 * 1 + 0.9 * 0 = 0.1; decay 2/11: 2/11 * 0.1 + 9/11 * -1
    assert average.value.item() == pytest.approx(0.2 / 11 - 9 / 11)


def test_warmup_ends_at_the_decay() -> None:
    network, average = Weight(1.0), Weight(1.0)
    train(network, EMAHandler(network, average, decay=0.1, warmup=True), iterations=2)
    assert average.value.item() == pytest.approx(0.1 * 0.1 - 0.9)


def test_buffers_are_copied() -> None:
    network = Weight()
    average = copy.deepcopy(network)
    train(network, EMAHandler(network, average))
    assert average.calls.item() == 3


def test_average_asks_for_no_gradient_and_evaluates() -> None:
    average = Weight()
    EMAHandler(Weight(), average)
    assert not average.value.requires_grad
    assert not average.training


def test_counter_survives_so_that_a_resumed_average_is_not_reset() -> None:
    network, average = Weight(1.0), Weight(7.0)
    handler = EMAHandler(network, average, decay=0.5)
    handler.load_state_dict({"updates": 5})
    train(network, handler, iterations=1)
    assert average.value.item() == 3.5
    assert handler.state_dict() == {"updates": 6}


def test_the_network_itself_is_refused_as_its_average() -> None:
    network = Weight()
    with pytest.raises(InputError, match="EMAHandler, average: found weights that both share; wanted a separate"):
        EMAHandler(network, network)


def test_another_architecture_is_refused() -> None:
    with pytest.raises(InputError, match="found Conv2d with other weights than Weight"):
        EMAHandler(Weight(), nn.Conv2d(1, 1, 1))


@pytest.mark.parametrize("decay", [1.0, -0.1, "0.999", True])
def test_a_decay_outside_the_range_is_refused(decay: Any) -> None:
    with pytest.raises(InputError, match=r"EMAHandler, decay: found .*; wanted a number in \[0, 1\)"):
        EMAHandler(Weight(), Weight(), decay=decay)


def test_a_string_for_warmup_is_refused() -> None:
    with pytest.raises(InputError, match="EMAHandler, warmup: found 'true'"):
        EMAHandler(Weight(), Weight(), warmup="true")  # type: ignore[arg-type]
