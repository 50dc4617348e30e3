"""Header, values and network in their order, and what a reader is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
import torch
from modality_bundle.evidence import Verdictd
from modality_bundle.findings import COLUMNS, Finding

from tests.common.conftest import ct_slice
from transmodal.errors import InputError
from transmodal.modality import Verdict
from transmodal.phantom import Thigh, make_case

MR_VOTES = torch.tensor([[0.1, 0.9, 0.8], [0.3, 0.7, 0.75]])


@pytest.fixture(scope="module")
def hounsfield() -> torch.Tensor:
    return make_case(Thigh(), seed=1, shape=(40, 40, 4), modalities=["ct"])["ct"].as_tensor().float()


def judged(image: torch.Tensor, path: Path | str = "scan.nii.gz", **kwargs: Any) -> dict[str, Any]:
    sample = {"pred": MR_VOTES, "image": image, "path": str(path), **kwargs}
    return Verdictd("pred")(sample)  # type: ignore[return-value]


def test_values_go_before_the_network_and_both_are_told(hounsfield: torch.Tensor) -> None:
    sample = judged(hounsfield)
    assert (sample["verdict"].modality, sample["verdict"].by) == ("ct", "hounsfield")
    assert (sample["network_verdict"].modality, sample["network_verdict"].by) == ("mr", "network")


def test_the_header_goes_before_the_values(hounsfield: torch.Tensor, tmp_path: Path) -> None:
    pydicom.dcmwrite(tmp_path / "0.dcm", ct_slice(0, "1.2.3", Modality="MR"), enforce_file_format=True)
    verdict = judged(hounsfield, tmp_path)["verdict"]
    assert (verdict.modality, verdict.by) == ("mr", "dicom")


def test_a_header_of_another_modality_leaves_no_answer(hounsfield: torch.Tensor, tmp_path: Path) -> None:
    pydicom.dcmwrite(tmp_path / "0.dcm", ct_slice(0, "1.2.3", Modality="DX"), enforce_file_format=True)
    verdict = judged(hounsfield, tmp_path)["verdict"]
    assert (verdict.modality, verdict.by) == (None, "dicom")


def test_the_header_of_a_file_does_not_vouch_for_its_picture(tmp_path: Path) -> None:
    pydicom.dcmwrite(tmp_path / "0.dcm", ct_slice(0, "1.2.3"), enforce_file_format=True)
    assert judged(torch.rand(1, 20, 20, 1), tmp_path, window=[-160.0, 240.0])["verdict"].by == "network"


@pytest.mark.parametrize(("evidence", "by"), [(["network"], "network"), (["hounsfield"], "hounsfield")])
def test_only_the_evidence_asked_for_counts(hounsfield: torch.Tensor, evidence: Sequence[str], by: str) -> None:
    sample = {"pred": MR_VOTES, "image": hounsfield, "path": "scan.nii.gz"}
    assert Verdictd("pred", evidence=evidence)(sample)["verdict"].by == by


@pytest.mark.parametrize("evidence", ["network", ["rumour"]])
def test_evidence_that_nobody_knows_is_refused(evidence: Any) -> None:
    with pytest.raises(InputError, match="dicom, hounsfield, network"):
        Verdictd("pred", evidence=evidence)


def finding(**kwargs: Any) -> Finding:
    network = Verdict("mr", "network", 0.8, "100% of 2 slices look like MR")
    given = {"case": "a", "name": "image", "file": "scan.nii.gz", "verdict": network, "network": network}
    return Finding(**{**given, "scores": MR_VOTES.tolist(), **kwargs})


def test_a_finding_tells_how_the_slices_voted() -> None:
    told = finding().told()
    assert (told["modality"], told["by"], told["probability"]) == ("mr", "network", 0.8)
    assert told["network"]["votes"] == {"ct": 0, "mr": 2}
    assert told["network"]["probability_of_ct"] == [0.1, 0.3]


def test_an_abstention_is_an_empty_field_and_null() -> None:
    silent = finding(verdict=Verdict(None, "network", None, "no slice shows anything"), scores=[])
    assert silent.told()["modality"] is None
    assert silent.told()["network"]["slices"] == 0
    assert silent.row()["verdict"] == ""
    assert tuple(silent.row()) == COLUMNS
