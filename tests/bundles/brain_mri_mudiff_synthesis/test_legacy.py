"""The published grid: which slices, what size, and the way back to the grid of the scanner."""

from __future__ import annotations

import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch
from monai.transforms import Compose, Invertd, Orientationd
from mudiff_bundle.legacy import MiddleSlicesd

from transmodal.transforms import RestoreModalityd, RobustPercentiles, SplitDeviationd

INTENSITY = {"mr": RobustPercentiles()}


def volume(*shape: int, channels: int = 1) -> MetaTensor:
    """A smooth field in [-1, 1], channel by channel another, in LPS order with a shifted origin."""
    grids = torch.meshgrid(*(torch.linspace(-1, 1, size) for size in shape), indexing="ij")
    field = torch.stack([(grids[0] + n * grids[1] - grids[2]) / (n + 2) for n in range(channels)])
    affine = torch.diag(torch.tensor([-2.0, -3.0, 4.0, 1.0], dtype=torch.float64))
    affine[:3, 3] = torch.tensor([31.0, -7.5, 100.0])
    return MetaTensor(field, affine=affine, meta={"case": "p7"})


def numbered(depth: int) -> MetaTensor:
    """Slices (4, 4) whose every value is their number."""
    return MetaTensor(torch.arange(float(depth)).expand(1, 4, 4, depth).clone())


def there_and_back(image: MetaTensor, transform: Compose, pred: MetaTensor | None = None) -> MetaTensor:
    sample = transform({"image": image})
    sample["pred"] = MetaTensor(sample["image"].as_tensor().clone()) if pred is None else pred
    return Invertd("pred", transform=transform, orig_keys="image", nearest_interp=False)(sample)["pred"]


@pytest.mark.parametrize(("depth", "count", "first"), [(155, 80, 37), (90, 80, 5), (10, 5, 2), (9, 4, 2), (5, 5, 0)])
def test_the_middle_slices_are_kept(depth: int, count: int, first: int) -> None:
    kept = MiddleSlicesd("image", slices=count, size=(4, 4))({"image": numbered(depth)})["image"]
    assert kept[0, 1, 1].tolist() == list(range(first, first + count))


def test_a_volume_of_fewer_slices_keeps_all() -> None:
    kept = MiddleSlicesd("image", slices=80, size=(4, 4))({"image": numbered(12)})["image"]
    assert kept[0, 1, 1].tolist() == list(range(12))


@pytest.mark.parametrize(("axis", "shape"), [(0, (5, 16, 12)), (1, (16, 5, 12)), (2, (16, 12, 5))])
def test_slices_along_any_axis_get_the_size(axis: int, shape: tuple[int, ...]) -> None:
    image = volume(10, 11, 12, channels=3)
    transform = Compose([MiddleSlicesd("image", slices=5, size=(16, 12), axis=axis)])
    assert tuple(transform({"image": image})["image"].shape) == (3, *shape)
    assert there_and_back(image, transform).shape == image.shape


def test_channels_are_stretched_each_for_itself() -> None:
    image = volume(10, 11, 6, channels=2)
    transform = MiddleSlicesd("image", slices=4, size=(16, 16))
    both = transform({"image": image})["image"]
    alone = transform({"image": MetaTensor(image.as_tensor()[1:])})["image"]
    assert torch.equal(both[1], alone[0])


def test_the_affine_follows_the_centres_of_the_voxels() -> None:
    image = volume(10, 20, 9)
    result = MiddleSlicesd("image", slices=4, size=(20, 10))({"image": image})["image"]
    assert result.pixdim.tolist() == [1.0, 6.0, 4.0]
    middle = torch.tensor([4.5, 9.5, 3.5, 1.0], dtype=torch.float64)  # of the four kept slices, 2 to 5
    middle_there = torch.tensor([9.5, 4.5, 1.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(result.affine @ middle_there, image.affine @ middle)


@pytest.mark.parametrize("size", [(24, 24), (8, 9)])
def test_a_prediction_returns_to_the_grid_of_the_source(size: tuple[int, int]) -> None:
    image = volume(14, 13, 12, channels=2)
    chain = Compose(
        [Orientationd("image", axcodes="RAS", labels=None), MiddleSlicesd("image", slices=6, size=size, background=0)]
    )
    back = there_and_back(image.clone(), chain)
    assert back.shape == image.shape
    torch.testing.assert_close(back.affine, image.affine)
    inner = (slice(None), slice(3, -3), slice(3, -3), slice(3, 9))
    torch.testing.assert_close(back.as_tensor()[inner], image.as_tensor()[inner], atol=0.03, rtol=0)


def test_slices_that_were_left_out_return_as_background() -> None:
    transform = Compose([MiddleSlicesd("image", slices=4, size=(8, 8))])
    back = there_and_back(volume(6, 6, 9), transform, pred=MetaTensor(torch.ones(1, 8, 8, 4)))
    assert back[0, 2, 2].tolist() == [-1, -1, 1, 1, 1, 1, -1, -1, -1]


def test_slices_that_were_left_out_are_zero_in_physical_units_and_known_to_half_the_scale_only() -> None:
    transform = Compose([MiddleSlicesd("image", slices=4, size=(8, 8))])
    pred = MetaTensor(torch.stack([torch.ones(8, 8, 4), torch.full((8, 8, 4), 0.5)]))
    sample = {"pred": there_and_back(volume(6, 6, 9), transform, pred)}
    sample = SplitDeviationd("pred", modality="mr", intensity=INTENSITY)(sample)
    sample = RestoreModalityd("pred", modality="mr", intensity=INTENSITY)(sample)
    assert sample["pred"][0, 2, 2].tolist() == [0, 0, 1000, 1000, 1000, 1000, 0, 0, 0]
    assert sample["pred_std"][0, 2, 2].tolist() == [500, 500, 250, 250, 250, 250, 500, 500, 500]


def test_beyond_the_edge_of_a_slice_lies_background() -> None:
    """A corner of twice as many pixels lies a quarter of a pixel outside along both axes: 9/16 of it is the image."""
    image = torch.ones(1, 4, 4, 1)
    image[0, 2, 2] = -1
    result = MiddleSlicesd("image", slices=1, size=(8, 8))({"image": MetaTensor(image)})["image"]
    assert float(result[0, 0, 0, 0]) == pytest.approx(9 / 16 - 7 / 16)


def test_a_mask_stays_a_mask() -> None:
    mask = MetaTensor(torch.zeros(1, 10, 10, 6, dtype=torch.uint8))
    mask[:, 2:7, 3:8] = 1
    transform = Compose([MiddleSlicesd(["image", "body_image"], slices=4, size=(20, 20))])
    sample = transform({"image": volume(10, 10, 6), "body_image": mask})
    found = sample["body_image"]
    assert found.dtype == torch.uint8
    assert torch.equal(found[0, ..., 0] > 0, (mask[0, ..., 0] > 0).repeat_interleave(2, 0).repeat_interleave(2, 1))
    back = transform.inverse(sample)["body_image"]
    assert back.dtype == torch.uint8
    assert torch.equal(back[..., 1:5].as_tensor(), mask[..., 1:5].as_tensor())
    assert int(back[..., 0].max()) == 0


def test_a_batch_returns_too() -> None:
    transform = Compose([MiddleSlicesd("image", slices=4, size=(8, 8))])
    samples = [{"image": volume(6, 6, 9)}, {"image": volume(6, 6, 7)}]
    (batch,) = DataLoader(Dataset(samples, transform), batch_size=2)
    batch["pred"] = batch["image"].clone()
    invert = Invertd("pred", transform=transform, orig_keys="image", nearest_interp=False)
    assert [tuple(invert(each)["pred"].shape) for each in decollate_batch(batch)] == [(1, 6, 6, 9), (1, 6, 6, 7)]


@pytest.mark.parametrize("arguments", [{"slices": 0}, {"size": (256,)}, {"size": (256, 0)}])
def test_impossible_grids_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="wanted slices > 0 and a size of two positive numbers"):
        MiddleSlicesd("image", **arguments)
