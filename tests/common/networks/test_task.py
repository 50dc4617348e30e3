"""What a network is for, among its weights: told in words, refused where it differs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from transmodal.errors import InputError
from transmodal.networks import Task
from transmodal.networks.task import LENGTH


class Network(nn.Module):
    """A layer of the same shape for every task."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.layer, self.task = nn.Linear(2, 3), Task(text, remedy="set `domains`")


def test_the_task_is_one_buffer_and_nothing_to_learn() -> None:
    task = Task("ct to mr", remedy="none")
    assert list(task.parameters()) == []
    assert {name: (each.dtype, each.shape) for name, each in task.state_dict().items()} == {
        "description": (torch.uint8, (LENGTH,))
    }


def test_the_task_is_told_in_words_and_survives_half_precision() -> None:
    network = Network("ct to mr").half()
    assert str(network.task) == "ct to mr"
    assert "ct to mr" in repr(network)


def test_weights_of_the_same_task_are_loaded() -> None:
    given, wanted = Network("ct to mr"), Network("ct to mr")
    wanted.load_state_dict(given.state_dict())
    assert torch.equal(wanted.layer.weight, given.layer.weight)


def test_weights_of_another_task_are_refused_and_both_are_named() -> None:
    said = "found a network for mr to ct; wanted one for ct to mr, as the configuration says.\n  What to do: set `dom"
    with pytest.raises(InputError, match=said):
        Network("ct to mr").load_state_dict(Network("mr to ct").state_dict())


def test_weights_without_a_task_are_refused() -> None:
    state = Network("ct to mr").state_dict()
    del state["task.description"]
    with pytest.raises(RuntimeError, match=r"Missing key.*task\.description"):
        Network("ct to mr").load_state_dict(state)


def test_a_description_as_long_as_the_buffer_fits_and_a_longer_one_is_refused() -> None:
    assert str(Task("é" * (LENGTH // 2), remedy="none")) == "é" * (LENGTH // 2)
    with pytest.raises(InputError, match=f"wanted at most {LENGTH} bytes"):
        Task("é" * (LENGTH // 2) + "a", remedy="none")
