"""Writing weights: the best by a metric, the last, whole files only."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.engines import Workflow
from torch import nn

from transmodal.errors import InputError
from transmodal.handlers import BestWeights, LastWeights


def validate(handler: BestWeights, **metrics: Any) -> None:
    """Run an engine that has computed these metrics."""
    engine = Workflow("cpu", 1, [{}], iteration_update=lambda engine, batch: {}, handlers=[handler])
    engine.state.metrics = metrics
    engine.run()


def mark(network: nn.Linear, value: float) -> None:
    with torch.no_grad():
        network.weight.fill_(value)


def written(path: Path) -> float:
    return torch.load(path, weights_only=True)["weight"].flatten()[0].item()


def history(handler: BestWeights, network: nn.Linear, values: list[float]) -> float:
    """Validate once per value with weights that tell the round, and return the round whose weights are in the file."""
    for index, value in enumerate(values):
        mark(network, index)
        validate(handler, mae=value)
    return written(handler.path)


def test_smaller_errors_win(tmp_path: Path) -> None:
    network = nn.Linear(2, 1)
    assert history(BestWeights(network, tmp_path / "model.pt", "mae"), network, [5.0, 3.0, 4.0]) == 1


def test_larger_scores_win_when_told(tmp_path: Path) -> None:
    network = nn.Linear(2, 1)
    handler = BestWeights(network, tmp_path / "model.pt", "mae", larger_is_better=True)
    assert history(handler, network, [5.0, 3.0, 7.0, 6.0]) == 2


def test_an_equal_value_does_not_replace(tmp_path: Path) -> None:
    network = nn.Linear(2, 1)
    assert history(BestWeights(network, tmp_path / "model.pt", "mae"), network, [5.0, 5.0]) == 0


@pytest.mark.parametrize("broken", [float("nan"), float("-inf")])
def test_a_value_that_is_not_finite_never_wins(tmp_path: Path, broken: float) -> None:
    network = nn.Linear(2, 1)
    assert history(BestWeights(network, tmp_path / "model.pt", "mae"), network, [5.0, broken]) == 0


def test_nan_in_the_first_validation_does_not_block_later_ones(tmp_path: Path) -> None:
    network = nn.Linear(2, 1)
    assert history(BestWeights(network, tmp_path / "model.pt", "mae"), network, [float("nan"), 5.0]) == 1


def test_file_is_the_flat_state_dict_of_the_network(tmp_path: Path) -> None:
    network = nn.Linear(2, 1)
    validate(BestWeights(network, tmp_path / "models" / "model.pt", "mae"), mae=torch.tensor(1.0))
    torch.testing.assert_close(
        dict(torch.load(tmp_path / "models" / "model.pt", weights_only=True)), network.state_dict()
    )


def test_wrappers_leave_no_trace_in_the_keys(tmp_path: Path) -> None:
    network = torch.compile(nn.DataParallel(nn.Linear(2, 1)))
    validate(BestWeights(network, tmp_path / "model.pt", "mae"), mae=1.0)
    assert set(torch.load(tmp_path / "model.pt", weights_only=True)) == {"weight", "bias"}


def test_a_resumed_run_does_not_replace_better_weights(tmp_path: Path) -> None:
    network = nn.Linear(2, 1)
    first = BestWeights(network, tmp_path / "model.pt", "mae")
    history(first, network, [3.0])
    resumed = BestWeights(network, tmp_path / "model.pt", "mae")
    resumed.load_state_dict(first.state_dict())
    mark(network, 9)
    validate(resumed, mae=4.0)
    assert written(tmp_path / "model.pt") == 0


def test_weights_that_are_gone_are_written_anew(tmp_path: Path) -> None:
    network = nn.Linear(2, 1)
    handler = BestWeights(network, tmp_path / "model.pt", "mae")
    handler.load_state_dict({"best": 3.0, "epoch": 2})
    validate(handler, mae=4.0)
    assert (tmp_path / "model.pt").is_file()


def test_other_ranks_remember_but_do_not_write(tmp_path: Path) -> None:
    handler = BestWeights(nn.Linear(2, 1), tmp_path / "model.pt", "mae")
    engine = Workflow("cpu", 1, [{}], iteration_update=lambda engine, batch: {}, handlers=[handler])
    engine.state.metrics, engine.state.rank = {"mae": 1.0}, 1
    engine.run()
    assert handler.state_dict() == {"best": 1.0, "epoch": 1}
    assert not (tmp_path / "model.pt").exists()


def test_a_missing_metric_names_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"metric 'mae': found the metrics \['psnr', 'ssim'\]; wanted one number"):
        validate(BestWeights(nn.Linear(2, 1), tmp_path / "model.pt", "mae"), ssim=1.0, psnr=30.0)


def test_a_metric_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"metric 'mae': found tensor\(\[1., 2.\]\); wanted one number"):
        validate(BestWeights(nn.Linear(2, 1), tmp_path / "model.pt", "mae"), mae=torch.tensor([1.0, 2.0]))


def test_a_string_for_larger_is_better_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="BestWeights, larger_is_better: found 'false'"):
        BestWeights(nn.Linear(2, 1), tmp_path / "model.pt", "mae", larger_is_better="false")  # type: ignore[arg-type]


def test_the_log_tells_value_epoch_and_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="transmodal"):
        validate(BestWeights(nn.Linear(2, 1), tmp_path / "model.pt", "mae"), mae=61.25)
    assert f"mae is 61.25 in epoch 1, the best so far; weights saved to {tmp_path / 'model.pt'}" in caplog.text


def epochs_written(tmp_path: Path, epochs: int, interval: int) -> list[int]:
    network, found = nn.Linear(2, 1), []
    handler = LastWeights(network, tmp_path / "model.pt", interval=interval)
    engine = Workflow(
        "cpu", epochs, [{}], iteration_update=lambda e, b: mark(network, e.state.epoch), handlers=[handler]
    )
    from ignite.engine import Events

    engine.add_event_handler(
        Events.EPOCH_COMPLETED,
        lambda e: found.append(int(written(handler.path)) if handler.path.exists() else 0),
    )
    engine.run()
    return found


def test_last_weights_are_written_every_epoch(tmp_path: Path) -> None:
    assert epochs_written(tmp_path, epochs=3, interval=1) == [1, 2, 3]


def test_last_weights_are_written_at_the_interval_and_at_the_end(tmp_path: Path) -> None:
    assert epochs_written(tmp_path, epochs=5, interval=2) == [0, 2, 2, 4, 5]


def test_last_weights_of_a_training_that_is_cut_short_are_not_written_early(tmp_path: Path) -> None:
    handler = LastWeights(nn.Linear(2, 1), tmp_path / "model.pt", interval=3)
    engine = Workflow("cpu", 3, [{}], iteration_update=lambda e, b: e.terminate(), handlers=[handler])
    engine.run()
    assert not handler.path.exists()


def test_an_interval_that_is_no_count_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LastWeights, interval: found 0; wanted an integer of 1 or more"):
        LastWeights(nn.Linear(2, 1), tmp_path / "model.pt", interval=0)
