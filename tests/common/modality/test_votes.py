"""Slices vote, and the verdict is the mean's if it is sure and most of them agree."""

from __future__ import annotations

import pytest
import torch

from transmodal.errors import InputError
from transmodal.modality import SliceVotes, decide
from transmodal.networks.nets import CalibratedClassifier, SliceClassifier


def scores(*ct: float, threshold: float = 0.8) -> torch.Tensor:
    return torch.tensor([[p, 1 - p, threshold] for p in ct])


def test_sure_slices_that_agree_decide() -> None:
    verdict = decide(scores(0.02, 0.1))
    assert (verdict.modality, verdict.by) == ("mr", "network")
    assert verdict.probability == pytest.approx(0.94)
    assert verdict.reason == "100% of 2 slices look like MR"


def test_a_mean_below_the_threshold_is_no_answer() -> None:
    verdict = decide(scores(0.7, 0.8))
    assert verdict.modality is None
    assert verdict.probability == pytest.approx(0.75)
    assert "CT over 2 slices is not probable enough (0.75, wanted 0.80)" in verdict.reason


def test_the_threshold_is_that_of_the_scores() -> None:
    assert decide(scores(0.7, threshold=0.6)).modality == "ct"


def test_slices_that_disagree_are_no_answer_however_sure_the_mean() -> None:
    verdict = decide(scores(1, 1, 1, 1, 0.4, 0.4, threshold=0.7), agreement=0.75)
    assert verdict.modality is None
    assert "67% of 6 slices look like CT" in verdict.reason


def test_an_image_that_shows_nothing_is_no_answer() -> None:
    assert decide(torch.zeros((0, 3))).modality is None


def network() -> CalibratedClassifier:
    return CalibratedClassifier(SliceClassifier(channels=(8,), blocks=(1,)), temperature=2.0, threshold=0.7).eval()


def test_each_informative_slice_has_a_row_of_scores() -> None:
    image = torch.rand((1, 1, 12, 10, 5))
    image[..., 0] = 0
    votes = SliceVotes(size=16)(image, network())
    assert votes.shape == (1, 4, 3)
    torch.testing.assert_close(votes[..., :2].sum(dim=2), torch.ones(1, 4))
    torch.testing.assert_close(votes[..., 2], torch.full((1, 4), 0.7))


def test_logits_are_given_for_calibration() -> None:
    image, classifier = torch.rand((1, 1, 12, 10, 5)), network()
    logits = SliceVotes(size=16, calibrated=False)(image, classifier)
    torch.testing.assert_close(classifier.scores(logits[0]), SliceVotes(size=16)(image, classifier)[0])


@pytest.mark.parametrize("calibrated", [True, False])
def test_an_empty_image_has_no_rows(calibrated: bool) -> None:
    votes = SliceVotes(size=16, calibrated=calibrated)(torch.zeros((1, 1, 12, 10, 5)), network())
    assert votes.shape == (1, 0, 2 + calibrated)


def test_several_images_at_once_are_refused() -> None:
    with pytest.raises(InputError, match="a batch of 2 images"):
        SliceVotes()(torch.rand((2, 1, 12, 10, 5)), network())
