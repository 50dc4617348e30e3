"""Images of other formats as DICOM: what every reader finds, of no patient, and the source of what is derived."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from tests.common.dicom.conftest import by_itk, by_simpleitk
from transmodal.dicom import (
    find_series,
    read_radiograph,
    read_series,
    validate_series,
    wrap_picture,
    wrap_volume,
    write_apart,
    write_series,
)
from transmodal.errors import InputError

WHEN = datetime(2026, 1, 31, 12, 0, 5)
AFFINE = np.array([[0, -1.2, 1.6, 5.0], [-2.0, 0, 0, 7.0], [0, 1.6, 1.2, -3.0], [0, 0, 0, 1.0]])
TOLD = {"created": "2026-01-31T12:00:05", "bundle": "b"}


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 2000, (6, 7, 5)).astype(np.float32)


@pytest.mark.parametrize("modality", ["ct", "mr"])
def test_every_reader_finds_the_volume(tmp_path: Path, image: np.ndarray, modality: str) -> None:
    values = image if modality == "ct" else np.abs(image)
    series = wrap_volume(tmp_path / "out", values, AFFINE, modality, "scan.nii.gz", WHEN)
    expected, affine = read_series(series)
    np.testing.assert_allclose(np.sort(expected.ravel()), np.sort(values.ravel()), atol=0.5)
    for read in (by_itk, by_simpleitk):
        found, other = read(tmp_path / "out")
        np.testing.assert_allclose(found, expected, atol=1e-3)
        np.testing.assert_allclose(other, affine, atol=1e-4)


def test_it_is_of_no_patient_and_named_after_the_file(tmp_path: Path, image: np.ndarray) -> None:
    series = wrap_volume(tmp_path / "out", image, AFFINE, "ct", "my scan.nii.gz", WHEN)
    header = pydicom.dcmread(series.files[0])
    assert str(header.PatientName) == "NO^PATIENT"
    assert header.SeriesDescription == "my scan.nii.gz"
    assert header.ImageType[:2] == ["DERIVED", "SECONDARY"]
    assert "SyntheticData" not in header


def test_the_same_image_gives_the_same_files(tmp_path: Path, image: np.ndarray) -> None:
    first = wrap_volume(tmp_path / "a", image, AFFINE, "ct", "scan", WHEN)
    second = wrap_volume(tmp_path / "b", image, AFFINE, "ct", "scan", WHEN)
    assert [file.read_bytes() for file in first.files] == [file.read_bytes() for file in second.files]


@pytest.mark.parametrize(
    ("modality", "change"),
    [
        ("ct", {"affine": AFFINE * [[2], [2], [2], [1]]}),
        ("ct", {"affine": AFFINE + np.diag([9.0, 0, 0, 0])[:, [1, 2, 3, 0]]}),
        ("mr", {"scale": 10}),
        ("ct", {"name": "another"}),
        ("ct", {"when": WHEN + timedelta(seconds=1)}),
    ],
    ids=["spacing", "place", "rescale", "name", "moment"],
)
def test_files_that_differ_share_no_identifier(
    tmp_path: Path, image: np.ndarray, modality: str, change: dict[str, Any]
) -> None:
    def identifiers(folder: str, affine: np.ndarray, scale: float, name: str, when: datetime) -> set[str]:
        series = wrap_volume(tmp_path / folder, np.abs(image) * scale, affine, modality, name, when)
        keywords = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
        return {str(pydicom.dcmread(file)[keyword].value) for file in series.files for keyword in keywords}

    given = {"affine": AFFINE, "scale": 1, "name": "scan", "when": WHEN}
    assert not identifiers("a", **given) & identifiers("b", **(given | change))


def test_pictures_at_two_moments_share_no_identifier(tmp_path: Path) -> None:
    picture = np.linspace(0, 1, 30).reshape(5, 6)
    a, b = (wrap_picture(tmp_path / str(hour), picture, "chest", WHEN.replace(hour=hour)) for hour in (1, 2))
    first, second = pydicom.dcmread(a.files[0]), pydicom.dcmread(b.files[0])
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.StudyInstanceUID != second.StudyInstanceUID


def test_a_translation_on_its_grid_names_it_as_its_source(tmp_path: Path, image: np.ndarray) -> None:
    source = wrap_volume(tmp_path / "source", image, AFFINE, "ct", "scan", WHEN)
    write_series(tmp_path / "out", np.abs(image), AFFINE, source, "mr", TOLD)
    validate_series(tmp_path / "out", np.abs(image), AFFINE, "mr")
    named = {
        pydicom.dcmread(file).SourceImageSequence[0].ReferencedSOPInstanceUID for file in (tmp_path / "out").iterdir()
    }
    assert named == {pydicom.dcmread(file).SOPInstanceUID for file in source.files}


def test_another_modality_is_refused(tmp_path: Path, image: np.ndarray) -> None:
    with pytest.raises(InputError, match="found the modality 'pet'; wanted ct or mr"):
        wrap_volume(tmp_path / "out", image, AFFINE, "pet", "scan")
    assert not (tmp_path / "out").exists()


def test_a_picture_becomes_one_capture_in_grey(tmp_path: Path) -> None:
    picture = np.linspace(-3, 9, 30).reshape(5, 6)
    series = wrap_picture(tmp_path / "out", picture, "chest.png", WHEN)
    (file,) = series.files
    stored = pydicom.dcmread(file)
    np.testing.assert_allclose(stored.pixel_array, np.linspace(0, 65535, 30).reshape(5, 6), atol=0.5)
    assert stored.SOPClassUID == pydicom.uid.SecondaryCaptureImageStorage
    assert read_radiograph(file).values.shape == (5, 6)


def test_a_volume_apart_belongs_to_the_study_of_its_source_and_to_no_place_in_it(
    tmp_path: Path, image: np.ndarray
) -> None:
    source = wrap_picture(tmp_path / "source", np.linspace(0, 1, 30).reshape(5, 6), "chest.png", WHEN)
    files = write_apart(tmp_path / "out", image, AFFINE, source, "ct", TOLD)
    validate_series(tmp_path / "out", image, AFFINE, "ct")
    original, made = pydicom.dcmread(source.files[0]), [pydicom.dcmread(file) for file in files]
    assert {header.StudyInstanceUID for header in made} == {original.StudyInstanceUID}
    assert len({header.FrameOfReferenceUID for header in made}) == 1
    (origin,) = made[0].SourceImageSequence
    assert origin.ReferencedSOPInstanceUID == original.SOPInstanceUID
    assert origin.SpatialLocationsPreserved == "NO"
    assert [header.InstanceNumber for header in made] == [*range(1, len(made) + 1)]
    (series,) = find_series(tmp_path / "out")
    assert series.kind == "synthetic"


SHEARED = AFFINE @ np.array([[1, 0, 0.4, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize(
    ("shape", "affine", "told"),
    [
        ((6, 7, 5, 2), AFFINE, r"found an array of \(6, 7, 5, 2\), float64; wanted one grey value per pixel"),
        ((6, 7, 5), np.diag([1.0, 1, 0, 1]), "found an affine that places no voxels"),
        ((6, 7, 5), np.eye(3), "found an affine that places no voxels"),
        ((6, 7, 5), SHEARED, "found a sheared affine: axes lean on each other by [0-9.]+ mm"),
    ],
    ids=["4-D", "singular", "3 x 3", "sheared"],
)
def test_a_volume_that_dicom_cannot_hold_is_refused_and_nothing_is_written(
    tmp_path: Path, shape: tuple[int, ...], affine: np.ndarray, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        wrap_volume(tmp_path / "out", np.zeros(shape), affine, "ct", "scan", WHEN)
    assert not (tmp_path / "out").exists()


def test_colours_are_refused(tmp_path: Path) -> None:
    rgb = np.zeros((6, 7, 5), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match="wanted one grey value per pixel"):
        wrap_volume(tmp_path / "out", rgb, AFFINE, "ct", "scan", WHEN)


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (np.full((5, 6), np.nan), "chest.png: found values that are NaN or infinite"),
        (np.zeros((5, 6, 3)), r"chest.png: found an array of \(5, 6, 3\), float64; wanted one grey value"),
        (np.zeros((0, 6)), r"found an array of \(0, 6\)"),
    ],
    ids=["NaN", "RGB", "empty"],
)
def test_a_picture_that_is_none_is_refused_and_nothing_is_written(
    tmp_path: Path, picture: np.ndarray, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        wrap_picture(tmp_path / "out", picture, "chest.png", WHEN)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["volume", "picture"])
def test_nothing_is_written_over_another_series(tmp_path: Path, image: np.ndarray, kind: str) -> None:
    (file, *_) = wrap_volume(tmp_path / "out", image, AFFINE, "ct", "scan", WHEN).files
    before = file.read_bytes()
    write: dict[str, Callable[[Path], object]] = {
        "volume": lambda folder: wrap_volume(folder, image + 1, AFFINE, "ct", "scan", WHEN),
        "picture": lambda folder: wrap_picture(folder, image[..., 0], "chest", WHEN),
    }
    with pytest.raises(InputError, match=r"found files in the output folder \(000001.dcm\)"):
        write[kind](tmp_path / "out")
    assert file.read_bytes() == before


def test_an_empty_folder_is_written_into(tmp_path: Path, image: np.ndarray) -> None:
    assert len(wrap_volume(tmp_path, image, AFFINE, "ct", "scan", WHEN).files) == len(list(tmp_path.iterdir()))


def test_a_translation_apart_of_another_place_or_scale_has_identifiers_of_its_own(
    tmp_path: Path, image: np.ndarray
) -> None:
    source = wrap_picture(tmp_path / "source", np.linspace(0, 1, 30).reshape(5, 6), "chest.png", WHEN)
    values = np.abs(image)
    calls = {"a": (values, AFFINE), "b": (values, AFFINE * 2), "c": (values * 10, AFFINE)}
    calls["b"][1][3, 3] = 1
    made = [write_apart(tmp_path / name, *given, source, "mr", TOLD) for name, given in calls.items()]
    assert len({pydicom.dcmread(files[0]).SOPInstanceUID for files in made}) == 3
