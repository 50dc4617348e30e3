"""Intensity scales: both directions, clipping, bounds that travel, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch

from transmodal import InputError
from transmodal.transforms import (
    HounsfieldWindow,
    IntensityWindow,
    NonzeroPercentiles,
    RobustPercentiles,
    ScaleModalityd,
)

INTENSITY = {"ct": HounsfieldWindow(-1000, 2000), "mr": RobustPercentiles(0, 100, scale=1000)}


def test_hounsfield_window_maps_its_bounds_to_minus_one_and_one_and_clips() -> None:
    hu = torch.tensor([-3000.0, -1000.0, 500.0, 2000.0, 3071.0])
    torch.testing.assert_close(INTENSITY["ct"].scale(hu), torch.tensor([-1.0, -1.0, 0.0, 1.0, 1.0]))


def test_hounsfield_window_restores_whole_hu() -> None:
    hu = torch.tensor([-1000.0, -731.0, 40.0, 1999.0, 2000.0])
    restored = INTENSITY["ct"].restore(INTENSITY["ct"].scale(hu))
    assert restored.dtype == torch.int16
    assert restored.tolist() == hu.tolist()


def test_hounsfield_window_refuses_an_empty_window() -> None:
    with pytest.raises(
        InputError, match="HounsfieldWindow, low and high: found low 100 and high 100 HU; wanted low < high"
    ):
        HounsfieldWindow(100, 100)


@pytest.mark.parametrize("values", [(-1, 50, 1000), (60, 50, 1000), (0, 101, 1000), (0, 100, 0)])
def test_percentiles_and_scales_out_of_range_are_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match=r"RobustPercentiles, lower, upper and scale: found .*; wanted 0 <= lower"):
        RobustPercentiles(*values)


def test_a_window_of_normalised_images_restores_them_in_float32() -> None:
    image = torch.tensor([0.0, 0.123, 1.0])
    restored = IntensityWindow().restore(IntensityWindow().scale(image))
    assert restored.dtype == torch.float32
    torch.testing.assert_close(restored, image)


def test_a_window_clips_what_lies_outside() -> None:
    values = torch.tensor([-0.05, 0.0, 0.5, 1.0, 1.2])
    assert IntensityWindow(low=0, high=1).scale(values).tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]


def test_a_window_of_8_bit_pictures_may_restore_whole_numbers() -> None:
    window, image = IntensityWindow(0, 255, units="grey", dtype=torch.uint8), torch.arange(256.0)
    restored = window.restore(window.scale(image))
    assert (window.units, restored.dtype) == ("grey", torch.uint8)
    assert restored.tolist() == image.tolist()


def test_hounsfield_window_is_a_window_in_hu() -> None:
    window = HounsfieldWindow()
    assert isinstance(window, IntensityWindow)
    assert (window.low, window.high, window.units, window.dtype) == (-1000.0, 2000.0, "HU", torch.int16)


def test_a_window_refuses_a_data_type_given_as_text() -> None:
    with pytest.raises(InputError, match="IntensityWindow, dtype: found 'float32'; wanted a data type of torch"):
        IntensityWindow(dtype="float32")  # type: ignore[arg-type]


def test_percentiles_are_taken_inside_the_mask_only() -> None:
    image = torch.cat([torch.zeros(100), torch.arange(1, 102.0)])[None]
    mask = (image > 0).to(torch.uint8)
    assert RobustPercentiles(10, 90).bounds(image, mask) == pytest.approx((11.0, 91.0))  # of 1..101, by linear ranks


def test_percentiles_equal_numpy_on_an_odd_length() -> None:
    values = torch.randn(1, 4, 5, 7)
    expected = tuple(torch.quantile(values.flatten(), torch.tensor([0.005, 0.995])).tolist())
    assert RobustPercentiles(0.5, 99.5).bounds(values) == pytest.approx(expected, rel=1e-5)


def test_percentiles_restore_their_own_volume_by_its_bounds() -> None:
    scale = RobustPercentiles(0, 100)
    image = torch.rand(1, 6, 6, 6) * 700 + 3
    torch.testing.assert_close(scale.restore(scale.scale(image), scale.bounds(image)), image, atol=1e-3, rtol=0)


def test_a_synthetic_mr_is_written_on_the_documented_scale() -> None:
    torch.testing.assert_close(RobustPercentiles().restore(torch.tensor([-1.0, 0, 1])), torch.tensor([0.0, 500, 1000]))


def test_binary_image_falls_back_to_its_full_range() -> None:
    image = torch.zeros(1, 40, 40, 40)
    image[0, 0, 0, 0] = 5
    assert RobustPercentiles().bounds(image) == (0.0, 5.0)


def test_bounds_travel_with_the_sample() -> None:
    image = MetaTensor(torch.tensor([[[0.0, 10.0], [20.0, 40.0]]]))
    sample = ScaleModalityd("image", "mr", INTENSITY)({"image": image})
    assert sample["image"].meta["intensity_bounds"] == [0.0, 40.0]
    assert sample["image"].as_tensor().tolist() == [[[-1.0, -0.5], [0.0, 1.0]]]


def test_scaling_uses_the_body_mask_of_the_same_key() -> None:
    image = torch.tensor([[[-50.0, 10.0], [20.0, 40.0]]])
    body = torch.tensor([[[0, 1], [1, 1]]])
    sample = ScaleModalityd("image", "mr", INTENSITY)({"image": image, "body_image": body})
    assert sample["image"].min() == -1  # clipped: the lowest value inside the body is 10
    assert float(sample["image"][0, 1, 0]) == pytest.approx(2 * 10 / 30 - 1)


def test_a_sample_may_name_its_own_modality() -> None:
    sample = {"image": torch.full((1, 2, 2), 500.0), "modality": "ct"}
    assert ScaleModalityd("image", "mr", INTENSITY)(sample)["image"].unique().tolist() == [0.0]


def test_an_unknown_modality_is_named() -> None:
    with pytest.raises(InputError, match=r"no scale for the modality 'pet'; wanted one of 'ct', 'mr'"):
        ScaleModalityd("image", ["mr", "pet"], INTENSITY)


def test_each_channel_is_scaled_by_its_own_modality_and_bounds() -> None:
    image = MetaTensor(torch.stack([torch.tensor([[0.0, 30.0, 40.0]]), torch.tensor([[-1000.0, 500.0, 3000.0]])]))
    scaled = ScaleModalityd("image", ["mr", "ct"], INTENSITY)({"image": image.clone()})["image"]
    assert scaled.as_tensor().tolist() == [[[-1.0, 0.5, 1.0]], [[-1.0, 0.0, 1.0]]]
    assert scaled.meta["intensity_bounds"] == [[0.0, 40.0], [-1000.0, 2000.0]]


def test_each_channel_equals_its_image_alone() -> None:
    t1, t2 = torch.rand(1, 5, 6, 4), 700 * torch.rand(1, 5, 6, 4)
    body = (torch.rand(1, 5, 6, 4) > 0.3).to(torch.uint8)
    scale = {"t1": RobustPercentiles(5, 95), "t2": RobustPercentiles(0, 90)}
    both = ScaleModalityd("image", ["t1", "t2"], scale)({"image": torch.cat([t1, t2]), "body_image": body})["image"]
    for channel, (name, image) in enumerate({"t1": t1, "t2": t2}.items()):
        alone = ScaleModalityd("image", name, scale)({"image": image, "body_image": body})["image"]
        assert torch.equal(both[channel], alone[0])


def test_scaling_channels_leaves_the_image_that_was_read_as_it_was() -> None:
    image = torch.rand(2, 3, 3)
    before = image.clone()
    ScaleModalityd("image", ["mr", "mr"], INTENSITY)({"image": image})
    assert torch.equal(image, before)


def test_a_wrong_number_of_channels_is_refused() -> None:
    with pytest.raises(InputError, match=r"the image of case p7: found 1 channels; wanted 2: mr, ct, in this order"):
        ScaleModalityd("image", ["mr", "ct"], INTENSITY)({"image": torch.rand(1, 3, 3), "case": "p7"})


@pytest.mark.parametrize("names", [["mr", "mr"], "mr"])
def test_bounds_survive_batching(names: str | list[str]) -> None:
    samples = [{"image": MetaTensor(torch.rand(2, 4, 4) * factor)} for factor in (1.0, 50.0)]
    transform = ScaleModalityd("image", names, INTENSITY)
    wanted = [transform(dict(sample))["image"].meta["intensity_bounds"] for sample in samples]
    (batch,) = DataLoader(Dataset(samples, transform), batch_size=2)
    found = [sample["image"].meta["intensity_bounds"] for sample in decollate_batch(batch)]
    np.testing.assert_allclose(found, wanted)
    assert wanted[0] != wanted[1]


def test_nonzero_percentiles_leave_out_the_background_and_ignore_the_mask() -> None:
    values = torch.arange(1, 102.0)
    image = torch.cat([torch.zeros(500), values])[None]
    mask = torch.zeros_like(image)
    mask[0, -3:] = 1
    assert NonzeroPercentiles(10, 90).bounds(image, mask) == pytest.approx((11.0, 91.0))


def test_nonzero_percentiles_equal_numpy() -> None:
    image = torch.randn(1, 7, 6, 5)
    expected = np.percentile(image.numpy()[image.numpy() > 0].astype(np.float64), [1, 99])
    assert NonzeroPercentiles().bounds(image) == pytest.approx(tuple(expected), rel=1e-5)


def test_nonzero_percentiles_make_background_and_darkest_tissue_minus_one() -> None:
    scaled = NonzeroPercentiles(10, 90).scale(torch.cat([torch.zeros(50), torch.arange(1, 102.0)]))
    assert scaled[:61].unique().tolist() == [-1.0]
    assert (scaled[61], scaled[-11:].min()) == (pytest.approx(2 / 80 - 1), 1.0)


def test_nonzero_percentiles_of_a_binary_image_keep_its_background() -> None:
    assert NonzeroPercentiles().bounds(torch.tensor([0.0, 5.0, 5.0])) == (0.0, 5.0)


def test_an_image_without_positive_voxels_is_named() -> None:
    transform = ScaleModalityd("image", ["ct", "mr"], INTENSITY | {"mr": NonzeroPercentiles()})
    image = torch.stack([torch.rand(3, 3), torch.zeros(3, 3)])
    with pytest.raises(InputError, match=r"the image of case p7 \(mr\): found no voxel above 0"):
        transform({"image": image, "case": "p7"})
