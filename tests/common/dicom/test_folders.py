"""DICOM folders: what is one upright series passes, and each way of not being one is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from monai.transforms import LoadImage
from pydicom.uid import HTJ2KLossless, RLELossless, RTStructureSetStorage

from tests.common.dicom.multiframe import enhanced
from transmodal.dicom import check_dicom_folder, is_dicom_folder
from transmodal.errors import InputError

Series = Callable[..., Path]


def refuses(folder: Path, told: str, modality: str | None = None) -> None:
    with pytest.raises(InputError, match=told):
        check_dicom_folder(folder, modality)


def test_an_upright_series_passes_and_is_read_with_its_spacing(series: Series) -> None:
    folder = series()
    check_dicom_folder(folder, "ct")
    image = LoadImage(image_only=True)(str(folder))
    assert tuple(image.shape) == (10, 12, 5)
    np.testing.assert_allclose(np.diag(image.affine)[:3], [-2, -2, 3])


def test_an_oblique_series_passes(series: Series) -> None:
    cosine, sine = np.cos(0.3), np.sin(0.3)
    normal = np.array([0, -sine, cosine])
    orientation = [1, 0, 0, 0, cosine, sine]
    check_dicom_folder(
        series(5, lambda n: {"ImageOrientationPatient": orientation, "ImagePositionPatient": [*(3 * n * normal)]})
    )


def test_positions_rounded_by_the_scanner_pass(series: Series) -> None:
    check_dicom_folder(series(6, lambda n: {"ImagePositionPatient": [0, 0, round(0.625 * n, 2)]}))


def test_a_single_image_needs_no_position(series: Series) -> None:
    check_dicom_folder(series(1, lambda n: {"ImagePositionPatient": None, "ImageOrientationPatient": None}))


def test_the_real_series_pass(shared: Path) -> None:
    check_dicom_folder(shared / "data/dicom_ct_mr/CT/image", "ct")
    check_dicom_folder(shared / "data/dicom_ct_mr/MR_T1/image", "mr")


def test_a_real_structure_set_beside_the_images_is_passed_over(shared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(shared / "data/dicom_ct_mr/CT/image", tmp_path / "ct")
    shutil.copy(shared / "data/dicom_ct_mr/CT/RS.dcm", folder / "000_RS.dcm")
    check_dicom_folder(folder)
    assert LoadImage(image_only=True)(str(folder)).shape[2] == 48


def test_two_real_series_in_one_folder_are_listed(shared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(shared / "data/dicom_ct_mr/CT/image", tmp_path / "both")
    for file in (shared / "data/dicom_ct_mr/MR_T1/image").iterdir():
        shutil.copy(file, folder / f"mr_{file.name}")
    refuses(folder, r"several DICOM series in one folder: (?=.*CT 'IBSI_1_STS_002_CT_image', 48 f)(?=.*MR .*35 f)")


def test_series_are_listed_with_their_uids_and_the_remedy(series: Series) -> None:
    series(4, prefix="a")
    folder = series(2, lambda n: {"SeriesDescription": "scout"}, uid="1.2.4", prefix="b")
    refuses(folder, r"CT 'axial', 4 files, 1\.2\.3; CT 'scout', 2 files, 1\.2\.4; wanted one series")


def test_text_beside_the_images_is_passed_over(series: Series) -> None:
    folder = series()
    (folder / "notes.txt").write_text("axial", encoding="utf-8")
    check_dicom_folder(folder)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    refuses(tmp_path, "found an empty folder; wanted the files of one DICOM image series")


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").touch()
    (tmp_path / "image").mkdir()
    refuses(tmp_path, r"a folder without DICOM images \(ct\.nii\.gz, image/\)")
    assert not is_dicom_folder(tmp_path)


def test_a_folder_with_nothing_but_a_structure_set_is_refused(series: Series) -> None:
    folder = series(1, lambda n: {"Modality": "RTSTRUCT", "SOPClassUID": RTStructureSetStorage})
    refuses(folder, r"a folder without DICOM images \(1 DICOM RTSTRUCT\)")


def test_the_modality_the_files_tell_is_compared(series: Series) -> None:
    folder = series(2, lambda n: {"Modality": "MR"})
    refuses(folder, "DICOM files of the modality MR; wanted the modality CT", modality="ct")
    check_dicom_folder(folder, "mr")
    check_dicom_folder(folder, "t1")


def test_missing_slices_are_counted_and_placed(series: Series) -> None:
    folder = series(8)
    for number in (3, 4):
        (folder / f"{number:03d}.dcm").unlink()
    refuses(folder, r"2 missing slices, between 6\.0 and 15\.0 mm: steps of 3\.00 to 9\.00 mm, usually 3\.00 mm")


def test_uneven_spacing_is_refused(series: Series) -> None:
    refuses(
        series(6, lambda n: {"ImagePositionPatient": [0, 0, 3.0 * n + (1.2 if n > 3 else 0)]}),
        r"uneven slice spacing, widest between 9\.0 and 13\.2 mm: steps of 3\.00 to 4\.20 mm",
    )


def test_gantry_tilt_is_refused_with_its_angle(series: Series) -> None:
    shift = 3 * np.tan(np.radians(15))
    folder = series(6, lambda n: {"ImagePositionPatient": [0, shift * n, 3.0 * n]})
    refuses(folder, r"gantry tilt: slices shift by 4\.0 mm over the stack \(15\.0 degrees\)")


def test_several_images_at_one_position_are_refused(series: Series) -> None:
    refuses(series(6, lambda n: {"ImagePositionPatient": [0, 0, 3.0 * (n % 3)]}), "several images at one position")


def test_a_localizer_within_the_series_is_refused(series: Series) -> None:
    folder = series(5, lambda n: {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1] if n == 0 else [1, 0, 0, 0, 1, 0]})
    refuses(folder, r"slices of different orientation: .* in 4, .* in 1; wanted one orientation")


def test_slices_of_different_sizes_are_refused(series: Series) -> None:
    refuses(series(3, lambda n: {"Rows": 12 if n else 6}), r"slices of different size: \(12, 10\) in 2, \(6, 10\) in 1")


def test_slices_without_a_position_are_refused(series: Series) -> None:
    refuses(series(3, lambda n: {"ImagePositionPatient": None}), "3 of 3 slices without position or orientation")


def test_a_compression_the_reader_lacks_is_refused(series: Series) -> None:
    folder = series(2)
    header = pydicom.dcmread(folder / "001.dcm")
    header.PixelData = pydicom.encaps.encapsulate([b"\x00" * 16])
    header["PixelData"].is_undefined_length = True
    header.file_meta.TransferSyntaxUID = HTJ2KLossless
    header.save_as(folder / "001.dcm")
    refuses(folder, r"001\.dcm: found pixels compressed as High-Throughput JPEG 2000 .*; wanted uncompressed, RLE")


def test_a_compression_the_reader_has_passes(series: Series) -> None:
    folder = series(3)
    for file in folder.iterdir():
        header = pydicom.dcmread(file)
        header.compress(RLELossless)
        header.save_as(file)
    check_dicom_folder(folder)
    assert float(LoadImage(image_only=True)(str(folder)).min()) == -1000


def test_compressed_pixels_that_end_early_are_refused(series: Series) -> None:
    folder = series(3)
    header = pydicom.dcmread(folder / "002.dcm")
    header.compress(RLELossless)
    header.save_as(folder / "002.dcm")
    cut(folder / "002.dcm", -20)
    refuses(folder, r"002\.dcm: found a DICOM file that cannot be read \(its pixels end early\)")


def test_pixels_that_end_early_are_refused(series: Series) -> None:
    folder = series(3)
    cut(folder / "002.dcm", -20)
    refuses(folder, r"002\.dcm: found a DICOM file that cannot be read \(its pixels end early\)")


@pytest.mark.parametrize("size", [200, 400])
def test_a_header_that_ends_early_is_refused(series: Series, size: int) -> None:
    folder = series(3)
    cut(folder / "002.dcm", size)
    refuses(folder, r"002\.dcm: found a DICOM file that cannot be read \(its header ends early\)")


def test_the_last_slice_losing_its_end_is_refused(shared: Path, tmp_path: Path) -> None:
    """The reader drops such a file, and at the end of a stack no gap betrays it."""
    folder = shutil.copytree(shared / "data/dicom_ct_mr/CT/image", tmp_path / "ct")
    cut(folder / "000047.dcm", 30_000)
    assert LoadImage(image_only=True)(str(folder)).shape[2] == 47
    refuses(folder, r"000047\.dcm: found a DICOM file that cannot be read \(its pixels end early\)")


def test_a_dicom_file_in_name_only_is_refused(series: Series) -> None:
    folder = series(3)
    (folder / "001.dcm").write_bytes(b"<html>not found</html>")
    refuses(folder, r"001\.dcm: found a DICOM file that cannot be read")


def test_a_screen_capture_is_refused(series: Series) -> None:
    folder = series(1, lambda n: {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"})
    refuses(folder, r"3 values per pixel \(RGB\)")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("SliceThickness", (3, 3.1)),
        ("SeriesNumber", (1, 2)),
        ("SequenceName", ("a", "b")),
        ("SeriesDate", ("20200101", "20200102")),
    ],
)
def test_a_stack_of_which_the_reader_takes_a_part_is_refused(
    series: Series, name: str, values: tuple[Any, Any]
) -> None:
    """MONAI has ITK divide a series by these and reads the first part, with no more than a line in the log."""
    folder = series(5, lambda n: {name: values[n > 1]})
    assert LoadImage(image_only=True)(str(folder)).shape[2] == 2
    refuses(
        folder, rf"slices of one stack with different {name} \('.*' in 3, '.*' in 2\), of which the reader takes one"
    )


@pytest.mark.parametrize("kind", ["MONOCHROME1", "PALETTE COLOR"])
def test_pixels_that_the_reader_would_turn_into_other_values_are_refused(series: Series, kind: str) -> None:
    """Of an inverted CT, GDCM makes HU of the wrong sign; of a palette, colours."""
    folder = series(2, lambda n: {"PhotometricInterpretation": kind})
    refuses(folder, rf"(shown inverted|from a palette) \({kind}\); wanted MONOCHROME2")


def test_an_enhanced_multi_frame_object_passes(tmp_path: Path) -> None:
    folder = enhanced(tmp_path / "ct", [0, 3, 6, 9])
    check_dicom_folder(folder, "ct")
    assert LoadImage(image_only=True)(str(folder)).shape[2] == 4


def test_frames_in_falling_order_pass(tmp_path: Path) -> None:
    folder = enhanced(tmp_path / "ct", [9, 6, 3, 0])
    check_dicom_folder(folder, "ct")
    assert LoadImage(image_only=True)(str(folder)).affine[2, 2:].tolist() == [-3, 9]


def test_frames_in_no_order_are_refused(tmp_path: Path) -> None:
    """ITK stacks them as they come, one millimetre apart and with the spacing of nothing."""
    refuses(enhanced(tmp_path / "ct", [0, 6, 3, 9]), r"all\.dcm: found frames that are not in the order of their pos")


def test_a_missing_frame_of_an_enhanced_object_is_refused(tmp_path: Path) -> None:
    refuses(enhanced(tmp_path / "ct", [0, 3, 9, 12]), "1 missing slices, between 3.0 and 9.0 mm")


def cut(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])
