"""The cases of an evaluation, and the mean Dice by which a training chooses its best weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from ignite.engine import Engine
from ignite.exceptions import NotComputableError
from ignite.metrics import Metric
from monai.data import MetaTensor
from torch import Tensor

from transmodal.errors import InputError
from transmodal.handlers.records import check_grid, gathered, samples_of
from transmodal.metrics import dice
from transmodal.tensors import plain_on_cpu


@dataclass(frozen=True)
class SegmentedCase:
    """One image with its masks on its native grid, plain tensors (1, H, W, D) on the CPU.

    ``modality`` is empty where the record names none, ``raw`` the image as it was read, where it was kept, and
    ``affine`` maps voxel indices to mm in RAS.
    """

    case: str
    modality: str
    pred: Tensor
    label: Tensor
    raw: Tensor | None
    affine: Tensor

    @property
    def spacing(self) -> tuple[float, ...]:
        """Size of a voxel along each axis, in mm."""
        return tuple(self.affine[:3, :3].norm(dim=0).tolist())[: self.label.ndim - 1]


def segmented_cases(engine: Engine, raw: str = "raw") -> list[SegmentedCase]:
    """The cases of the iteration just completed.

    Args:
        engine: an evaluator after an iteration, its output decollated: ``pred`` and ``label`` are masks.
        raw: key of the image as it was read; a case need not have it.
    Raises:
        InputError: if the batch was not decollated, a mask is missing, or the images of a case lie on different grids.
    """
    return [_case(sample, raw) for sample in samples_of(engine)]


def _case(sample: Mapping[str, Any], raw: str) -> SegmentedCase:
    label = sample.get("label")
    case = str(sample.get("case") or getattr(label, "meta", {}).get("case") or "without a name")
    missing = [key for key in ("pred", "label") if sample.get(key) is None]
    if missing:
        raise InputError(
            f"evaluation of case {case}",
            found=f"the keys {', '.join(sorted(map(str, sample)))}",
            wanted=f"also {', '.join(missing)}",
            remedy="put the body into the sample as 'label' (BodyLabeld), before the preprocessing",
        )
    pred, image = sample["pred"], sample.get(raw)
    images = {"prediction": pred, "label": label, **({} if image is None else {"image": image})}
    check_grid(case, images)
    affine = label.affine if isinstance(label, MetaTensor) else torch.eye(4)
    return SegmentedCase(
        case=case,
        modality=str(sample.get("modality") or ""),
        pred=plain_on_cpu(pred),
        label=plain_on_cpu(label),
        raw=None if image is None else plain_on_cpu(image),
        affine=plain_on_cpu(affine).double(),
    )


class BodyDice(Metric):
    """Mean Dice over all images; larger is better, so the evaluator's comparison stays MONAI's own.

    For ``key_val_metric`` of a MONAI evaluator. Every image counts once, CT and MR of a case apart, also where a
    distributed sampler repeats one. An image without body counts 1 if none is found in it and 0 otherwise.
    """

    def __init__(self) -> None:
        self._scores: dict[tuple[str, str], float] = {}
        super().__init__()

    def reset(self) -> None:
        """Forget all images."""
        self._scores = {}

    def iteration_completed(self, engine: Engine) -> None:
        """Take in the images of an iteration."""
        self.update(segmented_cases(engine))

    def update(self, output: list[SegmentedCase]) -> None:
        """Measure some images."""
        for segmented in output:
            self._scores[segmented.case, segmented.modality] = dice(segmented.pred, segmented.label)

    def compute(self) -> float:
        """Mean over the images of all processes.

        Raises:
            NotComputableError: if there were none.
        """
        scores: dict[tuple[str, str], float] = {}
        for share in gathered(self._scores):
            scores.update(share)
        if not scores:
            raise NotComputableError("BodyDice has seen no image; is the validation dataset empty?")
        return sum(scores.values()) / len(scores)
