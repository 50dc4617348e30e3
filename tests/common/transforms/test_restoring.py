"""Back to physical units: predictions, their deviations, and the scale of a contrast they were made from."""

from __future__ import annotations

import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch

from transmodal import InputError
from transmodal.transforms import (
    HounsfieldWindow,
    OnScaleOfd,
    RestoreModalityd,
    RobustPercentiles,
    ScaleModalityd,
    SplitDeviationd,
)

INTENSITY = {"ct": HounsfieldWindow(-1000, 2000), "mr": RobustPercentiles(0, 100, scale=1000)}


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


def scaled_contrasts() -> MetaTensor:
    """T2 from 0 to 40 and T1 from 100 to 500, in [-1, 1]."""
    image = MetaTensor(torch.stack([torch.tensor([[0.0, 10.0, 40.0]]), torch.tensor([[100.0, 150.0, 500.0]])]))
    return ScaleModalityd("image", ["mr", "mr"], INTENSITY)({"image": image})["image"]


def on_scale_of(contrast: str | None, **more: str) -> OnScaleOfd:
    return OnScaleOfd("pred", contrast, ["t2", "t1"], modality="mr", intensity=INTENSITY, **more)


def test_a_prediction_takes_over_the_full_scale_of_a_contrast_and_its_background_stays_zero() -> None:
    image = scaled_contrasts()
    sample = {"image": image, "pred": image[1:]}
    sample = on_scale_of("t1")(RestoreModalityd("pred", "mr", INTENSITY)(sample))
    torch.testing.assert_close(sample["pred"].as_tensor(), torch.tensor([[[0.0, 62.5, 500.0]]]))


def test_a_deviation_takes_over_the_same_factor() -> None:
    sample = {
        "image": scaled_contrasts(),
        "pred": torch.zeros(1, 1, 3),
        "pred_std": torch.tensor([[[0.0, 250.0, 1000.0]]]),
    }
    sample = on_scale_of("t1", deviations="pred_std")(sample)
    torch.testing.assert_close(sample["pred_std"], torch.tensor([[[0.0, 125.0, 500.0]]]))


def test_a_deviation_may_be_absent() -> None:
    sample = on_scale_of("t2", deviations="pred_std")({"image": scaled_contrasts(), "pred": torch.ones(1, 1, 3)})
    assert "pred_std" not in sample


def test_without_a_contrast_the_documented_scale_stays() -> None:
    sample = {"pred": torch.rand(1, 1, 3), "pred_std": torch.rand(1, 1, 3)}
    changed = on_scale_of(None, deviations="pred_std")(sample)
    assert changed["pred"] is sample["pred"]
    assert changed["pred_std"] is sample["pred_std"]


def test_the_scale_of_a_contrast_survives_batching_and_metadata_stay() -> None:
    samples = [{"image": scaled_contrasts(), "pred": MetaTensor(torch.full((1, 1, 3), 500.0), meta={"case": "p7"})}] * 2
    (batch,) = DataLoader(Dataset(samples), batch_size=2)
    changed = on_scale_of("t1")(decollate_batch(batch)[1])["pred"]
    assert changed.as_tensor().unique().tolist() == [250.0]
    assert changed.meta["case"] == "p7"


def test_an_unknown_contrast_is_refused() -> None:
    with pytest.raises(InputError, match=r"found 'flair'; wanted null, or one of the contrasts that are read: t2, t1"):
        on_scale_of("flair")


def test_an_image_that_was_not_scaled_by_channel_is_refused() -> None:
    image = ScaleModalityd("image", "mr", INTENSITY)({"image": MetaTensor(torch.rand(2, 1, 3))})["image"]
    with pytest.raises(InputError, match=r"the image of case p7: found intensity bounds .*; wanted bounds of t2, t1"):
        on_scale_of("t1")({"image": image, "pred": torch.ones(1, 1, 3), "case": "p7"})
