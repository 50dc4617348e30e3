"""Every bundle's training, interrupted and resumed, against the same training in one go."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.bundles.conftest import Trained
from tests.bundles.tiny import SPLIT, STATE, TINY, files_below, run
from tests.common.handlers.test_resume import assert_same
from transmodal.errors import InputError

EVENTS = "events.out.tfevents"


class Place:
    """A folder in which a stage of a bundle is trained, anew or again.

    Args:
        training: gives the bundle, its stage and the data.
        folder: what the training writes.
    """

    def __init__(self, training: Trained, folder: Path) -> None:
        self.training, self.folder = training, folder
        self.weights = folder / "models" / "model.pt"
        self.state, self.split = (folder / "output" / name for name in (STATE, SPLIT))

    def train(self, epochs: int, **ids: Any) -> None:
        """Train until so many epochs of a schedule for two are complete."""
        files = {"output_dir": str(self.state.parent), "ckpt_path": str(self.weights)}
        files |= {"dataset_dir": str(self.training.data), **self.training.made}
        length = {"train#trainer#max_epochs": epochs, "constant_epochs": 1, "decay_epochs": 1}
        run(self.training.bundle, self.training.config, **files, **length, **ids)

    def saved(self) -> dict[str, Any]:
        return torch.load(self.state, weights_only=True)

    def files(self) -> dict[str, bytes]:
        """Everything but TensorBoard's files, whose names are times."""
        return {name: content for name, content in files_below(self.folder).items() if EVENTS not in name}


def copied(place: Place, folder: Path) -> Place:
    """The same with its files, times of changes included, in another folder."""
    shutil.copytree(place.folder, folder, dirs_exist_ok=True)
    return Place(place.training, folder)


def disturb() -> None:
    """Leave the random generators as another process would have them."""
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)


@pytest.fixture(scope="session")
def straight(training: Trained, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two epochs in one go."""
    place = Place(training, tmp_path_factory.mktemp("straight"))
    place.train(2)
    return place


@pytest.fixture(scope="session")
def begun(training: Trained, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The first of two epochs, for tests that go on in a copy."""
    place = Place(training, tmp_path_factory.mktemp("begun"))
    place.train(1)
    return place


@pytest.fixture(scope="session")
def resumed(begun: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One epoch, and with a new workflow another one."""
    place = copied(begun, tmp_path_factory.mktemp("resumed"))
    disturb()
    place.train(2)
    return place


def test_a_resumed_training_ends_in_the_same_state(straight: Place, resumed: Place) -> None:
    assert_same(resumed.saved(), straight.saved())


def test_a_resumed_training_leaves_the_same_weights(straight: Place, resumed: Place) -> None:
    assert resumed.weights.read_bytes() == straight.weights.read_bytes()


def test_a_resumed_training_keeps_its_split(straight: Place, resumed: Place) -> None:
    assert resumed.split.read_bytes() == straight.split.read_bytes()


def test_a_training_with_another_value_is_not_resumed(straight: Place, training: Trained, tmp_path: Path) -> None:
    place = Place(training, tmp_path / "copy")
    shutil.copytree(straight.folder, place.folder)
    settings = place.saved()["settings"]
    with pytest.raises((InputError, RuntimeError)) as caught:
        place.train(3, batch_size=settings["batch_size"] + 2)
    said = str(caught.value if isinstance(caught.value, InputError) else caught.value.__cause__)
    assert f"{STATE}: found a training with batch_size {settings['batch_size']} where it now is" in said
    assert "resume with the configuration that wrote the file; to start anew remove it or set resume to false" in said
    assert place.saved()["epoch"] == 2


def test_the_comparison_sees_a_training_of_another_seed(straight: Place, training: Trained, tmp_path: Path) -> None:
    other = Place(training, tmp_path)
    other.train(2, seed=1)
    with pytest.raises(AssertionError):
        assert_same(other.saved(), straight.saved())


def test_better_weights_of_an_earlier_epoch_are_not_replaced(begun: Place, training: Trained, tmp_path: Path) -> None:
    place = copied(begun, tmp_path)
    first, saved = place.weights.read_bytes(), place.saved()
    unbeatable = TINY[training.bundle.name].unbeatable
    saved["state"]["best"]["best"] = unbeatable
    torch.save(saved, place.state)
    place.train(2)
    assert place.weights.read_bytes() == first
    assert place.saved()["state"]["best"] == {"best": unbeatable, "epoch": 1}


def test_a_finished_training_leaves_every_file_as_it_was(
    begun: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = copied(begun, tmp_path)
    before, times = place.files(), modified(place.folder)
    disturb()
    with caplog.at_level("INFO", logger="transmodal"):
        place.train(1)
    assert "is of a finished training (1 of 1 epochs): nothing to do" in caplog.text
    assert place.files() == before
    assert modified(place.folder).items() >= times.items()


def modified(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
