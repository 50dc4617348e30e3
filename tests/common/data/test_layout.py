"""Names of the data layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from transmodal.data.layout import case_files, extension, is_lone_dicom


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ct.nii.gz", ".nii.gz"), ("ct.nii", ".nii"), ("CT.MHA", ".mha"), ("x.jpeg", ".jpeg"), ("a.gz", ""), ("ct", "")],
)
def test_an_extension_is_found_whole_and_in_lower_case(name: str, expected: str) -> None:
    assert extension(Path(name)) == expected


def test_a_case_record_is_told_from_its_files() -> None:
    assert case_files({"case": "a", "patient": "p", "ct": "/a/ct.mha"}) == {"ct": "/a/ct.mha"}


@pytest.mark.parametrize(
    ("name", "modality", "expected"),
    [
        ("xray.dcm", None, True),
        ("XRAY.DCM", None, True),
        ("0001.dcm", "xray", True),
        ("0001.dcm", None, False),
        ("ct.dcm", "ct", False),
        ("xray.png", "xray", False),
    ],
)
def test_a_radiograph_alone_may_be_one_dicom_file(name: str, modality: str | None, expected: bool) -> None:
    assert is_lone_dicom(Path(name), modality) is expected
