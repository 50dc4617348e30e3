"""Radiographs in DICOM: shown as they are meant to be, hung upright, and nothing else taken for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.common.radiographs import chest, radiograph_dataset, write_radiograph
from transmodal.dicom.radiograph import check_radiograph_file, frontal_file, read_radiograph
from transmodal.errors import InputError


def test_a_file_is_read_as_it_is_stored(tmp_path: Path) -> None:
    read = read_radiograph(write_radiograph(tmp_path / "x.dcm"))
    np.testing.assert_array_equal(read.values, chest().round())
    assert read.values.dtype == np.float32
    assert read.spacing == (4.0, 5.0)
    assert read.notes == ()


def test_monochrome1_is_turned_over(tmp_path: Path) -> None:
    stored = chest()
    read = read_radiograph(
        write_radiograph(tmp_path / "x.dcm", stored.max() - stored, PhotometricInterpretation="MONOCHROME1")
    )
    np.testing.assert_array_equal(read.values, stored)


def test_the_window_of_the_header_is_applied(tmp_path: Path) -> None:
    """PS3.3 C.11.2.1.2, linear exact: y = (x - centre) / width + 1/2, clipped, on the range of 16 bits."""
    file = write_radiograph(
        tmp_path / "x.dcm", WindowCenter=500, WindowWidth=400, VOILUTFunction="LINEAR_EXACT", BitsStored=16
    )
    expected = np.clip((chest().round() - 500) / 400 + 0.5, 0, 1) * 65535
    np.testing.assert_allclose(read_radiograph(file).values, expected, atol=1)


def test_a_table_of_the_header_is_applied(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [1001, 0, 16], (2 * np.arange(1001, dtype=np.uint16)).tobytes()
    file = write_radiograph(tmp_path / "x.dcm", RescaleSlope=1, RescaleIntercept=0, VOILUTSequence=Sequence([table]))
    np.testing.assert_array_equal(read_radiograph(file).values, 2 * chest().round())


def test_padding_becomes_the_darkest_value(tmp_path: Path) -> None:
    stored = chest() + 10
    stored[:, :5] = 65535
    values = read_radiograph(write_radiograph(tmp_path / "x.dcm", stored, PixelPaddingValue=65535)).values
    assert (values[:, :5] == 10).all()
    assert values.max() == stored[:, 5:].max()


@pytest.mark.parametrize(("value", "limit"), [(65000, 65535), (65535, 65000)])
def test_all_values_of_a_range_of_padding_become_the_darkest(value: int, limit: int, tmp_path: Path) -> None:
    stored = chest() + 10
    stored[:, :5], stored[:, 5:8] = 65535, 65000
    padding = {"PixelPaddingValue": value, "PixelPaddingRangeLimit": limit}
    values = read_radiograph(write_radiograph(tmp_path / "x.dcm", stored, **padding)).values
    assert (values[:, :8] == 10).all()
    assert values.max() == stored[:, 8:].max()


@pytest.mark.parametrize(("vr", "value"), [("SS", -2000), ("US", 63536)])
def test_padding_of_signed_pixels_is_found_whatever_its_own_type(vr: str, value: int, tmp_path: Path) -> None:
    stored = chest() + 10
    stored[:, :5] = 63536  # -2000 in 16 bits
    dataset = radiograph_dataset(stored, PixelRepresentation=1)
    dataset.add_new("PixelPaddingValue", vr, value)
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    assert (read_radiograph(tmp_path / "x.dcm").values[:, :5] == 10).all()


@pytest.mark.parametrize("width", [0, 0.5, -400])
def test_a_window_without_a_width_is_left_out_and_noted(width: float, tmp_path: Path) -> None:
    read = read_radiograph(write_radiograph(tmp_path / "x.dcm", WindowCenter=500, WindowWidth=width))
    np.testing.assert_array_equal(read.values, chest().round())
    assert read.notes == (f"the window in its header has the width {width:g} and was not applied",)


def test_an_exact_window_may_be_narrower_than_one(tmp_path: Path) -> None:
    window = {"WindowCenter": 500, "WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"}
    read = read_radiograph(write_radiograph(tmp_path / "x.dcm", **window))
    assert (len(np.unique(read.values)) <= 3, read.notes) == (True, ())


@pytest.mark.parametrize(
    ("orientation", "lay"),
    [
        (["L", "F"], lambda picture: picture),
        (["R", "F"], lambda picture: picture[:, ::-1]),
        (["L", "H"], lambda picture: picture[::-1]),
        (["F", "L"], lambda picture: picture.T),
        (["H", "R"], lambda picture: picture[::-1, ::-1].T),
    ],
)
def test_a_picture_is_hung_upright(orientation: list[str], lay: Any, tmp_path: Path) -> None:
    """The first letter is the direction of a row, the second that of a column (PS3.3 C.7.6.1.1.1)."""
    file = write_radiograph(tmp_path / "x.dcm", np.ascontiguousarray(lay(chest())), PatientOrientation=orientation)
    read = read_radiograph(file)
    np.testing.assert_array_equal(read.values, chest().round())
    turned = orientation[0] in ("F", "H")
    assert read.spacing == ((5.0, 4.0) if turned else (4.0, 5.0))


def test_burned_in_text_that_the_header_tells_of_is_noted(tmp_path: Path) -> None:
    (note,) = read_radiograph(write_radiograph(tmp_path / "x.dcm", BurnedInAnnotation="YES")).notes
    assert "burned into" in note


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"Modality": "CT"}, "the modality CT"),
        ({"Modality": "MG"}, "the modality MG"),
        ({"ViewPosition": "LL"}, "the view LL"),
        ({"ViewPosition": "LATERAL"}, "the view LATERAL"),
        ({"ViewPosition": None, "PatientOrientation": ["A", "F"]}, "the view LATERAL"),
        ({"BodyPartExamined": "KNEE"}, "the body part KNEE"),
        ({"NumberOfFrames": 2, "PixelData": 2 * chest().astype(np.uint16).tobytes()}, "2 frames"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "raw detector values"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "a colour palette"),
    ],
)
def test_what_is_no_frontal_chest_radiograph_is_refused_by_its_header(
    changes: dict[str, Any], found: str, tmp_path: Path
) -> None:
    file = write_radiograph(tmp_path / "x.dcm", **changes)
    for refuse in (check_radiograph_file, read_radiograph):
        with pytest.raises(InputError, match=found) as refused:
            refuse(file)
        assert refused.value.where == str(file)


def coded(meaning: str) -> Sequence:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "SCT", meaning
    return Sequence([code])


@pytest.mark.parametrize(
    ("meaning", "view"),
    [("lateral projection", "LATERAL"), ("Left Lateral", "LATERAL"), ("oblique projection", "OBLIQUE")],
)
def test_a_view_that_only_its_code_tells_is_refused(meaning: str, view: str, tmp_path: Path) -> None:
    file = write_radiograph(tmp_path / "x.dcm", ViewPosition=None, ViewCodeSequence=coded(meaning))
    with pytest.raises(InputError, match=f"the view {view}"):
        check_radiograph_file(file)


@pytest.mark.parametrize("meaning", ["postero-anterior", "Antero-posterior projection", "frontal", "bilateral lungs"])
def test_a_frontal_view_by_its_code_is_taken(meaning: str, tmp_path: Path) -> None:
    check_radiograph_file(write_radiograph(tmp_path / "x.dcm", ViewPosition=None, ViewCodeSequence=coded(meaning)))


def test_a_header_that_tells_little_is_no_reason_to_refuse(tmp_path: Path) -> None:
    check_radiograph_file(write_radiograph(tmp_path / "x.dcm", ViewPosition=None, BodyPartExamined=None))


def test_an_orientation_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the patient orientation L\\R"):
        read_radiograph(write_radiograph(tmp_path / "x.dcm", PatientOrientation=["L", "R"]))


def test_pixels_that_cannot_be_decoded_are_refused(tmp_path: Path) -> None:
    file = write_radiograph(tmp_path / "x.dcm")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be read"):
        read_radiograph(file)


def test_the_one_frontal_image_of_a_folder_is_taken(tmp_path: Path) -> None:
    write_radiograph(tmp_path / "1.dcm", ViewPosition="LATERAL")
    frontal = write_radiograph(tmp_path / "2.dcm", ViewPosition="AP")
    (tmp_path / "notes.txt").write_text("no image")
    assert frontal_file(tmp_path) == frontal


def test_a_single_image_is_taken_for_its_own_header_to_judge(tmp_path: Path) -> None:
    lateral = write_radiograph(tmp_path / "1.dcm", ViewPosition="LATERAL")
    assert frontal_file(tmp_path) == lateral


def test_two_frontal_images_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="without DICOM images"):
        frontal_file(tmp_path / "none")
    for name in ("1.dcm", "2.dcm"):
        write_radiograph(tmp_path / "two" / name)
    with pytest.raises(InputError, match=r"2 DICOM images: 1.dcm \(PA\), 2.dcm \(PA\)"):
        frontal_file(tmp_path / "two")
