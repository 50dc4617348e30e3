"""What is in the zip that a user takes away."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from webpage.download import archive


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "scan"
    for name in ("ct.nii.gz", "mask.nii.gz", "qc.png", "provenance.json", "dicom/ct/000001.dcm", "dicom/source/1.dcm"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("form", "images"),
    [
        ("nifti", {"ct.nii.gz", "mask.nii.gz", "qc.png"}),
        ("dicom", {"dicom/ct/000001.dcm", "dicom/source/1.dcm"}),
    ],
)
def test_images_of_one_format_with_their_record_and_the_notice(made: Path, form: str, images: set[str]) -> None:
    with zipfile.ZipFile(archive(made, form, made.parent / "out.zip")) as zipped:
        assert set(zipped.namelist()) == images | {"NOTICE.txt", "provenance.json"}
        assert "NOT FOR DIAGNOSIS" in zipped.read("NOTICE.txt").decode()
        assert zipped.read("provenance.json") == b"provenance.json"


def test_a_second_request_gives_the_same_again(made: Path) -> None:
    path = made.parent / "out.zip"
    first = archive(made, "nifti", path).read_bytes()
    with zipfile.ZipFile(archive(made, "nifti", path)) as zipped:
        assert zipped.testzip() is None
    assert len(path.read_bytes()) == len(first)
