"""Who says that a scan is CT or MR, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import uid

from tests.tools.translating.scans import ct_values, mr_values, write_dicom, write_volume
from translating.inputs import Scan, find_scans
from translating.staging import Stage
from translating.witnesses import contradictions, modality_of
from transmodal.modality import Verdict

CT, MR = ct_values(), mr_values()
Told = Callable[..., list[str]]


def says(modality: str | None) -> Callable[[Any], Verdict]:
    return lambda image: Verdict(modality, "network", 0.97, "all slices agree")


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Contradictions of a DICOM series; further arguments are attributes of its files."""

    def contradicting(
        values: np.ndarray, stated: str | None = None, classifier: Any = None, **changes: Any
    ) -> list[str]:
        folder = write_dicom(tmp_path / "study", values, **changes)
        (scan,), _ = find_scans(folder)
        stage = Stage(tmp_path / "stage", scan, folder)
        image = stage.read()
        return list(contradictions(stage, image, modality_of(stage, image, stated, classifier), classifier))

    return contradicting


def test_nothing_speaks_against_an_original_ct(told: Told) -> None:
    assert told(CT, classifier=says("ct")) == []


def test_nothing_speaks_against_an_original_mr(told: Told) -> None:
    assert told(MR, Modality="MR", classifier=says("mr")) == []


def test_a_storage_class_of_the_other_modality_speaks_against_the_header(told: Told) -> None:
    (warning,) = told(CT, SOPClassUID=uid.MRImageStorage)
    assert warning == ("the DICOM header says CT; of its images, 3 of 3 stored in the class of the other modality")


def test_derived_images_are_told(told: Told) -> None:
    (warning,) = told(CT, ImageType=["DERIVED", "SECONDARY", "MPR"])
    assert "3 of 3 marked as derived (0008,0008)" in warning


def test_hounsfield_units_speak_against_an_mr(told: Told) -> None:
    (warning,) = told(CT, Modality="MR")
    assert warning.startswith("the DICOM header says MR, but the values are those of CT: air near -1000")


def test_values_that_are_no_hounsfield_units_speak_against_a_ct(told: Told) -> None:
    (warning,) = told(MR, RescaleIntercept=-100)
    assert warning.startswith("the DICOM header says CT, but the values are not evidently Hounsfield units: none is")


def test_a_network_that_is_sure_speaks_against_the_header(told: Told) -> None:
    (warning,) = told(CT, classifier=says("mr"))
    assert warning == "the DICOM header says CT, but a network takes it for MR: all slices agree"


def test_a_network_in_doubt_says_nothing(told: Told) -> None:
    assert told(CT, classifier=says(None)) == []


def test_a_header_speaks_against_what_is_stated(told: Told) -> None:
    first, second = told(CT, stated="mr")
    assert first == "--from says MR, but DICOM Modality CT"
    assert second.startswith("--from says MR, but the values are those of CT")


def test_hounsfield_units_speak_against_a_contrast_of_mr_that_is_stated(told: Told) -> None:
    assert told(CT, stated="t2")[1].startswith("--from says T2, but the values are those of CT")


def test_a_contrast_of_mr_that_is_stated_agrees_with_a_header_of_mr(told: Told) -> None:
    assert told(MR, stated="t2", Modality="MR", classifier=says("mr")) == []


def test_a_scan_whose_values_told_is_not_looked_at_again(tmp_path: Path) -> None:
    path = write_volume(tmp_path / "knee.nii.gz", CT)
    stage = Stage(tmp_path / "stage", Scan("knee", path), path)
    image = stage.read()
    verdict = modality_of(stage, image, None, None)
    assert (verdict.modality, verdict.by) == ("ct", "hounsfield")
    assert list(contradictions(stage, image, verdict, says("mr"))) == []
