"""What stands in for the target, where lesions are found, and how they are scored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from torch import Tensor, nn

from downstream.data import Subject
from downstream.scoring import score, segment, targets_of
from downstream.training import Recipe, Segmenter

RECIPE = Recipe(target="flair", sources=("t1",), pixdim=(-1.0, -1.0, -1.0), batch_size=3)
LAS = torch.diag(torch.tensor([-2.0, 1.5, 3.0, 1.0], dtype=torch.float64))  # 9 mm³


class Reading(nn.Module):
    """Finds a lesion wherever one channel is bright."""

    def __init__(self, channel: int) -> None:
        super().__init__()
        self.channel = channel

    def forward(self, image: Tensor) -> Tensor:
        return 100 * image[:, self.channel : self.channel + 1]


def invented(**changes: Any) -> Subject:
    """Random images on 20 × 18 × 4 voxels; the body is the front half."""
    generator = torch.Generator().manual_seed(0)
    flair, t1, other = (MetaTensor(2 * torch.rand(1, 20, 18, 4, generator=generator) - 1, affine=LAS) for _ in "abc")
    body = torch.zeros(1, 20, 18, 4, dtype=torch.bool)
    body[:, :, :9] = True
    subject = Subject("case", {"flair": flair, "t1": t1}, {"model": other}, body, body & (flair.as_tensor() > 0))
    return replace(subject, **changes)


def found(subject: Subject, channel: int = 0, mean: float = 0.25) -> dict[str, Tensor]:
    return segment(Segmenter(Reading(channel), RECIPE, mean), subject)


def test_a_missing_target_is_its_training_mean_inside_the_body_and_background_outside() -> None:
    subject = invented()
    targets = targets_of(subject, "flair", 0.25)
    assert list(targets) == ["real", "model", "missing"]
    assert targets["real"] is subject.contrasts["flair"]
    assert targets["model"] is subject.synthetic["model"]
    missing = targets["missing"].as_tensor()
    assert set(missing[subject.body].tolist()) == {0.25}
    assert set(missing[~subject.body].tolist()) == {-1.0}


def test_each_target_takes_the_first_channel_and_lesions_come_back_on_the_native_grid() -> None:
    subject = invented()
    masks = found(subject)
    assert torch.equal(masks["real"], subject.body & (subject.contrasts["flair"].as_tensor() > 0))
    assert torch.equal(masks["model"], subject.body & (subject.synthetic["model"].as_tensor() > 0))


def test_sources_stay_whatever_the_target() -> None:
    subject = invented()
    expected = subject.body & (subject.contrasts["t1"].as_tensor() > 0)
    assert all(torch.equal(mask, expected) for mask in found(subject, channel=1).values())


def test_nothing_is_found_outside_the_body() -> None:
    subject = invented()
    assert torch.equal(found(subject, mean=1.0)["missing"], subject.body)


def test_the_working_spacing_is_undone_with_the_boundary_between_its_voxels() -> None:
    subject = invented()
    ramp = (8.4 - torch.arange(20.0)) / 1000  # falls through 0 within the fifth pair of voxels
    ramp = ramp[None, :, None, None].expand(1, 20, 18, 4)
    subject = replace(subject, contrasts={**subject.contrasts, "flair": MetaTensor(ramp, affine=LAS)})
    recipe = replace(RECIPE, pixdim=(4.0, 3.0, -1.0))
    mask = segment(Segmenter(Reading(0), recipe, 0.0), subject)["real"]
    assert torch.equal(mask, subject.body & (ramp > 0))


def test_a_perfect_copy_is_segmented_exactly_as_the_real_target() -> None:
    subject = invented()
    subject = replace(subject, synthetic={"copy": subject.contrasts["flair"].clone()})
    real, copy, _ = score(subject, found(subject))
    assert copy.dice == real.dice == 1


def test_a_target_that_tells_nothing_scores_as_the_missing_one() -> None:
    subject = invented()
    flat = targets_of(subject, "flair", 0.25)["missing"]
    real, empty, missing = score(subject, found(replace(subject, synthetic={"flat": flat})))
    assert empty.dice == missing.dice < real.dice


def mask(*places: int) -> Tensor:
    filled = torch.zeros(1, 20, 18, 4, dtype=torch.bool)
    filled[0, list(places), 0, 0] = True
    return filled


@pytest.mark.parametrize(
    ("true", "predicted", "dice"),
    [
        ((1, 2), (2,), 2 / 3),  # 2 · 1 / (2 + 1)
        ((1, 2), (3,), 0),
        ((1, 2), (), 0),
        ((), (), 1),
        ((), (3,), 0),
    ],
)
def test_dice_is_the_overlap_and_defined_without_lesion(true: tuple, predicted: tuple, dice: float) -> None:
    (result,) = score(invented(lesion=mask(*true)), {"real": mask(*predicted)})
    assert result.dice == pytest.approx(dice)


def test_volumes_are_in_millilitres() -> None:
    (result,) = score(invented(lesion=mask(1, 2, 3)), {"real": mask(2)})
    assert result.true_lesion_ml == pytest.approx(3 * 9 / 1000)
    assert result.lesion_ml == pytest.approx(9 / 1000)
