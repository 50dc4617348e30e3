"""Measures within the window, and the radiograph on the grid of the CT."""

from __future__ import annotations

import math

import pytest
import torch
from monai.data import MetaTensor
from xray2ctpa_bundle.evaluation import OnGridd, WindowedCTSimilarity

from tests.bundles.chest_xray_ctpa_translation.chests import FIELD_OF_VIEW, affine, anatomy, chest
from transmodal.errors import InputError
from transmodal.metrics import CTSimilarity, structural_similarity

WINDOW = (-200.0, 500.0)


def test_what_the_window_cannot_show_costs_in_hu_but_not_within_the_window() -> None:
    ct = anatomy(1)
    scores = WindowedCTSimilarity(WINDOW)(ct.clamp(*WINDOW), ct, torch.ones_like(ct))
    assert scores["mae"] > 100
    assert scores["window_mae"] == 0
    assert scores["window_ssim"] == pytest.approx(1)


def test_the_window_is_the_range_of_psnr_and_ssim() -> None:
    ct, mask = anatomy(1).clamp(-150, 400), torch.ones(1, 8, 16, 16)
    scores = WindowedCTSimilarity(WINDOW)(ct + 7, ct, mask)
    assert scores["window_mae"] == pytest.approx(7, abs=1e-4)
    assert scores["window_psnr"] == pytest.approx(20 * math.log10(700 / 7), abs=1e-4)
    assert scores["window_ssim"] == pytest.approx(structural_similarity(ct + 7, ct, mask, WINDOW))


def test_the_first_measures_are_those_of_every_ct() -> None:
    ct = anatomy(1)
    mask = (ct > -950).float()
    scores, expected = WindowedCTSimilarity(WINDOW)(ct + 30, ct, mask), CTSimilarity()(ct + 30, ct, mask)
    assert {name: scores[name] for name in expected} == pytest.approx(expected, nan_ok=True)
    assert list(scores) == list(WindowedCTSimilarity.measures)


def test_a_region_takes_the_place_of_the_body() -> None:
    ct, region = anatomy(1), torch.zeros(1, 8, 16, 16)
    region[:, 2:6, 6:10, 6:10] = 1
    pred = ct.clamp(*WINDOW) + 50 * region
    scores = WindowedCTSimilarity([-1000, 600])(pred, ct.clamp(*WINDOW), torch.ones_like(ct), region)
    assert scores["window_mae"] == pytest.approx(50, abs=1e-4)


def test_of_an_empty_body_everything_is_undefined() -> None:
    ct = anatomy(1)
    scores = WindowedCTSimilarity(WINDOW)(ct, ct, torch.zeros_like(ct))
    assert list(scores) == list(WindowedCTSimilarity.measures)
    assert all(math.isnan(value) for value in scores.values())


def test_the_protocol_is_named_with_its_window() -> None:
    assert WindowedCTSimilarity(WINDOW).name.endswith("window_: both clipped to [-200, 500] HU, their range")


@pytest.mark.parametrize("window", [[500, -200], [0], "[-1000, 600]"])
def test_a_window_is_lowest_and_highest(window: object) -> None:
    with pytest.raises(InputError, match=r"WindowedCTSimilarity, window: found .* wanted lowest and highest HU"):
        WindowedCTSimilarity(window)  # type: ignore[arg-type]


def test_the_radiograph_lies_in_the_volume_at_every_depth_with_the_head_up() -> None:
    sample = chest("a", 1)
    picture = torch.full((1, 16, 16), -1.0)
    picture[:, :4, 8:] = 1.0  # next to the head, patient's left
    source = OnGridd(field_of_view=FIELD_OF_VIEW)({**sample, "image": picture})["source"]
    assert source.shape == sample["label"].shape
    assert torch.equal(source.affine, affine())
    torch.testing.assert_close(source[:, :, 0], source[:, :, -1])
    assert float(source[0, -1, 5, 12]) == 1  # the last frame is next to the head
    assert float(source[0, -1, 5, 2]) == -1
    assert float(source[0, 0, 5, 12]) == pytest.approx(-1)


def test_the_radiograph_is_as_high_as_the_volume_is_wide() -> None:
    picture = torch.linspace(-1, 1, 96)[:, None].expand(1, 96, 16)  # 4 mm a row, rising to the feet
    source = OnGridd(field_of_view=FIELD_OF_VIEW)({**chest("a", 1), "image": picture})["source"]
    # frames of 40 mm about the middle of 384 mm: the lowest middle is 140 mm below, of 190 mm to the last row's
    assert float(source[0, 0, 5, 5]) == pytest.approx(140 / 190, abs=1e-3)
    assert float(source[0, -1, 5, 5]) == pytest.approx(-140 / 190, abs=1e-3)


def test_a_case_without_a_ct_has_nothing_to_be_laid_into() -> None:
    assert list(OnGridd()({"image": MetaTensor(torch.zeros(1, 4, 4))})) == ["image"]
