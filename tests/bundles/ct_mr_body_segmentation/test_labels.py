"""Where labels come from: which records, and what is read or found for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from segmentation_bundle.labels import BodyLabeld, labelled_records
from torch import Tensor

from tests.bundles.ct_mr_body_segmentation.cases import LPS, SHAPE, square, write
from transmodal.errors import InputError
from transmodal.transforms import BodyMask

BODY = {"ct": BodyMask(threshold=-500, opening=0), "mr": BodyMask(opening=0)}
CASES = [
    {"case": "a", "ct": "/d/a/ct.nii.gz", "mr": "/d/a/mr.nii.gz", "mask": "/d/a/mask.nii.gz"},
    {"case": "b", "mr": "/d/b/mr.nii.gz"},
]


@pytest.fixture
def case(tmp_path: Path) -> dict[str, str]:
    """Water in air, and a drawn mask that is two rows shorter, of 255."""
    return write(tmp_path / "a", ct=torch.where(square() > 0, 40.0, -1000.0), mask=255 * square(4, 10))


def labels(record: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    return dict(BodyLabeld("label", modality="ct", body=BODY, **arguments)(record))


def test_every_image_of_every_case_is_a_record() -> None:
    records = labelled_records(CASES, ["ct", "mr"])
    assert [(record["case"], record["modality"], record["image"]) for record in records] == [
        ("a", "ct", "/d/a/ct.nii.gz"),
        ("a", "mr", "/d/a/mr.nii.gz"),
        ("b", "mr", "/d/b/mr.nii.gz"),
    ]
    assert all("label" not in record for record in records)


def test_with_masks_a_case_without_one_is_left_out() -> None:
    records = labelled_records(CASES, ["mr"], label_from="mask")
    assert records == [{"case": "a", "image": "/d/a/mr.nii.gz", "label": "/d/a/mask.nii.gz", "modality": "mr"}]


def test_no_mask_at_all_is_refused_with_the_ways_to_get_one() -> None:
    with pytest.raises(InputError, match="no case with mr and a mask; the first has mr") as caught:
        labelled_records(CASES[1:], ["mr"], label_from="mask")
    assert "tools/labelme_to_masks.py" in caught.value.remedy


def test_nothing_is_allowed_where_nothing_is_validated() -> None:
    assert labelled_records(CASES[1:], ["ct"], remedy="") == []


def test_an_empty_section_is_refused_unless_the_remedy_is_empty() -> None:
    with pytest.raises(InputError, match=r"(?s)0 cases: found no case with mr; wanted images of mr.*hold cases out"):
        labelled_records([], ["mr"], remedy="hold cases out")
    assert labelled_records([], ["mr"], remedy="") == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"modalities": ["ct"], "label_from": "masks"}, "label_from"), ({"modalities": "ct"}, "modalities")],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=f"configuration id '{named}'"):
        labelled_records(CASES, **arguments)


def test_a_mask_file_is_the_label(case: dict[str, str]) -> None:
    """Any value but zero is body."""
    label = labels({"image": case["ct"], "label": case["mask"]})["label"]
    assert torch.equal(label.as_tensor(), square(4, 10))
    torch.testing.assert_close(label.affine, LPS)


def test_without_a_file_the_body_is_found_in_the_image(case: dict[str, str]) -> None:
    assert torch.equal(labels({"image": case["ct"]})["label"].as_tensor(), square())


def test_a_record_may_name_its_modality(case: dict[str, str]) -> None:
    """An MR of positive values is no CT, and would be refused as one."""
    mr = case["ct"].replace("ct.nii", "mr.nii")
    nib.save(nib.Nifti1Image(np.asarray(square()[0] * 400), LPS.numpy()), mr)
    assert torch.equal(labels({"image": mr, "modality": "mr"})["label"].as_tensor(), square())
    with pytest.raises(InputError, match="CT in Hounsfield units"):
        labels({"image": mr})


def test_the_image_stays_a_path_and_its_values_can_be_kept(case: dict[str, str]) -> None:
    sample = labels({"image": case["ct"]}, raw="raw")
    assert sample["image"] == case["ct"]
    assert isinstance(sample["raw"], Tensor)
    assert sample["raw"].shape == (1, *SHAPE)
    assert "raw" not in labels({"image": case["ct"]})


def test_a_mask_on_another_grid_is_refused_by_name(case: dict[str, str]) -> None:
    moved = LPS.numpy().copy()
    moved[0, 3] = 30
    nib.save(nib.Nifti1Image(np.asarray(square()[0]), moved), case["mask"])
    with pytest.raises(InputError, match=r"ct.nii.gz: found another grid than .*mask.nii.gz: origin by 30.00 mm"):
        labels({"image": case["ct"], "label": case["mask"]})


def test_a_modality_without_a_finder_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(InputError, match="no body mask for the modality 't1'"):
        labels({"image": case["ct"].replace("mask", "ct"), "modality": "t1"})
