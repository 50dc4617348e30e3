"""Warnings: an input outside of the training, and an output that is no translation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from tests.tools.translating.scans import AFFINE, ct_values, mr_values, write_volume
from translating.doubts import Examined, doubts
from translating.model import model_of
from transmodal.modality import Verdict
from transmodal.trained_range import MEASURES, TrainedRange, range_beside

CT, MR = ct_values(), mr_values()


def image(values: np.ndarray) -> MetaTensor:
    return MetaTensor(torch.from_numpy(values.astype(np.float32))[None], affine=AFFINE)


def says(modality: str | None) -> Callable[[torch.Tensor], Verdict]:
    return lambda _: Verdict(modality, "network", 0.9, "so it looks")


@pytest.fixture
def plain(tiny: Path, tmp_path: Path) -> Iterator[Examined]:
    """A CT and a faultless MR of it, by weights of an unknown training, with nobody to look at it."""
    write_volume(tmp_path / "data" / "knee" / "ct.nii.gz", CT)
    model = model_of(tiny, ids={"device": "cpu", "intensity#t1": "@intensity#mr"})
    verdict = Verdict("ct", "hounsfield", None, "air at -1000")
    with model.opened(dataset_dir=str(tmp_path / "data"), output_dir=str(tmp_path / "out"), source="ct") as workflow:
        yield Examined(image(CT), image(MR), (CT > -500).astype(np.uint8), verdict, "mr", model, workflow, None)


@pytest.fixture
def trained_on(plain: Examined, tmp_path: Path) -> Callable[..., Examined]:
    """The case with weights beside which the range of a training lies, and a network that takes its output for MR."""

    def lay(modality: str, **ranges: list[float]) -> Examined:
        known = {name: ranges.get(name, [-1e9, 1e9]) for name in MEASURES}
        weights = tmp_path / "weights" / "model.pt"
        TrainedRange({modality: {"volumes": 3, "units": "HU", "range": known}}).save(range_beside(weights))
        return replace(plain, model=replace(plain.model, weights=weights), classifier=says("mr"))

    return lay


@pytest.fixture
def case(trained_on: Callable[..., Examined]) -> Examined:
    """A case with nothing to be said of it."""
    return trained_on("ct")


def test_a_faultless_case_has_no_doubts(case: Examined) -> None:
    assert doubts(case) == []


def test_an_output_that_is_its_input_is_told(case: Examined) -> None:
    copied = image(np.clip((CT + 1000.0) / 3, 0, 1000))  # CT's window on the scale of MR
    (found,) = doubts(replace(case, output=copied))
    assert found.startswith("the output is nearly identical to the input (SSIM 1.00)")


def test_an_output_that_the_network_takes_for_the_input_is_told(case: Examined) -> None:
    assert doubts(replace(case, classifier=says("ct"))) == ["a network takes the output for CT, not MR: so it looks"]


def test_an_output_the_network_cannot_tell_is_told(case: Examined) -> None:
    (found,) = doubts(replace(case, classifier=says(None)))
    assert found.startswith("a network cannot tell whether the output is CT or MR")


def test_a_modality_that_only_the_network_found_is_told(case: Examined) -> None:
    (found,) = doubts(replace(case, verdict=Verdict("ct", "network", 0.83, "so it looks")))
    assert found.endswith("only a network says, probability 0.83: neither header nor values tell")


def test_weights_of_an_unknown_training_and_an_output_nobody_looked_at_are_told_once_each(plain: Examined) -> None:
    assert doubts(plain) == [
        "nothing is known of the images these weights were trained on, so this one was not compared with them",
        "no network looked at the output",
    ]


def test_a_contrast_is_mr_to_the_network_that_looks_at_the_output(case: Examined) -> None:
    assert doubts(replace(case, target="t1")) == []


def test_within_the_range_of_the_training_nothing_is_told(trained_on: Callable[..., Examined]) -> None:
    assert doubts(trained_on("ct")) == []


def test_a_spacing_outside_of_the_training_is_told(trained_on: Callable[..., Examined]) -> None:
    (found,) = doubts(trained_on("ct", slice_mm=[5.0, 6.0]))
    assert found == "unlike the training: slice spacing 3 mm, training had 5 to 6 mm"


def test_a_modality_that_was_not_in_the_training_is_told(trained_on: Callable[..., Examined]) -> None:
    assert doubts(trained_on("mr")) == ["unlike the training: ct was not in the training, only mr"]
