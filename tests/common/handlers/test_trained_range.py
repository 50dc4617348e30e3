"""The range of the training is written with the weights that it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ignite.distributed as idist
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor

from transmodal.data import PairedSlices, UnpairedSlices, VolumeSlices
from transmodal.errors import InputError
from transmodal.handlers import TrainedRangeWriter
from transmodal.trained_range import Profile, TrainedRange
from transmodal.transforms import HounsfieldWindow, RobustPercentiles

INTENSITY = {"ct": HounsfieldWindow(), "mr": RobustPercentiles()}


def preprocess(sample: dict[str, Any]) -> dict[str, Any]:
    """A body as wide as the file's name says, on a grid of 0.5, 2 and 3 mm."""
    body = torch.zeros(1, 30, 20, 6)
    body[:, 2 : 2 + int(Path(sample["image"]).stem), 4:14] = 1
    image = MetaTensor(2 * body - 1, affine=torch.diag(torch.tensor([0.5, 2.0, 3.0, 1.0])))
    return {"image": image, "body_image": body}


@pytest.fixture
def domains() -> list[VolumeSlices]:
    data = [{"image": f"{width}.nii", "label": f"{width + 4}.nii"} for width in (10, 20)]
    return UnpairedSlices(data, preprocess, {"image": "mr", "label": "ct"}).domains


def start_training(writer: TrainedRangeWriter, saving: bool = True) -> None:
    """One epoch, at whose end the weights are written by a handler behind the writer."""
    engine = Engine(lambda engine, batch: None)
    writer.attach(engine)

    @engine.on(Events.EPOCH_COMPLETED)
    def save() -> None:
        if saving:
            writer.weights.parent.mkdir(exist_ok=True)
            writer.weights.write_text("weights")

    engine.run([0])


def test_a_training_that_writes_no_weights_leaves_the_range_of_those_that_are_there(
    domains: list[VolumeSlices], tmp_path: Path
) -> None:
    (tmp_path / "model.pt").write_text("others")
    (tmp_path / "trained_range.json").write_text("theirs")
    start_training(TrainedRangeWriter(domains, INTENSITY, tmp_path / "model.pt"), saving=False)
    assert (tmp_path / "trained_range.json").read_text() == "theirs"


def test_the_range_of_every_modality_is_written_beside_the_weights(domains: list[VolumeSlices], tmp_path: Path) -> None:
    start_training(TrainedRangeWriter(domains, INTENSITY, tmp_path / "models" / "model.pt"))
    known = TrainedRange.load(tmp_path / "models" / "trained_range.json").modalities
    assert {name: of_it["range"]["width_mm"] for name, of_it in known.items()} == {"mr": [5, 10], "ct": [7, 12]}
    assert {name: of_it["volumes"] for name, of_it in known.items()} == {"mr": 2, "ct": 2}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_measures_the_same_as_slices_and_as_a_preprocessed_input(axis: int, tmp_path: Path) -> None:
    slices = VolumeSlices([{"image": "10.nii"}], preprocess, modality="mr", axis=axis)
    start_training(TrainedRangeWriter([slices], INTENSITY, tmp_path / "model.pt"))
    sample = preprocess({"image": "10.nii"})
    profile = Profile.of(sample["image"], sample["body_image"], "mr", INTENSITY["mr"], axis=axis)
    known = TrainedRange.load(tmp_path / "trained_range.json").modalities["mr"]["range"]
    assert known == {name: [value, value] for name, value in profile.values.items()}


@pytest.mark.parametrize("axis", [0, 2, [0, 1, 2]])
def test_of_pairs_the_source_is_measured(axis: Any, tmp_path: Path) -> None:
    def pair(sample: dict[str, Any]) -> dict[str, Any]:
        source = preprocess({"image": sample["image"]})
        return source | {"label": -source["image"]}

    dataset = PairedSlices([{"image": "10.nii", "label": "20.nii"}], pair, axis=axis, modality="mr")
    start_training(TrainedRangeWriter(dataset.domains, INTENSITY, tmp_path / "model.pt"))
    sample = preprocess({"image": "10.nii"})
    across = dataset.slices.axis
    profile = Profile.of(sample["image"], sample["body_image"], "mr", INTENSITY["mr"], axis=across)
    known = TrainedRange.load(tmp_path / "trained_range.json").modalities
    assert {name: of_it["volumes"] for name, of_it in known.items()} == {"mr": 1}
    assert known["mr"]["range"] == {name: [value, value] for name, value in profile.values.items()}


def test_only_so_many_volumes_are_measured(domains: list[VolumeSlices], tmp_path: Path) -> None:
    start_training(TrainedRangeWriter(domains, INTENSITY, tmp_path / "model.pt", at_most=1))
    assert TrainedRange.load(tmp_path / "trained_range.json").modalities["ct"]["volumes"] == 1


def test_other_ranks_do_not_write(domains: list[VolumeSlices], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idist, "get_rank", lambda: 1)
    start_training(TrainedRangeWriter(domains, INTENSITY, tmp_path / "model.pt"))
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_a_modality_without_a_scale_is_refused(domains: list[VolumeSlices], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scale for the modality 'ct'"):
        TrainedRangeWriter(domains, {"mr": RobustPercentiles()}, tmp_path / "model.pt")
