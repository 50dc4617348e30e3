"""From CT to MR and from MR to CT in the real MONAI Deploy: the series that it writes, in the eyes of others."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import itk
import monai.bundle
import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.config import RAISE, settings

from contract import Bundle
from tests.integration.deploy.conftest import BUNDLE, Application, Run
from transmodal.dicom import find_series, read_back, series_grid
from transmodal.files import sha256_of

pytestmark = pytest.mark.slow
SOURCES = {"ct": ("mr", "MR_T1"), "mr": ("ct", "CT")}
"""What each modality is made from, and its folder in the study."""
STEP = {"ct": 1.0, "mr": 0.1}
"""Of the values that a series stores: HU, and the scale of MR from 0 to 1000."""
TOO_NEW = "(0x0008,0x001c)"
"""Synthetic Data, which is in the standard since 2024; the validator is of 2022."""


@pytest.fixture(scope="module")
def study(shared: Path) -> Path:
    """CT and MR of a patient, each with a structure set."""
    return shared / "data" / "dicom_ct_mr"


@pytest.fixture(scope="module")
def runs(application: Application, study: Path) -> Mapping[str, Run]:
    """The application on the whole study, once in each direction."""
    return {makes: application(study, makes) for makes in SOURCES}


@pytest.fixture(params=SOURCES)
def makes(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def series(runs: Mapping[str, Run], makes: str) -> Path:
    """The folder of the synthetic series of a direction."""
    assert runs[makes].status == 0, runs[makes].said[-3000:]
    (folder,) = runs[makes].output.iterdir()
    assert folder.name == f"synthetic_{makes}"
    return folder


@pytest.fixture
def source(study: Path, makes: str) -> Path:
    """The folder of the series it was made from."""
    return study / SOURCES[makes][1] / "image"


@cache
def headers(folder: Path) -> tuple[pydicom.Dataset, ...]:
    """All files, of which no value may break a limit of the standard."""
    before, settings.reading_validation_mode = settings.reading_validation_mode, RAISE
    try:
        datasets = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
        for dataset in datasets:
            list(dataset.iterall())  # values are decoded, and looked at, as they are asked for
        return tuple(datasets)
    finally:
        settings.reading_validation_mode = before


def test_it_is_what_the_command_line_writes(
    series: Path, source: Path, makes: str, models: Path, tmp_path: Path
) -> None:
    modality = SOURCES[makes][0]
    (tmp_path / "data" / "case").mkdir(parents=True)
    (tmp_path / "data" / "case" / modality).symlink_to(source)
    monai.bundle.run(
        config_file=str(models / BUNDLE / "configs" / "inference.json"),
        bundle_root=str(models / BUNDLE),
        dataset_dir=str(tmp_path / "data"),
        output_dir=str(tmp_path / "output"),
        source=modality,
        device="cpu",
    )
    expected = nibabel.load(tmp_path / "output" / "case" / f"{makes}.nii.gz")
    values, affine = read_back(series)
    np.testing.assert_allclose(affine, expected.affine, atol=1e-3)
    np.testing.assert_allclose(values, np.asanyarray(expected.dataobj), rtol=0, atol=0.51 * STEP[makes])


def test_values_are_no_bytes(series: Path, makes: str) -> None:
    """The SDK's own operator would leave whole numbers from 0 to 255."""
    values, _ = read_back(series)
    if makes == "ct":
        assert values.min() < -900
    assert values.max() > 255


def test_pydicom_reads_one_series_in_the_study_of_its_source(series: Path, source: Path, makes: str) -> None:
    made, origin = headers(series), pydicom.dcmread(next(source.iterdir()), stop_before_pixels=True)
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert {dataset[keyword].value for dataset in made} == {origin[keyword].value}
    assert {dataset.Modality for dataset in made} == {makes.upper()}
    (uid,) = {dataset.SeriesInstanceUID for dataset in made}
    assert uid != origin.SeriesInstanceUID
    assert {dataset.pixel_array.shape for dataset in made} == {(origin.Rows, origin.Columns)}


def test_every_image_is_marked_and_names_the_one_it_was_made_from(series: Path, source: Path) -> None:
    made = headers(series)
    assert {(dataset.SyntheticData, dataset.ContentQualification) for dataset in made} == {("YES", "RESEARCH")}
    named = [dataset.SourceImageSequence[0].ReferencedSOPInstanceUID for dataset in made]
    origins = {pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID for file in source.iterdir()}
    assert len(named) == len(origins)
    assert {*named} == origins


def test_application_bundle_and_weights_are_told(series: Path, models: Path) -> None:
    told = headers(series)[0].ContributingEquipmentSequence[0].ContributionDescription
    assert f"bundle: {BUNDLE} {Bundle(models / BUNDLE).metadata['version']}" in told
    assert f"weights_sha256: {sha256_of(models / BUNDLE / 'models' / 'model.pt')}" in told
    assert "application: Synthetic " in told


def test_itk_reads_it_on_the_grid_of_its_source(series: Path, source: Path) -> None:
    made, origin = by_itk(series), by_itk(source)
    for name in ("GetSpacing", "GetOrigin", "GetDirection"):
        ours, theirs = (np.asarray(getattr(image, name)()) for image in (made, origin))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    values, _ = read_back(series)
    assert itk.size(made) == itk.size(origin)
    np.testing.assert_allclose(itk.array_view_from_image(made), values.transpose(2, 1, 0), atol=1e-3)


def by_itk(folder: Path) -> itk.Image:
    """The one series in a folder, in its order."""
    names = itk.GDCMSeriesFileNames.New()
    names.SetDirectory(str(folder))
    (uid,) = names.GetSeriesUIDs()
    return itk.imread(list(names.GetFileNames(uid)), itk.F)


@pytest.fixture(scope="module")
def validator() -> str:
    """dciodvfy, of Debian's package dicom3tools."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is absent (apt-get install dicom3tools)")
    return program


def test_a_dicom_validator_finds_no_error(series: Path, validator: str) -> None:
    for file in sorted(series.iterdir()):
        done = subprocess.run([validator, file], capture_output=True, text=True, check=False)
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error") and TOO_NEW not in line]
        assert not errors, (file.name, errors)


def test_the_validator_would_find_one(series: Path, validator: str, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(next(series.iterdir()))
    del dataset.StudyInstanceUID
    dataset.save_as(tmp_path / "broken.dcm")
    done = subprocess.run([validator, tmp_path / "broken.dcm"], capture_output=True, text=True, check=False)
    assert "Missing attribute Type 1" in done.stderr
    assert "StudyInstanceUID" in done.stderr


def test_a_synthetic_series_is_not_translated_back(application: Application, runs: Mapping[str, Run]) -> None:
    back = application(runs["ct"].output, makes="mr")
    assert back.status == 1
    assert "no image series that the rules select" in back.said
    assert not any(back.output.iterdir())


def test_a_hole_in_the_series_is_told_on_one_line_and_nothing_is_written(
    application: Application, study: Path, tmp_path: Path
) -> None:
    shutil.copytree(study / "MR_T1" / "image", tmp_path / "mr")
    (found,) = find_series(tmp_path / "mr")
    slices = series_grid(found)[0][2]
    found.files[slices // 2].unlink()
    run = application(tmp_path / "mr")
    assert run.status == 1
    assert re.search(r"(?m)^.*: found 1 missing slices.*\n  What to do: ", run.said), run.said
    assert not any(run.output.iterdir())


@pytest.mark.parametrize("missing", ["bundle", "weights"])
def test_a_package_without_bundle_or_weights_is_told_and_nothing_else(
    application: Application, models: Path, study: Path, tmp_path: Path, missing: str
) -> None:
    (tmp_path / "models").mkdir()
    if missing == "weights":
        shutil.copytree(models / BUNDLE, tmp_path / "models" / BUNDLE, ignore=shutil.ignore_patterns("model.pt"))
    run = application(study, models=tmp_path / "models")
    found = {"bundle": f"{tmp_path / 'models'}: found no bundle", "weights": "model.pt: found no such file"}
    assert run.status == 1
    assert found[missing] in run.said
    assert "Traceback" not in run.said
