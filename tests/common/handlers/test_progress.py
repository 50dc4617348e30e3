"""Progress on the console: current losses in the bar, means in the metrics."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from monai.engines import Workflow
from torch import nn

from transmodal.engines import AlternatingTrainer, Phase
from transmodal.errors import InputError
from transmodal.handlers import EpochLosses, LossProgressBar, supervised_loss
from transmodal.handlers.progress import phase_totals


def train(*handlers: Any, rank: int = 0) -> AlternatingTrainer:
    weight = nn.Parameter(torch.tensor(3.0))
    phase = Phase(
        name="generator", terms=lambda batch: {"cycle": weight * 1.0}, optimizer=torch.optim.SGD([weight], lr=1.0)
    )
    trainer = AlternatingTrainer("cpu", 2, [{}] * 2, [phase])
    trainer.state.rank = rank
    for handler in handlers:
        handler.attach(trainer)
    trainer.run()
    return trainer


def test_bar_shows_the_total_of_each_phase() -> None:
    screen = io.StringIO()
    train(LossProgressBar(file=screen, mininterval=0, disable=False))
    assert "generator=3" in screen.getvalue()
    assert "Epoch [2/2]" in screen.getvalue()


def test_bar_is_silent_on_other_ranks() -> None:
    screen = io.StringIO()
    train(LossProgressBar(file=screen, mininterval=0, disable=False), rank=1)
    assert screen.getvalue() == ""


def test_bar_takes_another_engines_losses() -> None:
    screen = io.StringIO()
    bar = LossProgressBar(
        output_transform=lambda output: {"loss": output[0]["loss"]}, file=screen, mininterval=0, disable=False
    )
    Workflow("cpu", 1, [{}], iteration_update=lambda engine, batch: [{"loss": 0.5}], handlers=[bar]).run()
    assert "loss=0.5" in screen.getvalue()


def test_a_log_file_gets_no_bar() -> None:
    log = io.StringIO()
    train(LossProgressBar(file=log, mininterval=0))
    assert log.getvalue() == ""


def test_totals_add_up_the_terms_of_each_phase() -> None:
    assert phase_totals({"g/a": 1.0, "g/b": 2.0, "d/a": 5.0}) == {"g": 3.0, "d": 5.0}


def test_bar_is_made_by_json() -> None:
    parser = ConfigParser({"bar": {"_target_": "transmodal.handlers.LossProgressBar", "persist": True}})
    assert isinstance(parser.get_parsed_content("bar"), LossProgressBar)


def test_metrics_hold_the_means_of_the_epoch() -> None:
    # the weight and so the loss goes 3, 2 in the first epoch and 1, 0 in the second
    assert train(EpochLosses()).state.metrics == pytest.approx({"epoch/generator/cycle": 0.5})


def test_a_supervised_trainers_loss_has_a_name() -> None:
    assert supervised_loss({"loss": torch.tensor(0.5, requires_grad=True), "pred": None}) == {"loss": 0.5}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_supervised_loss_that_is_not_finite_ends_the_training(value: float) -> None:
    with pytest.raises(InputError, match=f"training loss: found {value}"):
        supervised_loss({"loss": torch.tensor(value)})
