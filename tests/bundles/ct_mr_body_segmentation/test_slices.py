"""Training slices: image and mask move together, and an index fixes everything."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, RandAffined, RandFlipd, RandGaussianNoised, RandSpatialCropd
from segmentation_bundle.slices import LabelledSlices
from torch import Tensor

from tests.bundles.ct_mr_body_segmentation.cases import SHAPE
from transmodal.errors import InputError

KEYS = ("image", "label")


def volume(record: dict[str, Any]) -> dict[str, Any]:
    """A label that grows with the slice and is absent from the first one; the image is 1 in it and -1 outside."""
    label = torch.zeros(1, *SHAPE)
    for number in range(SHAPE[2]):
        label[:, : 3 * number, 2 : 2 + number, number] = 1
    return {**record, "image": MetaTensor(2 * label - 1), "label": MetaTensor(label)}


def slices(augmentation: Compose | None = None) -> LabelledSlices:
    return LabelledSlices([{"image": "a"}, {"image": "b"}], volume, augmentation)


AUGMENTATION = Compose(
    [
        RandFlipd(KEYS, prob=0.5, spatial_axis=0),
        RandAffined(KEYS, prob=1, rotate_range=0.5, mode=["nearest", "nearest"], padding_mode="border"),
        RandSpatialCropd(KEYS, roi_size=(8, 8), random_size=False),
    ]
)


def test_every_slice_is_drawn_also_one_without_body() -> None:
    drawn = [slices()[number]["label"].sum() for number in range(len(slices()))]
    assert [int(each) for each in drawn] == [0, 3, 12, 27] * 2


def test_an_item_is_a_plain_image_with_its_mask() -> None:
    item = slices()[(2, 0)]
    assert list(item) == list(KEYS)
    assert all(type(each) is Tensor and each.shape == (1, 16, 14) for each in item.values())


@pytest.mark.parametrize("seed", range(5))
def test_image_and_mask_move_together(seed: int) -> None:
    item = slices(AUGMENTATION)[(3, seed)]
    assert item["image"].shape == (1, 8, 8)
    assert torch.equal(item["image"], 2 * item["label"] - 1)


def test_an_index_fixes_the_augmentation() -> None:
    first, second = slices(AUGMENTATION), slices(AUGMENTATION)
    second[(1, 5)]
    assert torch.equal(first[(3, 7)]["image"], second[(3, 7)]["image"])
    assert any(not torch.equal(first[(3, 7)]["image"], first[(3, seed)]["image"]) for seed in range(5))


def test_noise_on_the_image_leaves_the_mask_whole() -> None:
    item = slices(Compose([RandGaussianNoised("image", prob=1, std=0.5)]))[(3, 0)]
    assert set(item["label"].unique().tolist()) == {0, 1}
    assert item["image"].unique().numel() > 2


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(InputError, match="training images: found none"):
        LabelledSlices([], volume)
