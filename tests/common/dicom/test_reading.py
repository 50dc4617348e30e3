"""A series read by pydicom is what ITK and SimpleITK read, wherever its slices lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian, JPEG2000Lossless, MRImageStorage, RLELossless

from tests.common.dicom.conftest import AXIAL, ORIENTATIONS, by_itk, by_simpleitk
from tests.common.dicom.multiframe import enhanced, group
from transmodal.dicom import Series, check_dicom_folder, find_series, read_series, resolve, series_grid, staged
from transmodal.errors import InputError

Source = Callable[..., Series]


@pytest.mark.parametrize("step", [3.0, -3.0])
@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_values_and_affine_are_those_of_the_other_readers(
    source: Source, orientation: list[float], step: float
) -> None:
    series = source(orientation=orientation, step=step)
    volume, affine = read_series(series)
    for read in (by_itk, by_simpleitk):
        other, other_affine = read(series.files[0].parent)
        np.testing.assert_array_equal(volume, other)
        np.testing.assert_allclose(affine, other_affine, atol=1e-4)


def test_the_grid_is_told_without_the_pixels(source: Source) -> None:
    series = source()
    shape, affine = series_grid(series)
    assert shape == (10, 12, 4)
    expected = [[-2.25, 0, 0, 7.5], [0, -1.5, 0, -12.25], [0, 0, 3, 300], [0, 0, 0, 1]]  # columns 2.25 mm apart
    np.testing.assert_allclose(affine, expected)


def test_values_of_each_file_are_rescaled_by_its_own_attributes(source: Source) -> None:
    series = source(change=lambda n: {"RescaleSlope": 1 + n, "RescaleIntercept": -n})
    volume, _ = read_series(series)
    np.testing.assert_array_equal(volume, by_itk(series.files[0].parent)[0])


def test_values_without_a_rescale_are_as_stored(source: Source) -> None:
    series = source(change=lambda n: {"RescaleSlope": None, "RescaleIntercept": None})
    assert read_series(series)[0].min() >= 0


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless])
def test_other_encodings_hold_the_same_values(source: Source, syntax: str) -> None:
    series = source()
    plain, _ = read_series(series)
    for file in series.files:
        dataset = pydicom.dcmread(file)
        if syntax == RLELossless:
            dataset.compress(RLELossless)
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(file, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    np.testing.assert_array_equal(read_series(resolve(series))[0], plain)


def test_pixels_without_a_decoder_are_refused(source: Source) -> None:
    series = source(count=1)
    dataset = pydicom.dcmread(series.files[0])
    dataset.PixelData = pydicom.encaps.encapsulate([b"\x00" * 16])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.save_as(series.files[0])
    with pytest.raises(InputError, match=r"000\.dcm: found pixels that cannot be decoded"):
        read_series(series)


def test_frames_of_one_file_are_the_slices(tmp_path: Path) -> None:
    (series,) = find_series(enhanced(tmp_path / "ct", [6, 3, 0]))
    volume, affine = read_series(resolve(series))
    assert volume.shape == (10, 12, 3)
    assert [float(value) for value in volume[0, 0]] == [240, 120, 0]  # the last frame lies lowest
    np.testing.assert_allclose(affine[:3, 2:], [[0, 0], [0, 0], [3, 0]])


def test_frames_in_no_order_are_sorted(tmp_path: Path) -> None:
    (series,) = find_series(enhanced(tmp_path / "ct", [0, 6, 3, 9]))
    assert read_series(resolve(series))[0][0, 0].tolist() == [0, 240, 120, 360]


def test_a_single_slice_is_as_thick_as_it_says(source: Source) -> None:
    _, affine = read_series(source(count=1))
    assert affine[2, 2] == 2.5


def test_staged_files_are_those_of_the_series_and_no_others(source: Source, stack: Callable[..., Path]) -> None:
    series = source(orientation=AXIAL)
    stack(3, uid="1.2.4", prefix="other")
    with staged(series) as folder:
        assert len(list(folder.iterdir())) == 4
        np.testing.assert_array_equal(by_itk(folder)[0], read_series(series)[0])
    assert not folder.exists()
    assert all(file.exists() for file in series.files)


def test_staged_files_are_not_divided_by_the_reader(source: Source) -> None:
    series = source(change=lambda n: {"SliceThickness": 2.5 if n else 2.49, "SequenceName": "ab"[n > 1]})
    with staged(series) as folder:
        check_dicom_folder(folder)
        np.testing.assert_array_equal(by_itk(folder)[0], read_series(series)[0])
    assert [pydicom.dcmread(file).SliceThickness for file in series.files] == [2.49, 2.5, 2.5, 2.5]


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize(
    "rescale",
    [
        lambda n: {"RescaleSlope": 1 + 40 * n, "RescaleIntercept": -n, "BitsStored": 12, "HighBit": 11},
        lambda n: {"RescaleSlope": 1 if n < 2 else 0.3, "RescaleIntercept": 0},
        lambda n: {"RescaleSlope": f"{0.00123 * (n + 1):.5f}" if n else 1, "RescaleIntercept": 0.5 * n},
    ],
    ids=["wrapping", "fractions cut", "fine steps"],
)
def test_staged_files_with_several_slopes_are_read_alike(
    source: Source, rescale: Callable[[int], dict[str, object]], modality: str
) -> None:
    storage = CTImageStorage if modality == "CT" else MRImageStorage
    series = source(change=lambda n: {"Modality": modality, "SOPClassUID": storage, **rescale(n)})
    volume, affine = read_series(series)
    original = series.files[0].parent
    assert not np.array_equal(by_itk(original)[0], volume), "the reader has learned it: staging need not change it"
    with pytest.raises(InputError, match=r"different rescale slopes and intercepts \(.* reader gets values wrong"):
        check_dicom_folder(original)
    with staged(series) as folder:
        check_dicom_folder(folder)
        for read in (by_itk, by_simpleitk):
            other, other_affine = read(folder)
            np.testing.assert_allclose(other, volume, rtol=0, atol=1e-7 * np.abs(volume).max())
            np.testing.assert_allclose(other_affine, affine, atol=1e-4)


def test_slopes_that_the_reader_gets_right_pass(source: Source) -> None:
    series = source(change=lambda n: {"RescaleSlope": 0.5 + n, "RescaleIntercept": -n})
    check_dicom_folder(series.files[0].parent)
    np.testing.assert_array_equal(by_itk(series.files[0].parent)[0], read_series(series)[0])


def test_frames_with_several_slopes_are_staged_with_one(tmp_path: Path) -> None:
    folder = enhanced(tmp_path / "ct", [0, 3, 6])
    file = next(folder.iterdir())
    dataset = pydicom.dcmread(file)
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        values = {"RescaleSlope": 1 + number, "RescaleIntercept": -number, "RescaleType": "HU"}
        frame.update(group(PixelValueTransformationSequence=values))
    dataset.save_as(file)
    with pytest.raises(InputError, match="3 different rescale slopes"):
        check_dicom_folder(folder)
    series = resolve(find_series(folder)[0])
    with staged(series) as place:
        check_dicom_folder(place)
        np.testing.assert_array_equal(by_itk(place)[0], read_series(series)[0])


def test_staged_files_are_copied_where_there_are_no_links(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("links need a privilege")

    monkeypatch.setattr("os.symlink", refuse)
    with staged(source()) as folder:
        assert [entry.is_symlink() for entry in folder.iterdir()] == [False] * 4


def test_the_real_series_are_what_itk_reads(shared: Path) -> None:
    for series in find_series(shared / "data/dicom_ct_mr"):
        volume, affine = read_series(resolve(series))
        other, other_affine = by_itk(series.files[0].parent)
        np.testing.assert_array_equal(volume, other)
        np.testing.assert_allclose(affine, other_affine, atol=1e-4)
