"""What the weights were made for travels with them; those for another task are refused, however they are loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.handlers import Checkpoint
from mudiff_bundle.networks import MutualDenoisers
from mudiff_bundle.task import TranslationTask
from torch import Tensor, nn

from transmodal.checkpoints import load_weights, save_weights
from transmodal.errors import InputError
from transmodal.networks.task import LENGTH

TRAINED: dict[str, Any] = {"sources": ("flair", "t2", "t1"), "target": "t1ce", "num_timesteps": 4}
OTHERS = [
    ({"sources": ("t1", "t2", "flair")}, r"t1\+t2\+flair to t1ce, T=4"),
    ({"target": "pd"}, r"flair\+t2\+t1 to pd, T=4"),
    ({"num_timesteps": 2}, r"flair\+t2\+t1 to t1ce, T=2"),
    ({"sources": ("flair", "t2")}, r"flair\+t2 to t1ce, T=4"),
]

Loading = Callable[[nn.Module, dict[str, Tensor], Path], object]


def network(**others: Any) -> MutualDenoisers:
    """Of two layers that have the same shapes for every task."""
    return MutualDenoisers(nn.Linear(2, 3), nn.Linear(3, 2), **{**TRAINED, **others})


def by_torch(wanted: nn.Module, state: dict[str, Tensor], folder: Path) -> object:
    return wanted.load_state_dict(state)


def by_transmodal(wanted: nn.Module, state: dict[str, Tensor], folder: Path) -> object:
    save_weights(state, folder / "model.pt")
    return load_weights(wanted, folder / "model.pt")


def by_ignite(wanted: nn.Module, state: dict[str, Tensor], folder: Path) -> object:
    """As MONAI's handlers, and a training that goes on."""
    return Checkpoint.load_objects(to_load={"network": wanted}, checkpoint={"network": state})


every_way = pytest.mark.parametrize("load", [by_torch, by_transmodal, by_ignite])


@every_way
def test_weights_of_the_same_task_are_loaded(load: Loading, tmp_path: Path) -> None:
    given, wanted = network(), network()
    load(wanted, given.state_dict(), tmp_path)
    assert torch.equal(wanted.specific.weight, given.specific.weight)


@every_way
@pytest.mark.parametrize(("other", "message"), OTHERS)
def test_weights_of_another_task_are_refused_and_both_are_named(
    load: Loading, tmp_path: Path, other: dict[str, Any], message: str
) -> None:
    wanted, state = network(), network(**other).state_dict()
    said = rf"found a network for {message}; wanted one for flair\+t2\+t1 to t1ce, T=4, as the configuration says"
    with pytest.raises(InputError, match=said):
        load(wanted, state, tmp_path)


@every_way
def test_weights_without_a_task_are_refused(load: Loading, tmp_path: Path) -> None:
    state = network().state_dict()
    del state["task.description"]
    with pytest.raises((InputError, RuntimeError), match=r"task\.description"):
        load(network(), state, tmp_path)


def test_the_task_is_a_tensor_among_the_weights_and_nothing_to_learn() -> None:
    task = TranslationTask(**TRAINED)
    assert list(task.parameters()) == []
    assert {name: (each.dtype, each.shape) for name, each in task.state_dict().items()} == {
        "description": (torch.uint8, (LENGTH,))
    }


def test_the_task_is_told_in_words() -> None:
    assert str(TranslationTask(**TRAINED)) == "flair+t2+t1 to t1ce, T=4"
    assert "flair+t2+t1 to t1ce, T=4" in repr(network())


def test_the_task_survives_half_precision() -> None:
    task = TranslationTask(**TRAINED).half().bfloat16()
    assert str(task) == "flair+t2+t1 to t1ce, T=4"


@pytest.mark.parametrize(
    ("sources", "target"),
    [
        (("t1", "t1"), "t2"),
        (("t1", "t2"), "t2"),
        ((), "t2"),
        (("t1", ""), "t2"),
        (("t1",), ""),
        ("flair", "t2"),
        ((1, 2), "t2"),
    ],
)
def test_contrasts_without_a_name_of_their_own_are_refused(sources: Any, target: str) -> None:
    with pytest.raises(InputError, match="wanted at least one source, and a different name for each contrast"):
        TranslationTask(sources, target, 4)


def test_a_description_too_long_to_be_saved_is_refused() -> None:
    with pytest.raises(InputError, match=f"wanted at most {LENGTH} bytes"):
        TranslationTask(["a" * LENGTH], "t2", 4)
