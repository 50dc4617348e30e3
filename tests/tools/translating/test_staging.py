"""A scan staged as a data set of one case, and the body on its own grid."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from tests.tools.translating.scans import AFFINE, ct_values, write_volume
from translating.inputs import Scan
from translating.staging import Stage, body_of, write_mask
from transmodal.data import find_cases
from transmodal.errors import InputError
from transmodal.transforms import BodyMask

CT = ct_values((16, 18, 4))


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    path = write_volume(tmp_path / "KNEE.nii.gz", CT)
    return Stage(tmp_path / "stage", Scan("knee", path), path)


def test_a_staged_scan_is_a_data_set_of_one_case(stage: Stage) -> None:
    stage.name("ct", stage.read())
    (case,) = find_cases(stage.folder)
    assert case == {"case": "knee", "ct": str(stage.folder / "knee" / "ct.nii.gz")}


def test_its_voxels_are_read_on_its_own_grid(stage: Stage) -> None:
    image = stage.read()
    np.testing.assert_array_equal(image[0].numpy(), CT)
    np.testing.assert_allclose(image.affine.numpy(), AFFINE)


def test_values_that_cannot_be_of_the_modality_are_refused_by_the_scans_own_name(stage: Stage) -> None:
    without_intercept = stage.read() + 1024
    with pytest.raises(InputError, match=r"KNEE\.nii\.gz: found values .* the rescale intercept was lost"):
        stage.name("ct", without_intercept)


def test_messages_name_the_scan_and_not_the_stage(stage: Stage) -> None:
    assert stage.told(f"{stage.folder}/knee/ct.nii.gz: found") == f"{stage.scan.path}: found"


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_body_is_the_same_whatever_the_order_of_the_axes(axes: tuple[int, int, int]) -> None:
    upright = body_of(MetaTensor(torch.from_numpy(CT)[None].float(), affine=AFFINE), BodyMask(threshold=-500))
    turned = MetaTensor(torch.from_numpy(CT.transpose(axes).copy())[None].float(), affine=AFFINE[:, [*axes, 3]])
    np.testing.assert_array_equal(body_of(turned, BodyMask(threshold=-500)), upright.transpose(axes))


def test_a_mask_is_written_on_the_grid_of_its_image(tmp_path: Path) -> None:
    write_mask(tmp_path / "case" / "mask.nii.gz", CT > 0, AFFINE)
    written = nibabel.load(tmp_path / "case" / "mask.nii.gz")
    assert written.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), CT > 0)
    np.testing.assert_allclose(written.affine, AFFINE)


def test_an_empty_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an empty body mask"):
        write_mask(tmp_path / "case" / "mask.nii.gz", np.zeros((2, 2, 2)), AFFINE)
