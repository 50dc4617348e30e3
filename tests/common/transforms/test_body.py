"""Body masks: threshold, components, holes, and what happens without a background."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from transmodal import InputError
from transmodal.transforms import BodyMask, BodyMaskd


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
