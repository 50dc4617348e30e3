"""Lesion Dice on the native grid with the real target, with synthetic ones in its place, and without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from monai.data import MetaTensor
from monai.inferers import SimpleInferer
from monai.metrics import compute_dice
from monai.transforms import Invertd
from torch import Tensor

from downstream.data import Subject, stacked, working_grid
from downstream.training import Segmenter
from transmodal.inferers import SliceWiseInferer

REAL, MISSING = "real", "missing"


@dataclass(frozen=True)
class Score:
    """What the segmenter finds in one case with one target: Dice with the true lesion, and volumes in ml."""

    case: str
    method: str
    dice: float
    lesion_ml: float
    true_lesion_ml: float


def targets_of(subject: Subject, target: str, mean: float) -> dict[str, MetaTensor]:
    """What stands in the target's channel, by method: real, each synthetic, and the training mean in the body."""
    real = subject.contrasts[target]
    missing = torch.where(subject.body, mean, -1.0)
    return {REAL: real, **subject.synthetic, MISSING: MetaTensor(missing, affine=real.affine)}


def segment(segmenter: Segmenter, subject: Subject) -> dict[str, Tensor]:
    """Lesion masks (1, H, W, D) on the native grid, by method; nothing is found outside the body."""
    recipe = segmenter.recipe
    sources = [subject.contrasts[name] for name in recipe.sources]
    targets = targets_of(subject, recipe.target, segmenter.target_mean)
    return {method: _lesions(segmenter, stacked(target, sources)) & subject.body for method, target in targets.items()}


def _lesions(segmenter: Segmenter, image: MetaTensor) -> Tensor:
    """Voxels (1, H, W, D) of the image's own grid at which the probability, interpolated, exceeds one half."""
    grid = working_grid(segmenter.recipe.pixdim)
    sample = grid({"image": image})
    inferer = SliceWiseInferer(SimpleInferer(), batch_size=segmenter.recipe.batch_size)
    sample["pred"] = inferer(sample["image"][None], segmenter.network)[0].sigmoid()
    back = Invertd("pred", transform=grid, orig_keys="image", nearest_interp=False)
    probability: MetaTensor = back(sample)["pred"]
    return probability.as_tensor() > 0.5


def score(subject: Subject, found: Mapping[str, Tensor]) -> list[Score]:
    """Scores of each method. Without any true lesion voxel Dice is 1 where none is found either, else 0."""
    affine = next(iter(subject.contrasts.values())).affine
    voxel_ml = float(torch.linalg.det(affine[:3, :3].double()).abs()) / 1000
    scores = []
    for method, lesion in found.items():
        dice = compute_dice(lesion[None].float(), subject.lesion[None].float(), ignore_empty=False)
        volumes = (voxel_ml * int(mask.sum()) for mask in (lesion, subject.lesion))
        scores.append(Score(subject.case, method, float(dice), *volumes))
    return scores
