"""Body masks: threshold, components, holes, what happens without a background, and masks from files."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation
from PIL import Image

from transmodal import InputError
from transmodal.transforms import BodyMask, BodyMaskd, CheckedLoadImaged, EnsureVolumed, SpacingWithinToleranced


def disc_ct(table: bool = False, gas: bool = False) -> torch.Tensor:
    """A cylinder of soft tissue in air, (1, 40, 40, 4) in HU; optionally with a table below and gas inside."""
    x, y = torch.meshgrid(torch.arange(40.0) - 20, torch.arange(40.0) - 20, indexing="ij")
    radius = (x**2 + y**2).sqrt()
    image = torch.where(radius < 12, 40.0, -1000.0)
    if gas:
        image[radius < 4] = -900
    if table:
        image[5:35, 37:39] = 100
    return image[None, :, :, None].repeat(1, 1, 1, 4)


def test_ct_body_is_what_lies_above_the_threshold() -> None:
    found = BodyMask(threshold=-500, opening=0)(disc_ct())
    assert found.dtype == torch.uint8
    assert torch.equal(found > 0, disc_ct() > -500)


def test_gas_inside_the_body_is_filled() -> None:
    assert torch.equal(BodyMask(-500, opening=0)(disc_ct(gas=True)), BodyMask(-500, opening=0)(disc_ct()))


def test_a_small_table_is_removed() -> None:
    assert BodyMask(threshold=-500)(disc_ct(table=True))[0, :, 36:].sum() == 0


def test_two_legs_are_both_kept() -> None:
    legs = torch.full((1, 40, 20, 3), -1000.0)
    legs[:, 3:15, 4:16], legs[:, 24:38, 4:16] = 30, 30
    found = BodyMask(threshold=-500)(legs)
    assert found[0, 9, 10, 1] == 1
    assert found[0, 30, 10, 1] == 1


def test_automatic_threshold_separates_dark_tissue_from_noise() -> None:
    truth = disc_ct() > -500
    mr = torch.where(truth, 300.0, 0.0) + 15 * torch.rand(truth.shape)
    mr[..., :20, :][truth[..., :20, :]] = 900  # half of the body is fat
    found = BodyMask()(mr) > 0
    assert (found == truth).float().mean() > 0.99


def test_an_image_without_background_is_all_body() -> None:
    assert BodyMask(threshold=-500)(torch.full((1, 8, 8, 3), -900.0)).min() == 1


def test_single_slices_work() -> None:
    assert BodyMask(threshold=-500)(disc_ct()[..., 0]).shape == (1, 40, 40)


def test_mask_carries_the_affine_of_its_image() -> None:
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    image = MetaTensor(disc_ct(), affine=affine)
    sample = BodyMaskd("image", "ct", {"ct": BodyMask(-500)})({"image": image})
    assert torch.equal(sample["body_image"].affine, affine)


def test_a_given_mask_is_kept() -> None:
    given = torch.ones(1, 40, 40, 4)
    sample = BodyMaskd("label", "ct", {"ct": BodyMask(-500)}, masks="mask")({"label": disc_ct(), "mask": given})
    assert sample["mask"] is given


def test_a_modality_without_a_mask_finder_is_named() -> None:
    with pytest.raises(InputError, match="no body mask for the modality 'mr'"):
        BodyMaskd("image", "mr", {"ct": BodyMask()})


def test_several_channels_have_the_union_of_their_masks() -> None:
    legs = torch.full((1, 40, 40, 4), -1000.0)
    legs[:, 1:9, 30:38] = 30
    find = BodyMask(threshold=-500)
    found = find(torch.cat([disc_ct(), legs]))
    assert found.shape == (1, 40, 40, 4)
    assert torch.equal(found, find(disc_ct()) | find(legs))
    assert found.sum() == find(disc_ct()).sum() + find(legs).sum()


def test_each_channel_has_its_own_threshold() -> None:
    """One contrast of a case may be a thousand times as bright as another."""
    truth = disc_ct() > -500
    mr = torch.where(truth, 300.0, 0.0) + 15 * torch.rand(truth.shape)
    mr[..., :20, :][truth[..., :20, :]] = 900  # half of the body is fat
    found = BodyMask()(torch.cat([mr / 100, 10 * mr])) > 0
    assert torch.equal(found, (BodyMask()(mr) > 0))
    assert (found == truth).float().mean() > 0.99


AFFINE = np.array([[-2.0, 0, 0, 30], [0, -1, 0, 20], [0, 0, 3, -5], [0, 0, 0, 1]])


def mask_file(folder: Path, shape: tuple[int, ...] = (20, 24, 10), affine: np.ndarray = AFFINE) -> Path:
    """A box of 255 in a mask that lies as its image does: to the left and the back."""
    values = np.zeros(shape, dtype=np.uint8)
    values[4:9, 6:18, 2:7] = 255
    path = folder / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def image_on(shape: tuple[int, ...] = (20, 24, 10), affine: np.ndarray = AFFINE) -> MetaTensor:
    return MetaTensor(torch.rand(1, *shape), affine=torch.from_numpy(affine))


def read(file: Path, image: MetaTensor) -> MetaTensor:
    return BodyMaskd("image", "mr", {"mr": BodyMask()})({"image": image, "body_image": str(file)})["body_image"]


def test_a_mask_file_is_the_body(tmp_path: Path) -> None:
    found = read(mask_file(tmp_path), image_on())
    expected = torch.zeros(1, 20, 24, 10, dtype=torch.uint8)
    expected[:, 4:9, 6:18, 2:7] = 1
    assert torch.equal(found.as_tensor(), expected)
    assert found.dtype == torch.uint8


def test_a_mask_file_follows_the_orientation_of_the_image(tmp_path: Path) -> None:
    turned = Orientation("RAS", labels=None)(image_on())
    found = read(mask_file(tmp_path), turned)
    plain = torch.as_tensor(nibabel.load(tmp_path / "mask.nii.gz").get_fdata())[None] > 0
    assert torch.equal(found.as_tensor() > 0, plain.flip(1, 2))
    assert torch.equal(found.affine, turned.affine)


def test_a_mask_file_follows_the_spacing_of_the_image(tmp_path: Path) -> None:
    resampled = SpacingWithinToleranced("image", (1, 1, -1))({"image": image_on()})["image"]
    found = read(mask_file(tmp_path), resampled)
    assert found.shape == resampled.shape == (1, 39, 24, 10)
    assert int(found.sum()) == pytest.approx(2 * 5 * 12 * 5, rel=0.11)  # half the spacing along the first axis
    assert set(found.unique().tolist()) == {0, 1}


def test_a_mask_file_of_a_picture_lies_on_the_picture(tmp_path: Path) -> None:
    grey = np.zeros((16, 12), dtype=np.uint8)
    grey[2:7, 3:11] = 255
    for name in ("image", "mask"):
        Image.fromarray(grey).save(tmp_path / f"{name}.png")
    picture = CheckedLoadImaged("image", "mr")({"image": tmp_path / "image.png"})
    image = EnsureVolumed("image")(picture)["image"]
    assert torch.equal(read(tmp_path / "mask.png", image).as_tensor() > 0, image.as_tensor() > 0)


def test_a_mask_file_serves_a_slice_without_a_third_axis(tmp_path: Path) -> None:
    third = AFFINE.copy()
    third[2, 3] += 3 * AFFINE[2, 2]
    found = read(mask_file(tmp_path), MetaTensor(torch.rand(1, 20, 24), affine=torch.from_numpy(third)))
    assert found.shape == (1, 20, 24)
    assert found.sum() == 5 * 12


def test_a_mask_file_elsewhere_is_refused_by_name(tmp_path: Path) -> None:
    moved = AFFINE.copy()
    moved[0, 3] += 500
    with pytest.raises(
        InputError, match=r"mask\.nii\.gz: found no body where the image is \(\(530, 20, -5\) to"
    ) as error:
        read(mask_file(tmp_path, affine=moved), image_on())
    assert "the image: (30, 20, -5) to (-8, -3, 22) mm" in str(error.value)


@pytest.mark.parametrize(("values", "told"), [(0.0, "an empty mask"), (0.5, "fractional or negative values")])
def test_a_file_that_is_no_mask_is_refused_by_name(tmp_path: Path, values: float, told: str) -> None:
    path = tmp_path / "mask.nii"
    nibabel.save(nibabel.Nifti1Image(np.full((20, 24, 10), values, dtype=np.float32), AFFINE), path)
    with pytest.raises(InputError, match=rf"mask\.nii: found {told}"):
        read(path, image_on())


def test_a_missing_mask_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.nii: found no such file"):
        read(tmp_path / "gone.nii", image_on())
