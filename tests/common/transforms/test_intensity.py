"""Intensity scales: both directions, clipping, bounds that travel, errors."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from transmodal import InputError
from transmodal.transforms import (
    HounsfieldWindow,
    IntensityWindow,
    RestoreModalityd,
    RobustPercentiles,
    ScaleModalityd,
    SplitDeviationd,
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
    with pytest.raises(ValueError, match="low < high"):
        HounsfieldWindow(100, 100)


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


def test_a_prediction_is_restored_by_the_target_and_not_by_the_source() -> None:
    restored = RestoreModalityd("pred", "ct", INTENSITY)({"pred": torch.zeros(1, 2, 2)})["pred"]
    assert restored.unique().tolist() == [500]


def test_a_prediction_that_is_not_finite_is_refused() -> None:
    pred = torch.tensor([[[0.0, float("nan")]]])
    with pytest.raises(InputError, match=r"the pred of case p7: found 1 values that are not finite"):
        RestoreModalityd("pred", "ct", INTENSITY)({"pred": pred, "case": "p7"})


def test_an_unknown_modality_is_named() -> None:
    with pytest.raises(InputError, match=r"no scale for the modality 'pet'; wanted one of 'ct', 'mr'"):
        RestoreModalityd("pred", "pet", INTENSITY)


@pytest.mark.parametrize(("modality", "half_width"), [("ct", 1500.0), ("mr", 500.0)])
def test_a_deviation_becomes_a_width_in_physical_units(modality: str, half_width: float) -> None:
    pred = torch.stack([torch.tensor([[-1.0, 0.0], [0.5, 1.0]]), torch.tensor([[0.0, 0.1], [0.25, 2.0]])])
    sample = SplitDeviationd(modality=modality, intensity=INTENSITY)({"pred": pred})
    assert torch.equal(sample["pred"], pred[:1])
    assert sample["pred_std"].dtype == torch.float32
    torch.testing.assert_close(sample["pred_std"], half_width * pred[1:])


def test_a_deviation_is_never_below_zero() -> None:
    pred = torch.tensor([0.3, -0.001])[:, None, None]
    assert SplitDeviationd(modality="ct", intensity=INTENSITY)({"pred": pred})["pred_std"].tolist() == [[[0.0]]]


def test_every_channel_of_an_image_has_its_deviation() -> None:
    pred = torch.arange(4.0)[:, None, None] / 4
    sample = SplitDeviationd("x", "spread", modality="mr", intensity=INTENSITY)({"x": pred})
    assert sample["x"].flatten().tolist() == [0.0, 0.25]
    assert sample["spread"].flatten().tolist() == [250.0, 375.0]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_prediction_without_deviation_stays_as_it_is(channels: int) -> None:
    pred = torch.rand(channels, 2, 2)
    sample = SplitDeviationd(modality="ct", intensity=INTENSITY)({"pred": pred})
    assert list(sample) == ["pred"]
    assert sample["pred"] is pred


def test_mean_and_deviation_keep_the_grid_each_for_itself() -> None:
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    pred = MetaTensor(torch.rand(2, 3, 3, 3), affine=affine, meta={"case": "p7"})
    sample = SplitDeviationd(modality="ct", intensity=INTENSITY)({"pred": pred})
    for key in ("pred", "pred_std"):
        assert sample[key].shape == (1, 3, 3, 3)
        assert torch.equal(sample[key].affine, affine)
    sample["pred"].meta["case"] = "changed"
    assert sample["pred_std"].meta["case"] == "p7"


def test_a_deviation_asks_for_a_file_beside_that_of_its_mean() -> None:
    sample = SplitDeviationd(modality="ct", intensity=INTENSITY)({"pred": MetaTensor(torch.rand(2, 3, 3, 3))})
    assert sample["pred_std"].meta["suffix"] == "_std"
    assert "suffix" not in sample["pred"].meta


def test_a_split_mean_is_restored_to_physical_units() -> None:
    sample = SplitDeviationd(modality="ct", intensity=INTENSITY)({"pred": torch.zeros(2, 2, 2)})
    restored = RestoreModalityd("pred", "ct", INTENSITY)(sample)
    assert restored["pred"].dtype == torch.int16
    assert restored["pred"].unique().tolist() == [500]
