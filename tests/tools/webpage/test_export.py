"""Marks in every file of a result, and its DICOM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.common.radiographs import chest, write_radiograph
from tests.tools.translating.scans import ct_values, mr_values, write_volume
from transmodal.dicom import find_series
from transmodal.files import sha256_of
from webpage.export import complete

RECORD: dict[str, Any] = {
    "started": "2026-01-31T12:00:05+00:00",
    "warnings": [],
    "effective": {"seed": 1, "samples": None},
    "request": {"model": {"bundle": "b", "version": "0.1.0", "weights_sha256": "ab", "configs": {}}},
    "outputs": {},
}
OBLIQUE = np.array([[0, -1.2, 1.6, 5.0], [-2.0, 0, 0, 7.0], [0, 1.6, 1.2, -3.0], [0, 0, 0, 1.0]])


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "provenance.json").write_text(json.dumps(RECORD), encoding="utf-8")
    return folder


def test_a_volume_keeps_its_voxels_and_says_what_it_is(made: Path, tmp_path: Path) -> None:
    values = ct_values()
    write_volume(made / "ct.nii.gz", values, OBLIQUE)
    views = write_volume(tmp_path / "views" / "source.nii.gz", mr_values(), OBLIQUE).parent
    found = {"kind": "volume", "name": "my scan.nii", "files": {"source": "source.nii.gz"}, "dicom": False}
    complete(made, tmp_path, views, {"source": "mr", "target": "ct"}, found)
    marked = nibabel.load(made / "ct.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(marked.dataobj), values)
    np.testing.assert_allclose(marked.affine, OBLIQUE, atol=1e-6)
    assert bytes(marked.header["descrip"]).rstrip(b"\0") == b"synthetic - not for diagnosis"
    (series,) = find_series(made / "dicom" / "ct")
    header = pydicom.dcmread(series.files[0])
    assert header.SyntheticData == "YES"
    assert pydicom.dcmread(next((made / "dicom" / "source").iterdir())).SeriesDescription == "my scan.nii"


def test_the_record_lists_every_file_as_it_is_in_the_end(made: Path, tmp_path: Path) -> None:
    write_volume(made / "ct.nii.gz", ct_values())
    views = write_volume(tmp_path / "views" / "source.nii.gz", mr_values()).parent
    found = {"kind": "volume", "name": "scan.nii", "files": {"source": "source.nii.gz"}, "dicom": False}
    complete(made, tmp_path, views, {"source": "mr", "target": "ct"}, found)
    record = json.loads((made / "provenance.json").read_text(encoding="utf-8"))
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert set(record["outputs"]) == files - {"provenance.json"}
    assert record["outputs"]["ct.nii.gz"]["sha256"] == sha256_of(made / "ct.nii.gz")
    assert record["notice"] == "synthetic – not for diagnosis"


def test_a_series_that_is_there_is_left_alone(made: Path, tmp_path: Path) -> None:
    write_volume(made / "ct.nii.gz", ct_values())
    (made / "dicom").mkdir()
    found = {"kind": "volume", "name": "series 3", "files": {}, "dicom": True}
    complete(made, tmp_path, tmp_path, {"source": "mr", "target": "ct"}, found)
    assert list((made / "dicom").iterdir()) == []


def test_several_contrasts_become_series_of_one_study(made: Path, tmp_path: Path) -> None:
    write_volume(made / "t1ce.nii.gz", mr_values(), OBLIQUE)
    for number, contrast in enumerate(("t1", "flair", "t2")):
        affine = OBLIQUE + 0.01 * number * np.eye(4, k=3)  # as far apart as contrasts may be, and more than rounding
        views = write_volume(tmp_path / "views" / f"{contrast}.nii.gz", mr_values() + number, affine).parent
    names = {contrast: f"{contrast}.nii.gz" for contrast in ("t1", "flair", "t2")}
    found = {"kind": "volumes", "name": "t1.nii.gz, …", "dicom": False, "paths": names}
    found["files"] = {"source": "t1.nii.gz", **names}
    complete(made, tmp_path, views, {"source": "flair+t2+t1", "target": "t1ce"}, found)
    folders = [made / "dicom" / "source" / contrast for contrast in ("flair", "t2", "t1")]
    first, second, third = (pydicom.dcmread(next(folder.iterdir())) for folder in folders)
    synthetic = pydicom.dcmread(find_series(made / "dicom" / "t1ce")[0].files[0])
    assert [each.SeriesDescription for each in (first, second, third)] == ["flair.nii.gz", "t2.nii.gz", "t1.nii.gz"]
    assert len({each.SeriesInstanceUID for each in (first, second, third, synthetic)}) == 4
    assert {each.StudyInstanceUID for each in (second, third, synthetic)} == {first.StudyInstanceUID}
    assert {each.FrameOfReferenceUID for each in (second, third, synthetic)} == {first.FrameOfReferenceUID}
    assert len(find_series(made / "dicom" / "source")) == 3
    named = [item.ReferencedSOPInstanceUID for item in synthetic.SourceImageSequence]
    places = {
        str(image.SOPInstanceUID): image for folder in folders for image in map(pydicom.dcmread, folder.iterdir())
    }
    assert [places[uid].SeriesInstanceUID for uid in named] == [
        each.SeriesInstanceUID for each in (first, second, third)
    ]
    assert all(places[uid].ImagePositionPatient == synthetic.ImagePositionPatient for uid in named)


@pytest.mark.parametrize("size", [(32, 32), (30, 200), (256, 100), (700, 500)])
def test_the_notice_in_a_picture_is_whole(made: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    write_volume(made / "ct.nii.gz", ct_values())
    (made / "dicom").mkdir()
    for name in ("radiograph", "drr"):
        Image.fromarray(np.full(size[::-1], 40, np.uint8)).save(made / f"{name}.png")
    complete(made, tmp_path, tmp_path, {"source": "xray", "target": "ct"}, {"name": "chest", "kind": "radiograph"})
    marked = np.asarray(Image.open(made / "drr.png"))
    assert marked.shape == np.asarray(Image.open(made / "radiograph.png")).shape
    written = np.flatnonzero((marked != 40).any(0))
    assert 0 < written[0] < marked.shape[1] / 2 < written[-1] < marked.shape[1] - 1


@pytest.mark.parametrize("dicom", [True, False])
def test_a_volume_of_a_radiograph_names_it_as_its_source(made: Path, tmp_path: Path, dicom: bool) -> None:
    write_volume(made / "ct.nii.gz", ct_values((8, 24, 26)), np.diag([-2.5, -2.0, 2.0, 1.0]))
    Image.fromarray((chest() / 4).astype(np.uint8)).save(made / "radiograph.png")
    Image.fromarray(np.zeros((60, 60), np.uint8)).save(made / "drr.png")
    image = write_radiograph(tmp_path / "image.dcm", PatientID="P-9", PatientName="A^B")
    found = {"kind": "radiograph", "name": "chest", "files": {}, "dicom": dicom, "paths": {"image": image.name}}
    complete(made, tmp_path, tmp_path, {"source": "xray", "target": "ct"}, found)
    (series,) = find_series(made / "dicom" / "ct")
    source = image if dicom else next((made / "dicom" / "source").iterdir())
    made_of, header = pydicom.dcmread(source), pydicom.dcmread(series.files[0])
    assert header.SourceImageSequence[0].ReferencedSOPInstanceUID == made_of.SOPInstanceUID
    assert header.StudyInstanceUID == made_of.StudyInstanceUID
    assert header.PatientID == made_of.PatientID
    assert len(series.files) == 26  # axial
    assert np.asarray(Image.open(made / "drr.png")).max() > 200  # the mark at its foot
