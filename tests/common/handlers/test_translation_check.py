"""The modality classifier as a witness of translations, in the report and by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.common.handlers.evaluation import evaluate, paired
from transmodal.errors import InputError
from transmodal.handlers import EvaluationReport
from transmodal.handlers.findings import Findings
from transmodal.handlers.translation_check import ModalityWitness, copied
from transmodal.metrics import SynthRAD2023
from transmodal.modality import Verdict
from transmodal.transforms import HounsfieldWindow, RobustPercentiles

CT = Verdict("ct", "network", 0.97, "all slices look like CT")
MR = Verdict("mr", "network", 0.88, "all slices look like MR")
NOTHING = Verdict(None, "network", 0.55, "in doubt")


class Classifier:
    """Gives the verdicts it was made with, in turn, and keeps what it was shown."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.verdicts, self.seen = iter(verdicts), list[Tensor]()

    def __call__(self, image: Tensor) -> Verdict:
        self.seen.append(image)
        return next(self.verdicts)


def report(output_dir: Path, **arguments: Any) -> EvaluationReport:
    intensity = {"ct": HounsfieldWindow(), "mr": RobustPercentiles()}
    return EvaluationReport(output_dir, SynthRAD2023(), source="mr", target="ct", intensity=intensity, **arguments)


def summary(output_dir: Path) -> dict[str, Any]:
    return json.loads((output_dir / "summary.json").read_text())


def test_verdicts_on_the_outputs_are_reported(tmp_path: Path) -> None:
    evaluate([paired("b"), paired("a")], [report(tmp_path, classifier=Classifier(CT, MR))])
    found = summary(tmp_path)["translation_check"]["modality"]
    assert found["wanted"] == "ct"
    assert (found["called_target"], found["not_called_target"]) == (1, ["a"])
    assert list(found["verdicts"]) == ["a", "b"]
    assert found["verdicts"]["b"] == {
        "modality": "ct",
        "by": "network",
        "probability": 0.97,
        "reason": "all slices look like CT",
    }


def test_outputs_not_called_the_target_are_named_in_one_warning(tmp_path: Path) -> None:
    cases = [paired(name) for name in "abc"]
    evaluate(cases, [report(tmp_path, classifier=Classifier(MR, CT, NOTHING))])
    told = "the modality classifier does not call the output CT in a (MR, 0.88), c (no answer, 0.55)"
    assert told in summary(tmp_path)["warnings"]


def test_translations_that_are_called_the_target_get_no_warning(tmp_path: Path) -> None:
    evaluate([paired("a")], [report(tmp_path, classifier=Classifier(CT))])
    assert not any("classifier" in warning for warning in summary(tmp_path)["warnings"])


def test_the_classifier_sees_the_output_in_physical_units(tmp_path: Path) -> None:
    classifier, case = Classifier(CT), paired("a", error=37)
    evaluate([case], [report(tmp_path, classifier=classifier)])
    assert torch.equal(classifier.seen[0], case["image"].float())
    assert classifier.seen[0].min() < -900


def test_an_output_that_cannot_be_scored_is_not_shown(tmp_path: Path) -> None:
    broken, classifier = paired("a"), Classifier(CT)
    broken["image"] = torch.full_like(broken["image"], torch.nan)
    evaluate([broken, paired("b")], [report(tmp_path, classifier=classifier)])
    assert list(summary(tmp_path)["translation_check"]["modality"]["verdicts"]) == ["b"]


def test_without_a_classifier_nothing_is_claimed(tmp_path: Path) -> None:
    evaluate([paired("a")], [report(tmp_path)])
    assert summary(tmp_path)["translation_check"]["modality"] is None


def test_verdicts_of_all_processes_are_merged_by_case() -> None:
    shares = [Findings(verdicts={"b": CT}), Findings(verdicts={"a": MR, "b": CT})]
    assert list(Findings.merged(shares).verdicts.items()) == [("a", MR), ("b", CT)]


@pytest.mark.parametrize("target", ["mr", "t1ce"])
def test_every_mr_contrast_is_mr_to_the_classifier(target: str) -> None:
    assert ModalityWitness(Classifier(), target).warnings({"a": MR}) == []
    assert ModalityWitness(Classifier(), target).summary({"a": CT})["not_called_target"] == ["a"]


def test_a_target_that_the_classifier_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match="classifier: found the target 'xray'; wanted ct or one of mr, t1"):
        ModalityWitness(Classifier(), "xray")


def test_missing_weights_of_a_classifier_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"classifier\.pt"):
        report(tmp_path, classifier=str(tmp_path / "classifier.pt"))


def test_copies_are_named_and_no_copies_are_not() -> None:
    assert copied([], 0.9) == []
    assert copied(["a", "b"], 0.9) == [
        "output nearly identical to input (SSIM from 0.9) in a, b: was it translated at all?"
    ]
