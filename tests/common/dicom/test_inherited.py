"""What a derived image keeps of its source, and how it is made valid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from transmodal.dicom.inherited import inherited, quirks


def header(**attributes: Any) -> Dataset:
    dataset = Dataset()
    for name, value in ({"StudyInstanceUID": "1.2.3", "PatientID": "P-7"} | attributes).items():
        setattr(dataset, name, value)
    return dataset


def written_and_read(dataset: Dataset, tmp_path: Path) -> Dataset:
    pydicom.dcmwrite(tmp_path / "a.dcm", dataset, implicit_vr=False, little_endian=True)
    return pydicom.dcmread(tmp_path / "a.dcm", force=True)


def test_patient_study_and_frame_of_reference_are_kept() -> None:
    kept = inherited(header(FrameOfReferenceUID="1.2.8", PatientSex="F", AccessionNumber="A1", StudyDate="20200101"))
    assert (kept.PatientID, kept.StudyInstanceUID, kept.FrameOfReferenceUID) == ("P-7", "1.2.3", "1.2.8")
    assert (kept.PatientSex, kept.AccessionNumber, kept.StudyDate) == ("F", "A1", "20200101")


def test_nothing_of_the_acquisition_and_of_the_display_is_kept() -> None:
    of_the_scanner = {"KVP": 120, "EchoTime": 80, "ConvolutionKernel": "B30f", "ContrastBolusAgent": "x", "Exposure": 5}
    of_the_display = {"WindowCenter": 40, "WindowWidth": 400, "RescaleSlope": 2, "SmallestImagePixelValue": 0}
    kept = inherited(header(**of_the_scanner, **of_the_display, StationName="CT1", OperatorsName="Doe"))
    assert {"KVP", "EchoTime", "WindowCenter", "StationName"} & set(kept.dir()) == set()
    assert kept.keys() == inherited(header()).keys()


def test_private_attributes_are_left_behind_also_within_sequences() -> None:
    method = Dataset()
    method.CodeValue, method.CodingSchemeDesignator, method.CodeMeaning = "113100", "DCM", "Basic"
    method.private_block(0x0009, "VENDOR", create=True).add_new(1, "LO", "secret")
    source = header(DeidentificationMethodCodeSequence=[method])
    source.private_block(0x0011, "VENDOR", create=True).add_new(1, "LO", "secret")
    kept = inherited(source)
    assert "secret" not in str(kept)
    assert kept.DeidentificationMethodCodeSequence[0].CodeValue == "113100"


def test_what_must_be_present_is_there_though_empty() -> None:
    kept = inherited(header())
    for name in ("PatientName", "PatientBirthDate", "StudyID", "ReferringPhysicianName", "PositionReferenceIndicator"):
        assert name in kept
        assert not kept.get(name)


def test_of_a_body_part_with_two_sides_the_side_is_there_though_empty() -> None:
    assert inherited(header(BodyPartExamined="EXTREMITY"))["Laterality"].is_empty
    assert inherited(header(BodyPartExamined="EXTREMITY", Laterality="L")).Laterality == "L"
    assert "Laterality" not in inherited(header(BodyPartExamined="ABDOMEN"))


@pytest.mark.parametrize(
    ("charset", "name"),
    [("ISO_IR 100", "Müller^Jörg"), ("ISO_IR 144", "Иванов"), ("ISO_IR 192", "山田^太郎"), ("GB18030", "王^小东")],
)
def test_names_in_any_character_set_are_written_in_utf_8(charset: str, name: str, tmp_path: Path) -> None:
    source = written_and_read(header(SpecificCharacterSet=charset, PatientName=name, StudyDescription=name), tmp_path)
    kept = inherited(source)
    kept.SpecificCharacterSet = "ISO_IR 192"
    again = written_and_read(kept, tmp_path)
    assert str(again.PatientName) == name
    assert again.StudyDescription == name
    assert name.encode() in (tmp_path / "a.dcm").read_bytes()


def test_bytes_that_the_character_set_cannot_decode_are_told(tmp_path: Path) -> None:
    source = written_and_read(header(SpecificCharacterSet="ISO_IR 192", PatientName="Doe^Jane"), tmp_path)
    file = tmp_path / "a.dcm"
    file.write_bytes(file.read_bytes().replace(b"Jane", b"J\xe4ne"))
    (told,) = quirks([pydicom.dcmread(file, force=True)])
    assert told == "Patient's Name holds bytes that its character set cannot decode"
    assert quirks([source]) == []


def test_an_overlong_study_id_is_shortened_and_told() -> None:
    source = header(StudyID="IBSI_1_STS_002_MR_T1")
    assert inherited(source).StudyID == "IBSI_1_STS_002_M"
    told = "Study ID (20 characters) is not a valid SH: shortened to 16 characters"
    assert quirks([source, source]) == [told]


def test_what_tells_whose_image_it_is_is_kept_at_any_length() -> None:
    source = header(PatientID="P" * 70, AccessionNumber="A" * 20)
    kept = inherited(source)
    assert (kept.PatientID, kept.AccessionNumber) == ("P" * 70, "A" * 20)
    assert [note.rpartition(": ")[2] for note in quirks([source])] == ["kept, since it identifies"] * 2


@pytest.mark.parametrize(
    ("name", "value", "fate"),
    [
        ("PatientSex", "f", "F"),
        ("StudyDate", "2020.01.32", ""),
        ("PatientAge", "43", ""),
        ("PatientWeight", "99.0", "99.0"),
    ],
)
def test_other_values_are_repaired_or_left_out(name: str, value: str, fate: str) -> None:
    assert str(inherited(header(**{name: value})).get(name, "")) == fate


def test_a_valid_header_has_no_quirks() -> None:
    assert quirks([header(StudyID="1", PatientName="Doe^Jane", PatientWeight=80)]) == []


def test_no_note_tells_the_value_of_an_attribute() -> None:
    source = header(PatientID="P" * 70, PatientName="Doe" * 30, AccessionNumber="A" * 20, PatientSex="female")
    notes = quirks([source])
    assert len(notes) == 4
    assert not [note for note in notes if "PPP" in note or "Doe" in note or "AAA" in note or "female" in note.lower()]


@pytest.mark.parametrize("offset", ["+2400", "x1200", "+05:30", "+0100 and an hour in summer"])
def test_an_offset_from_utc_that_there_cannot_be_is_left_out_and_told_once(offset: str) -> None:
    source = header(TimezoneOffsetFromUTC=offset)
    assert "TimezoneOffsetFromUTC" not in inherited(source)
    told = "Timezone Offset From UTC is no offset such as +0530 that a clock can have: left out"
    assert quirks([source, source]) == [told]


@pytest.mark.parametrize(("offset", "there"), [("+0530", True), ("-1200", True), ("", False)])
def test_an_offset_from_utc_that_there_can_be_is_kept_and_none_is_nothing_to_tell(offset: str, there: bool) -> None:
    source = header(TimezoneOffsetFromUTC=offset)
    assert ("TimezoneOffsetFromUTC" in inherited(source)) == there
    assert quirks([source]) == []
