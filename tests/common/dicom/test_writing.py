"""A synthetic volume becomes a valid series in its source's study that every reader reads alike."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import torch
from monai.data import MetaTensor
from pydicom import Dataset

from tests.common.dicom.conftest import OBLIQUE, ORIENTATIONS, by_itk, by_simpleitk
from tests.common.dicom.multiframe import enhanced
from transmodal import __version__
from transmodal.dicom import Series, find_series, read_series, resolve, series_grid, validate_series, write_series
from transmodal.errors import InputError

Source = Callable[..., Series]
TOLD = {"bundle": "ct_mr_a_translation", "weights_sha256": "ab" * 32, "created": "2026-01-31T12:00:05"}
LIKE = {"ct": (-1000.0, 2000.0), "mr": (0.0, 1000.0)}


def image_of(series: Series, modality: str) -> tuple[np.ndarray, np.ndarray]:
    """Another image on the grid of a series, in the units of a modality and with fractions."""
    shape, affine = series_grid(series)
    low, high = LIKE[modality]
    return np.random.default_rng(0).uniform(low, high, shape).astype(np.float32), affine


def written(source: Series, folder: Path, modality: str = "mr", **told: str) -> list[Dataset]:
    files = write_series(folder, *image_of(source, modality), source, modality, TOLD | told)
    return [pydicom.dcmread(file) for file in files]


@pytest.mark.parametrize("modality", ["ct", "mr"])
@pytest.mark.parametrize("step", [3.0, -3.0])
@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_every_reader_finds_the_same_values_on_the_grid_of_the_source(
    source: Source, tmp_path: Path, orientation: list[float], step: float, modality: str
) -> None:
    series = source(orientation=orientation, step=step)
    image, affine = image_of(series, modality)
    write_series(tmp_path / "out", image, affine, series, modality, TOLD)
    rounding = {"ct": 0.5, "mr": 0.05}[modality]
    for read in (by_itk, by_simpleitk, lambda folder: read_series(find_series(folder)[0])):
        other, other_affine = read(tmp_path / "out")
        np.testing.assert_allclose(other, image, atol=rounding * 1.001, rtol=0)
        np.testing.assert_allclose(other_affine, affine, atol=1e-4)
    validate_series(tmp_path / "out", image, affine, modality)


def test_a_tensor_with_other_axes_is_written_the_same(source: Source, tmp_path: Path) -> None:
    series = source(orientation=OBLIQUE)
    image, affine = image_of(series, "ct")
    write_series(tmp_path / "a", image, affine, series, "ct", TOLD)
    flipped = affine @ np.array([[0, -1, 0, 9], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    tensor = MetaTensor(torch.from_numpy(image[::-1].transpose(1, 0, 2).copy()))
    write_series(tmp_path / "b", tensor, flipped, series, "ct", TOLD)
    assert [f.read_bytes() for f in sorted((tmp_path / "a").iterdir())] == [
        f.read_bytes() for f in sorted((tmp_path / "b").iterdir())
    ]


def test_each_image_names_its_own_source_image(source: Source, tmp_path: Path) -> None:
    series = source(step=-3.0)
    for dataset, file in zip(written(series, tmp_path / "out"), series.files, strict=True):
        origin = pydicom.dcmread(file)
        (reference,) = dataset.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == origin.SOPInstanceUID
        assert reference.ReferencedSOPClassUID == origin.SOPClassUID
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert dataset.ImagePositionPatient == origin.ImagePositionPatient
        assert dataset.SliceThickness == 2.5


def test_what_made_it_is_named_with_version_and_hash(source: Source, tmp_path: Path) -> None:
    (equipment,) = written(source(), tmp_path / "out")[0].ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert (equipment.Manufacturer, equipment.SoftwareVersions) == ("transmodal", __version__)
    assert equipment.ManufacturerModelName == "ct_mr_a_translation"
    assert equipment.ContributionDateTime == "20260131120005"
    assert f"weights_sha256: {'ab' * 32}" in equipment.ContributionDescription


def test_study_patient_and_frame_of_reference_are_the_sources_series_and_images_new(
    source: Source, tmp_path: Path
) -> None:
    series = source()
    origin, datasets = pydicom.dcmread(series.files[0]), written(series, tmp_path / "out")
    for name in ("StudyInstanceUID", "PatientID", "PatientName", "FrameOfReferenceUID"):
        assert {str(dataset.get(name)) for dataset in datasets} == {str(origin.get(name))}
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == 4
    assert {dataset.SeriesInstanceUID for dataset in datasets} & {origin.SeriesInstanceUID} == set()
    assert (datasets[0].SeriesNumber, datasets[0].SeriesDate, datasets[0].SeriesTime) == (1004, "20260131", "120005")


def test_a_source_without_a_frame_of_reference_gets_one_for_all_slices(source: Source, tmp_path: Path) -> None:
    datasets = written(source(change=lambda n: {"FrameOfReferenceUID": None}), tmp_path / "out")
    assert len({dataset.FrameOfReferenceUID for dataset in datasets}) == 1
    assert datasets[0].FrameOfReferenceUID.is_valid


def test_nothing_of_the_acquisition_passes_into_the_output(source: Source, tmp_path: Path) -> None:
    of_mr = {"EchoTime": 80, "RepetitionTime": 500, "FlipAngle": 90, "WindowCenter": 500, "WindowWidth": 1000}
    for dataset in written(source(change=lambda n: of_mr), tmp_path / "out_ct", "ct"):
        assert {"EchoTime", "RepetitionTime", "FlipAngle"} & set(dataset.dir()) == set()
        assert (dataset["KVP"].value, dataset.WindowCenter, dataset.WindowWidth) == (None, 40, 400)
        assert not any(element.tag.is_private for element in dataset)
    of_ct = {"KVP": 120, "Exposure": 5, "WindowCenter": 40, "WindowWidth": 400, "EchoTime": 80}
    for dataset in written(source(change=lambda n: of_ct, folder="other", uid="1.2.5"), tmp_path / "out_mr", "mr"):
        assert {"KVP", "Exposure"} & set(dataset.dir()) == set()
        assert dataset["EchoTime"].value is None
        assert 450 < dataset.WindowCenter < 550


def test_images_are_numbered_from_one_in_the_order_of_the_source(source: Source, tmp_path: Path) -> None:
    upwards, downwards = source(), source(step=-3.0, folder="other", uid="1.2.5")
    assert [dataset.InstanceNumber for dataset in written(upwards, tmp_path / "u")] == [1, 2, 3, 4]
    assert [dataset.InstanceNumber for dataset in written(downwards, tmp_path / "d")] == [4, 3, 2, 1]
    assert sorted(file.name for file in (tmp_path / "d").iterdir()) == [f"00000{n}.dcm" for n in (1, 2, 3, 4)]


def test_a_long_description_is_cut_to_64_characters(source: Source, tmp_path: Path) -> None:
    (dataset, *_) = written(source(change=lambda n: {"SeriesDescription": "x" * 64}), tmp_path / "out")
    assert dataset.SeriesDescription == "SYNTHETIC MR (AI) from " + "x" * 41


def test_ct_is_in_whole_hounsfield_units_from_minus_1024(source: Source, tmp_path: Path) -> None:
    series = source()
    image, affine = image_of(series, "ct")
    image[0, 0, 0], image[1, 0, 0] = -1024, -3024  # a scanner's padding lies below air
    (file, *_) = write_series(tmp_path / "out", image, affine, series, "ct", TOLD)
    dataset = pydicom.dcmread(file)
    assert (dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType) == (1, -1024, "HU")
    assert (dataset.BitsStored, dataset.PixelRepresentation) == (16, 1)
    assert dataset.pixel_array[0, :2].tolist() == [0, -2000]


@pytest.mark.parametrize(("top", "slope"), [(1000, 0.1), (1.0, 0.0001), (30000, 1), (90000, 10)])
def test_mr_has_the_finest_decimal_step_that_fits(source: Source, tmp_path: Path, top: float, slope: float) -> None:
    series = source()
    image, affine = image_of(series, "mr")
    (file, *_) = write_series(tmp_path / "out", image * top / 1000, affine, series, "mr", TOLD)
    dataset = pydicom.dcmread(file)
    assert (dataset.RescaleSlope, dataset.RescaleIntercept) == (slope, 0)


def test_the_same_call_gives_the_same_bytes_and_other_pixels_other_identifiers(source: Source, tmp_path: Path) -> None:
    series = source()
    image, affine = image_of(series, "ct")
    for folder, moved in (("a", 0), ("b", 0), ("c", 1)):
        write_series(tmp_path / folder, image + moved, affine, series, "ct", TOLD)
    a, b, c = ([f.read_bytes() for f in sorted((tmp_path / name).iterdir())] for name in "abc")
    assert a == b
    uids = [pydicom.dcmread(tmp_path / name / "000001.dcm").SOPInstanceUID for name in "ac"]
    assert uids[0] != uids[1]
    assert a != c


def test_without_a_moment_it_is_the_present_one(source: Source, tmp_path: Path) -> None:
    series = source()
    (file, *_) = write_series(tmp_path / "out", *image_of(series, "mr"), series, "mr", {})
    assert pydicom.dcmread(file).SeriesDate >= "20260101"


@pytest.mark.parametrize("below", [False, True])
def test_a_file_in_the_place_of_the_folder_is_refused(source: Source, tmp_path: Path, below: bool) -> None:
    file = tmp_path / "notes.txt"
    file.touch()
    with pytest.raises(InputError, match=r"notes\.txt: found a file; wanted a folder to write into"):
        written(source(), file / "out" if below else file)


def test_lossy_compression_in_the_past_of_the_source_is_told(source: Source, tmp_path: Path) -> None:
    lossy = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": 8,
        "LossyImageCompressionMethod": "ISO_10918_1",
    }
    dataset = written(source(change=lambda n: lossy), tmp_path / "out")[0]
    assert (dataset.LossyImageCompression, dataset.LossyImageCompressionRatio) == ("01", 8)


def test_frames_of_a_multi_frame_source_become_images_that_name_them(tmp_path: Path) -> None:
    series = resolve(find_series(enhanced(tmp_path / "out_ct", [6, 3, 0]))[0])
    datasets = written(series, tmp_path / "out", "ct")
    assert [dataset.SourceImageSequence[0].ReferencedFrameNumber for dataset in datasets] == [3, 2, 1]
    assert [dataset.ImagePositionPatient[2] for dataset in datasets] == [0, 3, 6]
    assert {dataset.SliceThickness for dataset in datasets} == {3}
    validate_series(tmp_path / "out", *image_of(series, "ct"), "ct")


def test_a_single_slice_is_written_too(source: Source, tmp_path: Path) -> None:
    series = source(count=1)
    image, affine = image_of(series, "ct")
    write_series(tmp_path / "out", image[..., 0], affine, series, "ct", TOLD)
    validate_series(tmp_path / "out", image, affine, "ct")


def test_an_earlier_output_is_replaced_whole(source: Source, tmp_path: Path) -> None:
    written(source(count=5), tmp_path / "out")
    written(source(count=3, folder="other", uid="1.2.5"), tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 3


@pytest.mark.parametrize("name", ["notes.txt", "000.dcm"])
def test_a_folder_with_anything_else_is_left_alone(source: Source, tmp_path: Path, name: str) -> None:
    series = source()
    home = series.files[0].parent if name == "000.dcm" else tmp_path / "out"
    home.mkdir(exist_ok=True)
    if name == "notes.txt":
        (home / name).touch()
    with pytest.raises(InputError, match=rf"found other files in the output folder \({name}\)"):
        written(series, home)
    assert (home / name).exists()


@pytest.mark.parametrize("earlier", [False, True])
def test_a_failure_leaves_nothing_half(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: bool
) -> None:
    series, out = source(), tmp_path / "place/out"
    before = [dataset.SOPInstanceUID for dataset in written(series, out, seed="1")] if earlier else []
    write, calls = pydicom.dcmwrite, []

    def fail_at_the_third(*given: Any, **named: Any) -> None:
        calls.append(given)
        if len(calls) == 3:
            raise OSError("no space left on device")
        write(*given, **named)

    monkeypatch.setattr("pydicom.dcmwrite", fail_at_the_third)
    with pytest.raises(OSError, match="no space left"):
        written(series, out, seed="2")
    assert [entry.name for entry in out.parent.iterdir()] == ["out"] * earlier
    assert [pydicom.dcmread(file).SOPInstanceUID for file in sorted(out.glob("*"))] == before


def test_an_earlier_output_comes_back_if_the_new_one_cannot_take_its_name(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series, out = source(), tmp_path / "place/out"
    before = [dataset.SOPInstanceUID for dataset in written(series, out, seed="1")]
    rename = os.replace

    def refuse_the_new_one(old: Path, new: Path) -> None:
        if "partial" in old.name:
            raise OSError("the disk is gone")
        rename(old, new)

    monkeypatch.setattr("os.replace", refuse_the_new_one)
    with pytest.raises(OSError, match="the disk is gone"):
        written(series, out, seed="2")
    assert [entry.name for entry in out.parent.iterdir()] == ["out"]
    assert [pydicom.dcmread(file).SOPInstanceUID for file in sorted(out.iterdir())] == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"modality": "pt"}, "found the modality 'pt'; wanted ct or mr"),
        ({"affine": np.eye(4)}, "an image on another grid than this series"),
        ({"image": np.full((10, 12, 4), np.nan)}, "values that are NaN or infinite"),
        ({"image": np.full((10, 12, 4), 40000.0)}, r"values from 4e\+04 to 4e\+04; wanted Hounsfield units"),
        ({"provenance": {"created": "yesterday"}}, "found created: 'yesterday'; wanted a moment"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is(
    source: Source, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    series = source()
    image, affine = image_of(series, "ct")
    given = {"image": image, "affine": affine, "source": series, "modality": "ct", "provenance": TOLD} | change
    with pytest.raises(InputError, match=told):
        write_series(tmp_path / "place/out", **given)
    assert not (tmp_path / "place").exists()


@pytest.mark.parametrize(("number", "modality"), [(0, "mr"), (1, "ct")], ids=["CT to MR", "MR to CT"])
def test_the_real_series_come_out_valid_and_are_read_alike(
    shared: Path, tmp_path: Path, number: int, modality: str
) -> None:
    series = resolve(find_series(shared / "data/dicom_ct_mr")[number])
    image, affine = image_of(series, modality)
    datasets = written(series, tmp_path / "out", modality)
    assert (datasets[0].InstanceNumber, datasets[0].SpecificCharacterSet) == (1, "ISO_IR 192")
    assert len(datasets[0].StudyID) == 16
    for read in (by_itk, by_simpleitk):
        other, other_affine = read(tmp_path / "out")
        np.testing.assert_allclose(other, image, atol={"ct": 0.5, "mr": 0.05}[modality] * 1.001, rtol=0)
        np.testing.assert_allclose(other_affine, affine, atol=1e-4)
    validate_series(tmp_path / "out", image, affine, modality)
