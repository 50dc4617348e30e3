"""What a translation is to be looked at twice for: an input outside the training, an output that is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from monai.bundle import ConfigWorkflow
from monai.data import MetaTensor
from torch import Tensor

from translating.model import Model
from transmodal.data.layout import MODALITY_OF
from transmodal.metrics import NEARLY_IDENTICAL, similarity_to_input
from transmodal.modality import ModalityClassifier, Verdict
from transmodal.trained_range import Profile, TrainedRange, range_beside
from transmodal.transforms.intensity import restored_bounds

__all__ = ["UNEXAMINED", "UNKNOWN_TRAINING", "Examined", "doubts"]

UNKNOWN_TRAINING = (
    "nothing is known of the images these weights were trained on, so this one was not compared with them"
)
UNEXAMINED = "no network looked at the output"


@dataclass(frozen=True)
class Examined:
    """A case after its translation.

    Args:
        image: the scan, (1, H, W, D), its own units.
        output: its translation on the same grid, physical units.
        mask: body, (H, W, D).
        verdict: what the scan is, and how that was found.
        target: modality of the output.
        model: what made it.
        workflow: its inference, which has run.
        classifier: the network that tells CT from MR.
    """

    image: MetaTensor
    output: MetaTensor
    mask: np.ndarray
    verdict: Verdict
    target: str
    model: Model
    workflow: ConfigWorkflow
    classifier: ModalityClassifier | None


def doubts(case: Examined) -> list[str]:
    """Sentences to show wherever the result is shown."""
    return [*_about_the_modality(case), *_about_the_domain(case), *_about_the_output(case)]


def _about_the_modality(case: Examined) -> Iterator[str]:
    if case.verdict.by == "network":
        sure = "" if case.verdict.probability is None else f", probability {case.verdict.probability:.2f}"
        yield f"that the input is {case.verdict.modality}, only a network says{sure}: neither header nor values tell"


def _about_the_domain(case: Examined) -> Iterator[str]:
    """What lies outside of the training, or that this is not known: it is the training that leaves its range."""
    path = range_beside(case.model.weights)
    if not path.is_file():
        yield UNKNOWN_TRAINING
        return
    if not case.model.has("intensity"):
        yield f"not compared with the images of the training: {case.model.bundle.name} names no scale of intensities"
        return
    parser, modality = case.workflow.parser, str(case.verdict.modality)
    sample = parser.get_parsed_content("dataset")[0]
    scale = parser.get_parsed_content("intensity")[modality]
    axis = parser.get_parsed_content("slice_axis") if case.model.has("slice_axis") else 2
    profile = Profile.of(sample["image"], sample["body_image"], modality, scale, axis=axis)
    yield from (f"unlike the training: {found}" for found in TrainedRange.load(path).warnings(profile))


def _about_the_output(case: Examined) -> Iterator[str]:
    likeness = _similarity(case)
    if likeness >= NEARLY_IDENTICAL:
        yield f"the output is nearly identical to the input (SSIM {likeness:.2f}): was it translated at all?"
    if case.classifier is None:
        yield UNEXAMINED
        return
    said = case.classifier(case.output)
    if said.modality is None:
        yield f"a network cannot tell whether the output is CT or MR: {said.reason}"
    elif said.modality != MODALITY_OF.get(case.target):
        yield f"a network takes the output for {said.modality.upper()}, not {case.target.upper()}: {said.reason}"


def _similarity(case: Examined) -> float:
    """SSIM of output to input, both on the network's scale; NaN where the bundle has no scales."""
    if not case.model.has("intensity"):
        return float("nan")
    scales = case.workflow.parser.get_parsed_content("intensity")
    mask = torch.from_numpy(case.mask)[None]
    low, high = restored_bounds(scales[case.target])
    source: Tensor = scales[str(case.verdict.modality)].scale(case.image.as_tensor(), mask)
    output = (case.output.as_tensor().double() - low) * (2.0 / (high - low)) - 1.0
    return similarity_to_input(source, output.float(), mask)
