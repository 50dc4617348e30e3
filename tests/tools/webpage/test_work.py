"""Translations through the server as it runs, with tiny bundles: scans, radiographs, contrasts; then the downloads."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pydicom
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.common.radiographs import chest
from tests.tools.translating.scans import ct_values, mr_values, write_dicom, write_picture, write_volume
from tests.tools.webpage.conftest import ask, finished, upload
from translating.listening import Nobody
from translating.summary import Outcome
from transmodal.dicom import find_series, read_series
from transmodal.errors import InputError
from webpage import work
from webpage.settings import NOTICE

SCANS, XRAY, BRAIN = "ct_mr_syndiff_translation", "chest_xray_ctpa_translation", "brain_mri_mudiff_synthesis"


def unpacked(page: TestClient, job: str, form: str, folder: Path) -> Path:
    """What is downloaded, in a folder."""
    answer = page.get(f"/api/jobs/{job}/download", params={"format": form})
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as zipped:
        zipped.extractall(folder)
    return folder


def volume(page: TestClient, address: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    path = folder / "shown.nii.gz"
    path.write_bytes(page.get(address).content)
    image = nibabel.load(path)
    return np.asanyarray(image.dataobj), image.affine


def test_the_bundles_are_listed_with_what_they_can_do(page: TestClient) -> None:
    offers = {offer["name"]: offer for offer in page.get("/api/bundles").json()}
    assert set(offers) == {SCANS, XRAY, BRAIN}
    assert all(offer["ready"] for offer in offers.values()), offers
    assert [offers[name]["inputs"] for name in (SCANS, XRAY, BRAIN)] == ["volume", "radiograph", "volumes"]
    assert {option["id"] for option in offers[XRAY]["options"]} == {"seed", "num_samples", "num_steps"}
    assert offers[BRAIN]["directions"] == [{"source": "flair+t2+t1", "target": "t1ce"}]


def test_a_file_becomes_a_volume_and_a_series_of_the_other_modality(page: TestClient, tmp_path: Path) -> None:
    values = ct_values((24, 26, 9))
    found = upload(page, write_volume(tmp_path / "scan.nii.gz", values))
    job = ask(page, found, SCANS, "ct", "mr", seed=3, num_samples=2)
    told = finished(page, job)
    assert told["state"] == "done", told["error"]
    assert told["step"] == told["steps"] == 2 * 4 * 9  # samples, steps of the chain, slices one at a time
    assert set(told["files"]) >= {"source", "translation", "mask", "difference", "uncertainty", "qc", "provenance"}
    shown, affine = volume(page, told["files"]["translation"], tmp_path)
    source, grid = volume(page, told["files"]["source"], tmp_path)
    np.testing.assert_array_equal(source, values)
    np.testing.assert_array_equal(affine, grid)
    apart, _ = volume(page, told["files"]["difference"], tmp_path)
    assert -100 <= apart.min() < apart.max() <= 100
    nifti = nibabel.load(unpacked(page, job, "nifti", tmp_path / "nifti") / "mr.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(nifti.dataobj), shown)
    assert b"not for diagnosis" in bytes(nifti.header["descrip"])
    record = json.loads((tmp_path / "nifti" / "provenance.json").read_text(encoding="utf-8"))
    assert (record["input"], record["notice"]) == ("scan.nii.gz", NOTICE)
    assert (record["effective"]["seed"], record["effective"]["samples"]) == (3, 2)
    assert str(tmp_path.parent) not in json.dumps({**record, "request": None})
    dicom = unpacked(page, job, "dicom", tmp_path / "dicom") / "dicom"
    (series,) = find_series(dicom / "mr")
    (original,) = find_series(dicom / "source")
    assert (series.kind, original.kind) == ("synthetic", "image")
    assert len({pydicom.dcmread(file).StudyInstanceUID for file in (*series.files, *original.files)}) == 1
    read, _ = read_series(series)
    assert read.shape == (24, 26, 9)
    step = float(pydicom.dcmread(series.files[0]).RescaleSlope)
    np.testing.assert_allclose(np.sort(read.ravel()), np.sort(shown.ravel()), atol=step)


def test_a_dicom_series_stays_in_its_study(page: TestClient, tmp_path: Path) -> None:
    series = write_dicom(tmp_path / "series", ct_values((24, 26, 9)))
    found = upload(page, *sorted(series.iterdir()))
    job = ask(page, found, SCANS, "ct", "mr")
    told = finished(page, job)
    assert told["state"] == "done", told["error"]
    made = sorted((unpacked(page, job, "dicom", tmp_path / "out") / "dicom").iterdir())
    header = pydicom.dcmread(made[0])
    assert (len(made), header.StudyInstanceUID, header.PatientName) == (9, "1.2", "A^B")
    assert (header.Modality, header.SyntheticData) == ("MR", "YES")


def test_the_word_of_the_user_counts_where_nothing_tells(page: TestClient, tmp_path: Path) -> None:
    found = upload(page, write_volume(tmp_path / "scan.nii.gz", mr_values((24, 26, 9))))
    assert found["modality"] is None
    told = finished(page, ask(page, found, SCANS, "mr", "ct"))
    assert told["state"] == "done", told["error"]
    assert told["units"] == "HU"
    assert told["windows"]["translation"] == [-160.0, 240.0]


def test_a_radiograph_becomes_a_volume_with_its_projection(page: TestClient, tmp_path: Path) -> None:
    found = upload(page, write_picture(tmp_path / "chest.png", chest() / 4))
    job = ask(page, found, XRAY, "xray", "ct", num_steps=3)
    told = finished(page, job)
    assert told["state"] == "done", told["error"]
    assert (told["step"], told["steps"]) == (3, 3)
    assert set(told["files"]) == {"translation", "radiograph", "drr", "provenance"}
    assert set(told["measures"]) == {"ncc", "ssim", "gradient_correlation"}
    sizes = {Image.open(io.BytesIO(page.get(told["files"][name]).content)).size for name in ("radiograph", "drr")}
    assert sizes == {(256, 256)}
    dicom = unpacked(page, job, "dicom", tmp_path / "out") / "dicom"
    (series,) = find_series(dicom / "ct")
    source = pydicom.dcmread(next((dicom / "source").iterdir()))
    header = pydicom.dcmread(series.files[0])
    assert header.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert header.SourceImageSequence[0].SpatialLocationsPreserved == "NO"
    shown, _ = volume(page, told["files"]["translation"], tmp_path)
    read, _ = read_series(series)
    np.testing.assert_allclose(np.sort(read.ravel()), np.sort(shown.ravel().astype(float)), atol=0.5)


def test_contrasts_make_the_missing_one_with_its_deviation(page: TestClient, tmp_path: Path) -> None:
    names = ("t1.nii.gz", "case_t2.nii.gz", "flair.nii.gz")
    found = upload(page, *(write_volume(tmp_path / name, mr_values((24, 26, 8))) for name in names))
    told = finished(page, ask(page, found, BRAIN, "flair+t2+t1", "t1ce"))
    assert told["state"] == "done", told["error"]
    assert set(told["files"]) >= {"source", "translation", "uncertainty", "provenance"}
    dicom = unpacked(page, told["job"], "dicom", tmp_path / "out") / "dicom"
    assert sorted(folder.name for folder in (dicom / "source").iterdir()) == ["flair", "t1", "t2"]


def test_a_translation_that_fails_says_why(page: TestClient, tmp_path: Path) -> None:
    found = upload(page, write_volume(tmp_path / "scan.nii.gz", mr_values((24, 26, 9))))
    told = finished(page, ask(page, found, SCANS, "ct", "mr"))
    assert told["state"] == "failed"
    assert "wanted CT in Hounsfield units" in told["error"]
    assert told["error"].count("found") == told["error"].count("What to do") == 1
    assert str(tmp_path.parent) not in told["error"]


def test_an_upload_that_breaks_its_reader_is_refused_and_the_server_goes_on(page: TestClient, scan: Path) -> None:
    answer = page.post("/api/uploads", files={"files": ("scan.nii.gz", scan.read_bytes()[:-30])})
    assert answer.status_code == 422
    assert "scan.nii.gz" in answer.json()["error"]
    assert upload(page, scan)["usable"]


def test_the_traceback_of_a_program_error_is_told_where_the_server_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scan.error.txt").write_text("Traceback: all of it", encoding="utf-8")
    failed = Outcome("scan", "failed", "KeyError: 'x'", traceback=str(tmp_path / "scan.error.txt"))
    monkeypatch.setattr(work, "Pipeline", lambda *_: lambda _: failed)
    monkeypatch.setattr(sys, "__stderr__", told := io.StringIO())
    model = SimpleNamespace(bundle=SimpleNamespace(name=SCANS))
    found = {"name": "knee.nii.gz", "paths": {"image": "scan.nii.gz"}, "series": None, "modality": "ct"}
    job = {"source": "ct", "target": "mr", "options": {}, "classifier": None}
    with pytest.raises(InputError, match="KeyError: 'x'") as raised:
        work._scan(model, job, found, tmp_path, tmp_path, Nobody())
    assert told.getvalue() == "Traceback: all of it\n"
    assert str(tmp_path) not in str(raised.value)
