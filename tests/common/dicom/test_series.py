"""What is found in a tree of DICOM files, what is put right, and what is refused and as what."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, RTStructureSetStorage

from tests.common.dicom.conftest import AXIAL, CORONAL, SAGITTAL
from transmodal.dicom import Series, find_series, resolve
from transmodal.errors import InputError

Stack = Callable[..., Path]
COLOUR = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "BitsAllocated": 8, "PixelData": bytes(360)}


def edit(file: Path, **attributes: Any) -> None:
    dataset = pydicom.dcmread(file)
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.save_as(file)


def only(folder: Path) -> Series:
    (found,) = find_series(folder)
    return found


def refuses(folder: Path, told: str) -> None:
    with pytest.raises(InputError, match=told):
        resolve(only(folder))


def test_a_series_tells_what_it_is(stack: Stack) -> None:
    found = only(stack())
    assert (found.uid, found.modality, found.number, found.description) == ("1.2.3", "ct", 4, "axial")
    assert (found.kind, found.notes) == ("image", ())


def test_files_are_in_the_order_of_their_slices_not_of_their_names(stack: Stack) -> None:
    found = only(stack(4, step=-3.0))
    assert [file.name for file in found.files] == ["003.dcm", "002.dcm", "001.dcm", "000.dcm"]


def test_a_single_file_is_a_series(stack: Stack) -> None:
    assert len(only(stack() / "001.dcm").files) == 1


def test_series_are_found_however_deep_and_told_apart_in_one_folder(stack: Stack, tmp_path: Path) -> None:
    stack(3, prefix="b", uid="1.2.5", change=lambda n: {"SeriesNumber": 2})
    stack(4, prefix="a")
    stack(2, folder="other", uid="1.2.6", change=lambda n: {"SeriesNumber": None})
    assert [(s.number, len(s.files)) for s in find_series(tmp_path)] == [(2, 3), (4, 4), (None, 2)]


def test_what_is_no_image_is_left_out(stack: Stack) -> None:
    folder = stack()
    shutil.copy(folder / "000.dcm", folder / "rs.dcm")
    edit(folder / "rs.dcm", Modality="RTSTRUCT", SOPClassUID=RTStructureSetStorage, SeriesInstanceUID="1.2.77")
    (folder / "notes.txt").write_text("axial", encoding="utf-8")
    (folder / ".hidden.dcm").write_bytes(b"0")
    assert len(only(folder).files) == 4


def test_a_folder_without_dicom_holds_no_series(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").touch()
    assert find_series(tmp_path) == []


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no folder that can be read"):
        find_series(tmp_path / "none")


def test_stacks_of_one_series_in_two_orientations_become_two(stack: Stack) -> None:
    stack(4, prefix="a")
    folder = stack(3, orientation=CORONAL, prefix="c")
    found = find_series(folder)
    assert [len(s.files) for s in found] == [4, 3]
    assert {s.notes for s in found} == {("one of 2 stacks of its series",)}
    assert [len(resolve(s).files) for s in found] == [4, 3]


def test_stacks_of_one_series_in_two_frames_of_reference_become_two(stack: Stack) -> None:
    stack(4, prefix="a")
    folder = stack(3, prefix="c", change=lambda n: {"FrameOfReferenceUID": "1.2.3.7"})
    assert [len(s.files) for s in find_series(folder)] == [4, 3]


def test_a_single_slice_across_the_stack_is_left_out_with_a_note(stack: Stack) -> None:
    folder = stack(4)
    stack(1, orientation=SAGITTAL, prefix="scout")
    resolved = resolve(only(folder))
    assert len(resolved.files) == 4
    assert resolved.notes == ("left out single slices across the stack (scout000.dcm)",)


def test_localizers_are_left_out_by_their_image_type(stack: Stack) -> None:
    folder = stack(5, change=lambda n: {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL" if n else "LOCALIZER"]})
    resolved = resolve(only(folder))
    assert [file.name for file in resolved.files] == ["001.dcm", "002.dcm", "003.dcm", "004.dcm"]
    assert resolved.notes == ("left out localizers (000.dcm)",)


def test_a_series_of_localizers_is_named_so_and_refused(stack: Stack) -> None:
    folder = stack(2, change=lambda n: {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})
    assert only(folder).kind == "localizer"
    refuses(folder, r"ct \(CT series 4 'axial'\): found nothing but localizers \(2 images\)")


def test_scouts_in_three_planes_are_refused(stack: Stack) -> None:
    for name, orientation in (("a", AXIAL), ("b", CORONAL), ("c", SAGITTAL)):
        folder = stack(1, orientation=orientation, prefix=name)
    refuses(folder, "slices of different orientation")


def test_files_that_repeat_a_slice_are_left_out_with_a_note(stack: Stack) -> None:
    folder = stack(4)
    shutil.copy(folder / "001.dcm", folder / "copy.dcm")
    shutil.copy(folder / "002.dcm", folder / "resent.dcm")
    edit(folder / "resent.dcm", SOPInstanceUID="1.2.99")
    resolved = resolve(only(folder))
    assert len(resolved.files) == 4
    assert resolved.notes == ("left out files that repeat another one's place and pixels (copy.dcm, resent.dcm)",)


def test_other_pixels_at_the_same_place_are_no_repetition(stack: Stack) -> None:
    stack(4, prefix="a")
    refuses(stack(4, prefix="b", change=lambda n: {"RescaleIntercept": -900}), "several images at one position")


@pytest.mark.parametrize(
    ("told", "change"),
    [
        (r"1 missing slices, between 3\.0 and 9\.0 mm", lambda n: {"ImagePositionPatient": [0, 0, [0, 3, 9, 12][n]]}),
        (r"uneven slice spacing", lambda n: {"ImagePositionPatient": [0, 0, [0, 3, 7.1, 11.2][n]]}),
        (r"gantry tilt: slices shift by 4\.0 mm", lambda n: {"ImagePositionPatient": [0, 4 * n / 3, 300 + 3 * n]}),
        (r"slices of different size", lambda n: {"Rows": 12 if n else 6}),
        (r"slices of different spacing", lambda n: {"PixelSpacing": [1, 1] if n else [2, 2]}),
        (r"without position or orientation", lambda n: {"ImagePositionPatient": None}),
        (r"without a pixel spacing", lambda n: {"PixelSpacing": None}),
        (r"3 values per pixel \(RGB\)", lambda n: COLOUR),
        (r"colours from a palette", lambda n: {"PhotometricInterpretation": "PALETTE COLOR"}),
        (r"grey that is shown inverted", lambda n: {"PhotometricInterpretation": "MONOCHROME1"}),
        (r"text burnt into the pixels \(4 of 4 images", lambda n: {"BurnedInAnnotation": "YES"}),
        (r"one series with 2 patients; wanted one value of PatientID", lambda n: {"PatientID": "P-8" if n else "P-7"}),
        (r"one series with 2 frames of reference", lambda n: {"FrameOfReferenceUID": "1.2.7" if n == 3 else "1.2.8"}),
        (r"images without SOPInstanceUID", lambda n: {"SOPInstanceUID": None}),
    ],
)  # fmt: skip
def test_what_cannot_become_one_volume_is_refused_by_name(
    stack: Stack, told: str, change: Callable[[int], dict[str, Any]]
) -> None:
    refuses(stack(4, change=change), told)


def test_a_single_slice_needs_a_place_too(stack: Stack) -> None:
    refuses(stack(1, change=lambda n: {"ImagePositionPatient": None}), "1 of 1 slices without position")


def test_a_truncated_file_is_refused_by_its_name(stack: Stack) -> None:
    folder = stack()
    (folder / "003.dcm").write_bytes((folder / "003.dcm").read_bytes()[:-20])
    refuses(folder, r"003\.dcm: found a DICOM file that cannot be read \(its pixels end early\)")


def test_different_images_with_one_identifier_are_refused(stack: Stack) -> None:
    refuses(
        stack(4, change=lambda n: {"SOPInstanceUID": f"1.2.{min(n, 2)}"}),
        r"different images with one SOPInstanceUID \(002\.dcm, 003\.dcm\)",
    )


def test_a_damaged_backup_of_a_series_does_not_spoil_it(stack: Stack, tmp_path: Path) -> None:
    folder = stack(5)
    backup = shutil.copytree(folder, tmp_path / "zbackup")
    (backup / "002.dcm").write_bytes((backup / "002.dcm").read_bytes()[:-20])
    whole, damaged = find_series(tmp_path)
    assert len(resolve(whole).files) == 5
    assert all(str(place) in " ".join(whole.notes) for place in (folder, backup))
    with pytest.raises(InputError, match=r"002\.dcm: found a DICOM file that cannot be read"):
        resolve(damaged)


def test_an_identical_copy_of_a_series_is_left_out_with_a_note(stack: Stack, tmp_path: Path) -> None:
    backup = shutil.copytree(stack(4), tmp_path / "zbackup")
    resolved = resolve(only(tmp_path))
    assert (len(resolved.files), {file.parent.name for file in resolved.files}) == (4, {"ct"})
    assert resolved.notes == (f"left out an identical copy of this series in {backup}",)


def test_folders_that_complete_each_other_are_one_series(stack: Stack, tmp_path: Path) -> None:
    folder = stack(6)
    (tmp_path / "ct2").mkdir()
    for name in ("003.dcm", "004.dcm", "005.dcm"):
        shutil.move(folder / name, tmp_path / "ct2" / name)
    resolved = resolve(only(tmp_path))
    assert (len(resolved.files), resolved.notes) == (6, ())


def test_folders_of_single_files_are_one_series(stack: Stack, tmp_path: Path) -> None:
    folder = stack(4)
    for number in range(4):
        (tmp_path / f"each{number}").mkdir()
        shutil.move(folder / f"{number:03d}.dcm", tmp_path / f"each{number}/a.dcm")
    assert len(resolve(only(tmp_path)).files) == 4


def test_folders_that_do_not_make_one_stack_stay_apart(stack: Stack, tmp_path: Path) -> None:
    stack(4, step=3.0)
    stack(5, step=2.0, folder="other", change=lambda n: {"ImagePositionPatient": [0, 0, 500 + 2 * n]})
    assert sorted(len(resolve(each).files) for each in find_series(tmp_path)) == [4, 5]


def test_a_broken_file_beside_the_series_is_taken_for_one_of_it(stack: Stack) -> None:
    """At the end of a stack no gap would betray it."""
    folder = stack()
    (folder / "003.dcm").write_bytes((folder / "003.dcm").read_bytes()[:300])
    assert len(only(folder).files) == 3
    refuses(folder, r"003\.dcm: found a DICOM file that cannot be read")


def test_a_broken_file_alone_is_found_and_refused(stack: Stack, tmp_path: Path) -> None:
    stack()
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost/a.dcm").write_bytes(b"<html>")
    series, broken = find_series(tmp_path)
    assert (series.kind, broken.kind, broken.modality) == ("image", "unreadable", "")
    assert len(resolve(series).files) == 4
    with pytest.raises(InputError, match=r"a\.dcm: found a DICOM file that cannot be read"):
        resolve(broken)


def test_a_number_that_is_none_is_a_broken_file_of_its_own_not_the_end_of_all(stack: Stack) -> None:
    folder = stack()
    file = folder / "003.dcm"
    file.write_bytes(file.read_bytes().replace(b"1.5\\2.25", b"1.5,2.25"))
    assert len(only(folder).files) == 3
    refuses(folder, r"003\.dcm: found a DICOM file that cannot be read \(.*1\.5,2\.25")


def test_the_output_of_a_model_is_named_so_and_refused(stack: Stack) -> None:
    folder = stack(4, change=lambda n: {"SyntheticData": "YES"})
    assert only(folder).kind == "synthetic"
    refuses(folder, r"found synthetic data, the output of a model \(4 of 4 images are marked so\)")


def test_a_compression_without_decoder_passes_here(stack: Stack) -> None:
    """Whether JPEG 2000 can be decoded is for the reader to say; ITK can."""
    folder = stack(1)
    dataset = pydicom.dcmread(folder / "000.dcm")
    dataset.PixelData = pydicom.encaps.encapsulate([b"\x00" * 16])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.save_as(folder / "000.dcm")
    assert len(resolve(only(folder)).files) == 1


def test_values_over_the_limits_of_the_standard_are_noted(stack: Stack) -> None:
    resolved = resolve(only(stack(4, change=lambda n: {"StudyID": "a study of 26 characters !"})))
    assert resolved.notes == ("Study ID (26 characters) is not a valid SH: shortened to 16 characters",)


def test_the_real_study_holds_two_series_and_their_quirks_are_noted(shared: Path) -> None:
    ct, mr = (resolve(series) for series in find_series(shared / "data/dicom_ct_mr"))
    assert [(s.modality, s.number, len(s.files)) for s in (ct, mr)] == [("ct", 3, 48), ("mr", 6564013, 35)]
    assert [file.name for file in mr.files] == [f"{number:06d}.dcm" for number in range(35)]
    assert ct.notes == ("Study ID (17 characters) is not a valid SH: shortened to 16 characters",)
