"""DICOM through the pipeline: a series in, a series out, and what of it is refused or told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import uid

from tests.tools.translating.scans import ct_values, write_dicom
from translating import pipeline as module
from translating.inputs import Scan, find_scans
from translating.pipeline import Pipeline

Make = Callable[..., Pipeline]
CT = ct_values()


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "provenance.json").read_text(encoding="utf-8"))


def series(folder: Path, **changes: Any) -> Scan:
    (scan,), _ = find_scans(write_dicom(folder, CT, **changes).parent)
    return scan


def test_a_dicom_series_becomes_a_dicom_series(pipeline: Make, tmp_path: Path) -> None:
    write_dicom(tmp_path / "study" / "leg", CT)
    (scan,), _ = find_scans(tmp_path / "study")
    outcome = pipeline()(scan)
    assert outcome.status == "translated", outcome.text
    folder = tmp_path / "results" / "leg"
    headers = [pydicom.dcmread(file) for file in sorted((folder / "dicom").glob("*.dcm"))]
    assert len(headers) == CT.shape[2]
    assert {header.Modality for header in headers} == {"MR"}
    assert {header.StudyInstanceUID for header in headers} == {"1.2"}
    assert record_of(folder)["modality"]["by"] == "dicom"
    assert len(record_of(folder)["request"]["inputs"]) == CT.shape[2]


def test_a_series_with_a_missing_slice_is_refused(pipeline: Make, tmp_path: Path) -> None:
    write_dicom(tmp_path / "study", ct_values((24, 26, 5)))
    (tmp_path / "study" / "1.2.3.3.dcm").unlink()
    (scan,), _ = find_scans(tmp_path / "study")
    outcome = pipeline()(scan)
    assert outcome.status == "failed"
    assert "1 missing slices" in outcome.text
    assert list((tmp_path / "results").iterdir()) == []


def test_what_speaks_against_the_header_is_told_wherever_the_result_is(pipeline: Make, tmp_path: Path) -> None:
    outcome = pipeline()(series(tmp_path / "study" / "leg", ImageType=["DERIVED", "SECONDARY", "MPR"]))
    warning = "the DICOM header says CT; of its images, 3 of 3 marked as derived (0008,0008)"
    assert outcome.status == "translated", outcome.text
    assert warning in outcome.warnings
    folder = tmp_path / "results" / "leg"
    assert warning in record_of(folder)["warnings"]


def test_the_header_is_believed_whatever_speaks_against_it(pipeline: Make, tmp_path: Path) -> None:
    outcome = pipeline()(series(tmp_path / "study" / "leg", SOPClassUID=uid.MRImageStorage))
    assert outcome.status == "translated", outcome.text
    assert outcome.text.startswith("ct to mr")
    assert any("stored in the class of the other modality" in warning for warning in outcome.warnings)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"RescaleIntercept": 50}, "away from the volume"),
        ({"SyntheticData": "NO"}, "SyntheticData 'NO'"),
        ({"PixelSpacing": [2, 3]}, "another grid"),
    ],
)
def test_a_series_that_is_not_what_was_to_be_written_fails_the_case(
    pipeline: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], told: str
) -> None:
    write = module.write_series

    def faulty(*args: Any) -> list[Path]:
        files = write(*args)
        for file in files:
            header = pydicom.dcmread(file)
            for name, value in fault.items():
                setattr(header, name, value)
            header.save_as(file)
        return files

    monkeypatch.setattr(module, "write_series", faulty)
    outcome = pipeline()(series(tmp_path / "study" / "leg"))
    assert outcome.status == "failed"
    assert told in outcome.text
    assert list((tmp_path / "results").iterdir()) == []
