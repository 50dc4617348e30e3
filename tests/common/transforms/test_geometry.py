"""Grids: slices become volumes, spacing is changed only where needed, and everything finds its way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, DivisiblePadd, Invertd, LoadImage, Orientationd

from transmodal.errors import InputError
from transmodal.transforms import EnsureVolumed, SameGridd, SpacingWithinToleranced


def volume(shape: tuple[int, ...] = (20, 24, 6), spacing: tuple[float, ...] = (2.0, 2.0, 5.0)) -> MetaTensor:
    """A smooth field in LPS storage order, as ITK files arrive, with a shifted origin."""
    grids = torch.meshgrid(*(torch.linspace(0, 1, n) for n in shape), indexing="ij")
    affine = torch.diag(torch.tensor([-spacing[0], -spacing[1], spacing[2], 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([31.0, -7.5, 100.0])
    field = grids[0] + 2 * grids[1] ** 2 + 0.5 * grids[2]
    return MetaTensor(field[None], affine=affine, meta={"original_channel_dim": 0})


@pytest.mark.parametrize(
    ("shape", "channel"),
    [((7, 9), "no_channel"), ((7, 9, 4), "no_channel"), ((1, 7, 9, 4), 0), ((1, 7, 9), 0)],
)
def test_every_input_becomes_one_channel_and_three_axes(shape: tuple[int, ...], channel: object) -> None:
    image = MetaTensor(torch.rand(shape), meta={"original_channel_dim": channel})
    result = EnsureVolumed("image")({"image": image})["image"]
    wanted = (1, 7, 9, 4) if 4 in shape else (1, 7, 9, 1)
    assert tuple(result.shape) == wanted
    assert result.dtype == torch.float32


def test_a_series_of_one_volume_is_that_volume() -> None:
    image = MetaTensor(torch.rand(7, 9, 4, 1), meta={"original_channel_dim": -1})
    assert tuple(EnsureVolumed("image")({"image": image})["image"].shape) == (1, 7, 9, 4)


@pytest.mark.parametrize("shape", [(7, 9, 4, 3), (3, 7, 9, 4)])
def test_channels_of_a_known_number_come_first(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape)
    result = EnsureVolumed("image", channels=3)({"image": image})["image"]
    assert torch.equal(result.as_tensor(), image if shape[0] == 3 else image.movedim(-1, 0))


def test_the_only_slice_of_several_channels_is_no_series() -> None:
    image = MetaTensor(torch.rand(3, 7, 9, 1), meta={"original_channel_dim": 0})
    assert tuple(EnsureVolumed("image")({"image": image})["image"].shape) == (3, 7, 9, 1)


def test_a_volume_of_one_row_is_not_mistaken_for_a_channel() -> None:
    image = MetaTensor(torch.rand(1, 9, 4), meta={"original_channel_dim": "no_channel"})
    assert tuple(EnsureVolumed("image")({"image": image})["image"].shape) == (1, 1, 9, 4)


def test_plain_tensors_are_accepted() -> None:
    assert tuple(EnsureVolumed("image")({"image": torch.rand(5, 6, 7)})["image"].shape) == (1, 5, 6, 7)


def test_a_slice_from_a_file_keeps_its_place_and_has_three_spacings(tmp_path: Path) -> None:
    affine = np.array([[0.0, -2, 0, 5], [-3, 0, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(np.zeros((12, 14), np.float32), affine), tmp_path / "slice.nii")
    image = LoadImage(image_only=True, ensure_channel_first=False)(tmp_path / "slice.nii")
    result = EnsureVolumed("image")({"image": image})["image"]
    assert result.pixdim.tolist() == [3.0, 2.0, 4.0]
    np.testing.assert_array_equal(result.affine, affine)


def test_spacing_within_tolerance_is_left_alone() -> None:
    image = volume(spacing=(0.977, 0.977, 3.27))
    result = SpacingWithinToleranced("image", pixdim=(1.0, 1.0, -1.0), tolerance=0.05)({"image": image})["image"]
    assert result is image


def test_spacing_beyond_tolerance_is_resampled_and_the_third_axis_kept() -> None:
    result = SpacingWithinToleranced("image", pixdim=(1.0, 1.0, -1.0))({"image": volume()})["image"]
    assert result.pixdim.tolist() == pytest.approx([1.0, 1.0, 5.0])
    assert result.shape[1:] == (39, 47, 6)  # corners kept: (20 - 1) * 2 + 1


@pytest.mark.parametrize("pixdim", [[3.0, 3.0], 3, "333", [1.0, 1.0, float("nan")], [1.0, None, 1.0]])
def test_a_spacing_that_is_not_three_numbers_is_refused_before_any_image(pixdim: Any) -> None:
    with pytest.raises(InputError, match=r"pixdim: found .*; wanted three numbers"):
        SpacingWithinToleranced("image", pixdim=pixdim)


def test_other_keys_that_begin_with_image_are_no_concern() -> None:
    sample = {"image": volume(), "image_path": "somewhere.nii.gz"}  # MONAI Label adds this key
    assert SpacingWithinToleranced("image", pixdim=(1.0, 1.0, -1.0))(sample)["image_path"] == "somewhere.nii.gz"


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 5.0), (1.0, 1.0, 5.0), (0.6, 0.7, 3.0)])
def test_the_chain_inverts_to_the_source_grid(spacing: tuple[float, float, float]) -> None:
    source = volume(shape=(21, 30, 5), spacing=spacing)
    chain = Compose(
        [
            EnsureVolumed("image"),
            Orientationd("image", axcodes="RAS", labels=None),
            SpacingWithinToleranced("image", pixdim=(1.0, 1.0, -1.0)),
            DivisiblePadd("image", k=[4, 4, 1], value=-1),
        ]
    )
    sample = chain({"image": source.clone()})
    sample["pred"] = MetaTensor(sample["image"].as_tensor().clone())
    back = Invertd("pred", transform=chain, orig_keys="image", nearest_interp=False)(sample)["pred"]
    assert back.shape == source.shape
    torch.testing.assert_close(back.affine, source.affine)
    torch.testing.assert_close(back.as_tensor(), source.as_tensor(), atol=0.02, rtol=0)  # twice linear interpolation


def pair(folder: Path, spacing: tuple[float, float, float] = (2.0, 2.0, 5.0)) -> dict[str, MetaTensor]:
    """An image of 2×2×5 mm and a label of another spacing, read from files."""
    for name, sizes in (("mr", (2.0, 2.0, 5.0)), ("ct", spacing)):
        written = nibabel.Nifti1Image(np.zeros((8, 9, 4), np.float32), np.diag([*sizes, 1.0]))
        nibabel.save(written, folder / f"{name}.nii")
    load = LoadImage(image_only=True, ensure_channel_first=True)
    return {"image": load(folder / "mr.nii"), "label": load(folder / "ct.nii")}


def test_images_read_on_one_grid_pass_whatever_was_done_to_them_since(tmp_path: Path) -> None:
    sample = SpacingWithinToleranced("image", pixdim=(1.0, 1.0, -1.0))(pair(tmp_path))
    assert SameGridd(["image", "label", "mask"])(sample).keys() == sample.keys()


def test_images_read_on_two_grids_are_refused_by_their_files_and_what_differs(tmp_path: Path) -> None:
    sample = pair(tmp_path, spacing=(2.0, 2.5, 5.0))
    with pytest.raises(
        InputError, match=r"mr\.nii: found another grid than .*ct\.nii: spacing 2×2×5 against 2×2\.5×5 mm"
    ):
        SameGridd(["image", "label"])(sample)


def test_images_without_a_position_are_not_compared() -> None:
    SameGridd(["image", "label"])({"image": torch.zeros(1, 8, 8, 1), "label": volume()})
