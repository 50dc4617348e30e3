"""What DICOM headers say: the tag first, storage classes where it is silent, notes on what is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.uid import (
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

from transmodal.modality import from_dicom

Write = Callable[..., Path]


def test_the_tag_of_a_series_is_believed(series: Write) -> None:
    verdict = from_dicom(series())
    assert (verdict.modality, verdict.by, verdict.reason) == ("ct", "dicom", "DICOM Modality CT")
    assert from_dicom(series(change=lambda _: {"Modality": "MR"}, folder="mr")).modality == "mr"


def test_a_single_file_is_read_as_well(series: Write) -> None:
    assert from_dicom(next(series().iterdir())).modality == "ct"


@pytest.mark.parametrize(
    ("storage", "modality"),
    [
        (MRImageStorage, "mr"),
        (EnhancedMRImageStorage, "mr"),
        ("1.2.840.10008.5.1.4.1.1.4.4", "mr"),  # Legacy Converted Enhanced MR
        (LegacyConvertedEnhancedCTImageStorage, "ct"),
        ("1.2.840.10008.5.1.4.1.1.2.1", "ct"),  # Enhanced CT
    ],
)
@pytest.mark.parametrize("tag", ["", "OT"])
def test_the_storage_class_speaks_where_the_tag_is_silent(series: Write, storage: str, modality: str, tag: str) -> None:
    folder = series(change=lambda _: {"Modality": tag, "SOPClassUID": storage})
    assert from_dicom(folder).modality == modality


def test_the_tag_wins_over_the_storage_class_and_the_contradiction_is_noted(series: Write) -> None:
    verdict = from_dicom(series(change=lambda _: {"SOPClassUID": MRImageStorage}))
    assert verdict.modality == "ct"
    assert "5 of 5 stored in the class of the other modality" in verdict.reason


def test_another_modality_settles_it_as_no_answer(series: Write) -> None:
    verdict = from_dicom(series(change=lambda _: {"Modality": "PT"}))
    assert (verdict.modality, verdict.by) == (None, "dicom")
    assert "PT, which is neither CT nor MR" in verdict.reason


def test_a_mixture_is_no_answer_and_is_counted(series: Write) -> None:
    verdict = from_dicom(series(change=lambda number: {"Modality": "MR" if number < 2 else "CT"}))
    assert (verdict.modality, verdict.by) == (None, "dicom")
    assert "CT (3), MR (2)" in verdict.reason


def test_synthetic_and_derived_images_are_noted(series: Write) -> None:
    marks = {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"], "SyntheticData": "YES"}
    verdict = from_dicom(series(change=lambda number: marks if number < 4 else {}))
    assert verdict.modality == "ct"
    assert "4 of 5 marked as synthetic data (0008,001C)" in verdict.reason
    assert "4 of 5 marked as derived (0008,0008)" in verdict.reason


def test_a_header_without_a_word_is_no_evidence(series: Write) -> None:
    verdict = from_dicom(series(change=lambda _: {"Modality": "", "SOPClassUID": SecondaryCaptureImageStorage}))
    assert (verdict.modality, verdict.by) == (None, "nothing")


def test_structures_beside_the_images_are_passed_over(series: Write) -> None:
    folder = series()
    series(count=1, change=lambda _: {"Modality": "RTSTRUCT"}, prefix="z")
    assert from_dicom(folder).modality == "ct"


def test_what_is_not_dicom_is_no_evidence(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").write_bytes(b"something else")
    assert from_dicom(tmp_path / "ct.nii.gz").by == "nothing"
    assert from_dicom(tmp_path).by == "nothing"
    assert from_dicom(tmp_path / "absent").by == "nothing"


@pytest.mark.parametrize(("folder", "modality"), [("CT", "ct"), ("MR_T1", "mr")])
def test_real_series_are_told(shared: Path, folder: str, modality: str) -> None:
    verdict = from_dicom(shared / "data" / "dicom_ct_mr" / folder / "image")
    assert (verdict.modality, verdict.by) == (modality, "dicom")
