"""Slices of three planes with the augmentation of the training file: one size, cut where the body is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from transmodal.data import PairedSlices

SHAPE = (6, 24, 20)
"""Six thick slices: coronal and sagittal ones are thinner than any patch."""


class Preprocessing:
    """Source and target above -1 throughout, the target twice as near to it; a small body near a corner."""

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        image = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(2)) + 1e-3
        body = torch.zeros(1, *SHAPE)
        body[:, 1:5, 3:9, 10:17] = 1
        return sample | {"image": 2 * image - 1, "label": image - 1, "body_image": body}


@pytest.fixture(scope="module")
def slices(root: Path) -> Any:
    """The data set of the training file, for a patch of the given size and a probability to flip."""
    configs = root / "bundles/ct_mr_mddga_translation/configs"

    def make(patch: list[int], flip: float = 0.0) -> PairedSlices:
        parser = ConfigParser()
        parser.read_config([str(configs / "train.json"), str(configs / "train_slices.json")])
        parser["train#data"] = [{"image": "a.nii", "label": "b.nii"}]
        parser["train#preprocessing"] = Preprocessing()
        parser["patch"], parser["flip"] = patch, flip
        return parser.get_parsed_content("train#dataset")

    return make


@pytest.mark.parametrize("patch", [[4, 4], [8, 8], [16, 12], [30, 30]])
def test_slices_of_all_planes_have_the_size_of_the_patch(slices: Any, patch: list[int]) -> None:
    dataset = slices(patch)
    assert len(dataset) == 4 + 6 + 7
    for number in range(len(dataset)):
        item = dataset[(number, 5)]
        assert tuple(item["image"].shape) == tuple(item["label"].shape) == (1, *patch)


def test_source_and_target_stay_together_and_air_is_added_to_both(slices: Any) -> None:
    dataset = slices([16, 16], flip=0.5)
    for number in range(len(dataset)):
        item = dataset[(number, number)]
        torch.testing.assert_close(item["image"], 2 * item["label"] + 1)
    thin = dataset[(6, 0)]["image"]  # a coronal slice of 6 by 20 pixels
    assert (thin[0, :5] == -1).all()
    assert (thin[0, 5:11] > -1).all()
    assert (thin[0, 11:] == -1).all()


def test_the_centre_of_a_crop_is_in_the_body(slices: Any) -> None:
    """Where the image does not end: axial slices of 24×20 pixels, body in rows 3 to 8 and columns 10 to 16."""
    dataset = slices([4, 4])
    whole = Preprocessing()({})["image"][0, 1].flatten().tolist()
    starts = set()
    for seed in range(300):
        offset = whole.index(float(dataset[(0, seed)]["image"][0, 0, 0]))
        starts.add((offset // 20, offset % 20))
    rows, columns = ({start[axis] for start in starts} for axis in (0, 1))
    assert (rows, columns) == ({1, 2, 3, 4, 5, 6}, {8, 9, 10, 11, 12, 13, 14})


def test_an_item_is_a_pure_function_of_its_index(slices: Any) -> None:
    dataset = slices([8, 8], flip=0.5)
    first = dataset[(3, 11)]["image"]
    dataset[(9, 2)]
    assert torch.equal(dataset[(3, 11)]["image"], first)
    assert len({float(dataset[(3, seed)]["image"].sum()) for seed in range(20)}) > 5
