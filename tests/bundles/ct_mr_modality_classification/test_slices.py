"""Training samples: classes in turns, functions of their index, slices with square pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from modality_bundle.augmentation import Augmentation
from modality_bundle.objective import ClassificationObjective
from modality_bundle.records import NEITHER, image_records, select_images
from modality_bundle.slices import RandomSlices, slices_of
from monai.data import MetaTensor
from monai.transforms import Compose
from torch import nn

from transmodal.errors import InputError
from transmodal.transforms import CheckedLoadImaged, EnsureVolumed

LOAD = Compose([CheckedLoadImaged("image", modality="image"), EnsureVolumed("image")])
CLASSES = {"ct": ["ct"], "mr": ["mr", "t2"]}


def dataset(folder: Path, **kwargs: Any) -> RandomSlices:
    records = image_records(select_images(folder), CLASSES, neither=["xray"], labelled=True)
    augmentation = Augmentation({"soft tissue": [-160, 240]})
    return RandomSlices(records, LOAD, augmentation, size=24, draws_per_image=3, **kwargs)


def test_an_epoch_counts_the_images_of_the_classes(phantoms: Path) -> None:
    assert len(dataset(phantoms)) == 3 * 6


def test_classes_take_turns(phantoms: Path) -> None:
    samples = [dataset(phantoms, neither_share=0.0)[(number, 9)] for number in range(6)]
    assert [sample["label"] for sample in samples] == [0, 1, 0, 1, 0, 1]
    assert all(sample["image"].shape == (1, 24, 24) for sample in samples)
    assert all(float(sample["image"].abs().max()) <= 1 for sample in samples)


def test_some_items_are_of_neither_class(phantoms: Path) -> None:
    data = dataset(phantoms, neither_share=0.3)
    labels = [data[(number, 1)]["label"] for number in range(100)]
    assert 15 < labels.count(NEITHER) < 45


def test_without_images_of_neither_class_there_is_noise(phantoms: Path) -> None:
    records = image_records(select_images(phantoms), CLASSES, labelled=True)
    data = RandomSlices(records, LOAD, Augmentation({"soft tissue": [-160, 240]}), size=24, neither_share=1.0)
    assert data[(0, 0)]["label"] == NEITHER
    assert float(data[(0, 0)]["image"].std()) > 0


def test_an_item_is_a_function_of_its_index(phantoms: Path) -> None:
    first, again = dataset(phantoms), dataset(phantoms)
    torch.manual_seed(7)
    assert torch.equal(first[(4, 11)]["image"], again[(4, 11)]["image"])
    assert not torch.equal(first[(4, 11)]["image"], first[(4, 12)]["image"])


@pytest.mark.parametrize("absent", ["ct", "mr"])
def test_a_class_without_images_is_refused_by_name(phantoms: Path, absent: str) -> None:
    classes = {**CLASSES, absent: ["pet"]}
    records = image_records(select_images(phantoms), classes, labelled=True)
    with pytest.raises(InputError, match=f"none of the modality {absent}"):
        RandomSlices(records, LOAD, Augmentation({"soft tissue": [-160, 240]}))


def test_slices_lie_along_every_axis_and_have_square_pixels() -> None:
    volume = MetaTensor(torch.rand(1, 40, 30, 20), affine=torch.diag(torch.tensor([1.0, 1.0, 3.0, 1.0])))
    shapes = [tuple(each.shape) for each in slices_of(volume, (1, 2, 3), 192)]
    assert shapes == [(40, 30)] * 3 + [(40, 60)] * 2 + [(30, 60)]


def test_large_slices_are_made_smaller() -> None:
    (only,) = slices_of(torch.rand(1, 100, 60, 1), (8, 8, 32), 50)
    assert only.shape == (50, 30)


def test_thin_stacks_are_not_looked_at_from_the_side() -> None:
    assert len(slices_of(torch.rand(1, 40, 40, 8), (8, 8, 32), 192)) == 8


def test_values_beyond_half_precision_are_scaled() -> None:
    (only,) = slices_of(1e6 * torch.rand(1, 20, 20, 1), (8, 8, 32), 192)
    assert bool(torch.isfinite(only).all())
    assert float(only.float().std()) > 0


class Fixed(nn.Module):
    """Answers with the logits it was made with."""

    def __init__(self, *logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logits


def loss(label: int, *logits: float, smoothing: float = 0.0) -> float:
    batch = {"image": torch.zeros(1, 1, 4, 4), "label": torch.tensor([label])}
    return float(ClassificationObjective(Fixed([*logits]), smoothing).terms(batch)["cross_entropy"])


def test_the_loss_is_cross_entropy_on_the_label() -> None:
    assert loss(1, 0.0, 2.0) == pytest.approx(0.126928, abs=1e-5)  # log(1 + exp(-2))
    assert loss(0, 0.0, 2.0) == pytest.approx(2.126928, abs=1e-5)


def test_of_neither_class_equal_probabilities_are_best() -> None:
    assert loss(NEITHER, 0.0, 0.0) == pytest.approx(0.693147, abs=1e-5)
    assert loss(NEITHER, 0.0, 2.0) == pytest.approx(1.126928, abs=1e-5)


def test_smoothing_spreads_its_share() -> None:
    assert loss(1, 0.0, 2.0, smoothing=0.1) == pytest.approx(0.95 * 0.126928 + 0.05 * 2.126928, abs=1e-5)
