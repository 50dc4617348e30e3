"""SynthRAD measures: definitions on hand-made images, and everything the challenges leave open."""

from __future__ import annotations

import math
import time

import pytest
import torch
from monai.data import MetaTensor
from skimage.metrics import structural_similarity as skimage_ssim
from torch import Tensor

from transmodal.errors import InputError
from transmodal.metrics import (
    PSNR_CEILING,
    SynthRAD2023,
    SynthRAD2025,
    fault_of,
    mean_absolute_error,
    multi_scale_structural_similarity,
    peak_signal_to_noise_ratio,
    structural_similarity,
)

HU = (-1024.0, 3000.0)
PROTOCOLS = [SynthRAD2023(), SynthRAD2025()]


def pair(shape: tuple[int, ...] = (14, 12, 10), noise: float = 60.0) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, target and a mask that leaves the border out."""
    target = 300 * torch.randn(shape, dtype=torch.float64)
    mask = torch.zeros(shape)
    mask[(..., *(slice(1, -1) if side > 2 else slice(None) for side in shape[-3:]))] = 1
    return target + noise * torch.randn(shape, dtype=torch.float64), target, mask


def test_mae_is_unclipped_and_counts_the_mask_only() -> None:
    target, mask = torch.tensor([[[0.0, 0.0, 0.0]]]), torch.tensor([[[255, 255, 0]]])
    assert mean_absolute_error(torch.tensor([[[5000.0, -10.0, 777.0]]]), target, mask) == 2505.0


def test_psnr_clips_to_the_range_whose_width_is_the_peak() -> None:
    pred, target = torch.full((2, 2, 2), 4000.0), torch.full((2, 2, 2), 2990.0)
    # by hand: 4000 is clipped to 3000, so the error is 10 HU, 20 log10(4024 / 10)
    assert peak_signal_to_noise_ratio(pred, target, torch.ones(2, 2, 2), HU) == pytest.approx(52.09315, abs=1e-5)


def test_ssim_is_the_uniform_window_of_scikit_image() -> None:
    pred, target, _ = pair()
    # scikit-image takes the images as they are, so shift them to start at 0 as the protocol does
    shifted = [(image.clamp(*HU) + 1024).numpy() for image in (target, pred)]
    expected = skimage_ssim(*shifted, data_range=4024, win_size=7)
    assert structural_similarity(pred, target, torch.ones(14, 12, 10), HU) == pytest.approx(expected, abs=1e-12)


def test_ms_ssim_of_an_image_with_itself_is_one() -> None:
    _, target, mask = pair()
    assert multi_scale_structural_similarity(target, target, mask, HU) == pytest.approx(1.0, abs=1e-12)


def test_ms_ssim_is_zero_for_the_negative_of_an_image() -> None:
    _, target, mask = pair()
    # anticorrelated windows have a negative structure term, which is clipped at zero before its power is taken
    assert multi_scale_structural_similarity(-10 * target, 10 * target, mask, HU) < 0.05


def test_luminance_at_one_scale_punishes_an_offset_less_than_at_five() -> None:
    _, target, mask = pair()
    challenge, corrected = (SynthRAD2025(corrected=flag)(target + 400, target, mask) for flag in (False, True))
    assert challenge["ms_ssim"] < corrected["ms_ssim"] < 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_values_outside_the_body_change_nothing(protocol: SynthRAD2025) -> None:
    pred, target, mask = pair()
    spoiled = [torch.where(mask > 0, image, torch.nan) for image in (pred, target)]
    assert protocol(*spoiled, mask) == protocol(pred, target, mask)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_perfect_prediction_gets_the_ceiling_instead_of_infinity(protocol: SynthRAD2025) -> None:
    _, target, mask = pair()
    scores = protocol(target, target, mask)
    assert (scores["mae"], scores["psnr"]) == (0.0, PSNR_CEILING)


def test_nothing_beats_a_perfect_prediction_in_psnr() -> None:
    _, target, mask = pair()
    assert peak_signal_to_noise_ratio(target + 1e-6, target, mask, HU) == PSNR_CEILING


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_empty_mask_leaves_every_measure_undefined(protocol: SynthRAD2025) -> None:
    pred, target, mask = pair()
    scores = protocol(pred, target, torch.zeros_like(mask))
    assert scores.keys() == protocol.measures.keys()
    assert all(map(math.isnan, scores.values()))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_non_finite_voxel_in_the_body_leaves_every_measure_undefined(protocol: SynthRAD2025, bad: float) -> None:
    pred, target, mask = pair()
    pred[5, 5, 5] = bad
    assert all(map(math.isnan, protocol(pred, target, mask).values()))


def test_body_that_vanishes_at_a_coarse_scale_leaves_only_ms_ssim_undefined() -> None:
    pred, target, mask = pair((97, 97, 97))
    mask[:] = 0
    mask[49, 49, 49] = 1  # odd indices do not survive taking every other voxel
    scores = SynthRAD2025()(pred, target, mask)
    assert math.isnan(scores["ms_ssim"])
    assert math.isfinite(scores["mae"])
    assert math.isfinite(scores["psnr"])


def test_fault_names_the_empty_mask() -> None:
    pred, target, mask = pair()
    assert fault_of(pred, target, 0 * mask) == "the body mask is empty"


def test_fault_counts_voxels_of_the_image_at_fault() -> None:
    pred, target, mask = pair()
    pred[5, 5, 5:7] = math.nan
    assert fault_of(pred, target, mask) == "the prediction has no finite value at 2 of 960 voxels inside the body"
    assert str(fault_of(target, pred, mask)).startswith("the target has no finite value at 2")


def test_sound_case_has_no_fault() -> None:
    assert fault_of(*pair()) is None


@pytest.mark.parametrize("measure", [structural_similarity, multi_scale_structural_similarity])
def test_picture_scores_as_the_volume_that_repeats_it(measure: type[structural_similarity]) -> None:
    pred, target, mask = pair((20, 18))
    seven = [image[..., None].expand(-1, -1, 7) for image in (pred, target, mask)]
    assert measure(pred, target, mask, HU) == pytest.approx(measure(*seven, HU), abs=1e-12)


@pytest.mark.parametrize("shape", [(1, 20, 18), (20, 18, 1), (1, 20, 18, 1)])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_picture_scores_alike_in_every_layout(protocol: SynthRAD2025, shape: tuple[int, ...]) -> None:
    pred, target, mask = pair((20, 18))
    expected = protocol(pred, target, mask)
    assert protocol(*(image.reshape(shape) for image in (pred, target, mask))) == pytest.approx(expected, abs=1e-12)


def test_thin_volume_counts_all_of_its_slices() -> None:
    pred, target, mask = pair((20, 18, 5))
    mask[:] = 1
    better = pred.clone()
    better[..., 0] = target[..., 0]
    assert structural_similarity(better, target, mask, HU) > structural_similarity(pred, target, mask, HU)


def test_channel_and_metadata_change_nothing() -> None:
    pred, target, mask = pair()
    wrapped = [MetaTensor(image[None]) for image in (pred, target, mask)]
    assert SynthRAD2025()(*wrapped) == SynthRAD2025()(pred, target, mask)


def test_integers_score_as_their_float64_values() -> None:
    pred, target, mask = (image.round() for image in pair())
    assert SynthRAD2025()(pred.short(), target.short(), mask.byte()) == SynthRAD2025()(pred, target, mask)


@pytest.mark.parametrize("shape", [(14, 12, 9), (2, 14, 12, 10)])
def test_other_grids_and_channels_are_refused(shape: tuple[int, ...]) -> None:
    _, target, mask = pair()
    wrong = torch.zeros(shape)
    images = (wrong, wrong, wrong) if len(shape) == 4 else (wrong, target, mask)
    with pytest.raises(InputError, match="wanted three equal shapes"):
        SynthRAD2025()(*images)


def test_name_tells_protocol_range_and_variant() -> None:
    assert SynthRAD2025().name == "SynthRAD2025 [-1024, 3000]"
    assert SynthRAD2025([-1024, 3071], corrected=True).name == "SynthRAD2025 [-1024, 3071], luminance as Wang 2003"


def test_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"low < high, got \[3000, -1024\]"):
        SynthRAD2025((3000, -1024))


def test_flag_as_a_string_is_refused() -> None:
    with pytest.raises(InputError, match="found 'true'; wanted true or false"):
        SynthRAD2025(corrected="true")  # type: ignore[arg-type]


def test_typical_volume_takes_seconds() -> None:
    pred, target, mask = pair((168, 166, 62))
    start = time.process_time()
    SynthRAD2025()(pred, target, mask)
    assert time.process_time() - start < 10
