"""What an input holds: cases by their names, and whatever is left out with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.translating.scans import ct_values, mr_values, write_dicom, write_picture, write_volume
from translating.inputs import LeftOut, find_scans
from translating.provenance import MARK, write
from transmodal.errors import InputError

CT, MR = ct_values((8, 9, 2)), mr_values((8, 9, 2))


def names(*arguments: object, **keywords: object) -> list[str]:
    return [scan.case for scan in find_scans(*arguments, **keywords)[0]]


def reasons(*arguments: object, **keywords: object) -> dict[str, str]:
    return {each.where: each.reason for each in find_scans(*arguments, **keywords)[1]}


def test_a_lone_file_is_a_case_named_after_it(tmp_path: Path) -> None:
    (scan,), left_out = find_scans(write_volume(tmp_path / "knee 7.nii.gz", CT))
    assert (scan.case, scan.named, left_out) == ("knee_7", None, [])


def test_a_lone_file_named_after_its_modality_takes_the_name_of_its_folder(tmp_path: Path) -> None:
    (scan,), _ = find_scans(write_volume(tmp_path / "p1" / "t1.nii.gz", MR))
    assert (scan.case, scan.named) == ("p1", "mr")


def test_each_file_of_a_folder_is_a_case(tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii.gz", CT)
    write_picture(tmp_path / "b.png", MR[..., 0])
    write_volume(tmp_path / "deep" / "er" / "c.nii", CT)
    assert names(tmp_path) == ["a", "b", "deep_er_c"]


def test_files_of_one_name_keep_their_ends(tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii.gz", CT)
    write_volume(tmp_path / "A.nii", CT)
    write_picture(tmp_path / "a.png", MR[..., 0])
    assert len({name.lower() for name in names(tmp_path)}) == 3
    assert "a_png" in names(tmp_path)


def test_names_that_still_agree_are_numbered(tmp_path: Path) -> None:
    for name in ("a b", "a_b"):
        write_volume(tmp_path / f"{name}.nii.gz", CT)
    assert names(tmp_path) == ["a_b_nii_gz", "a_b_nii_gz_2"]


def test_an_image_of_the_data_layout_keeps_the_name_of_its_case(tmp_path: Path) -> None:
    write_volume(tmp_path / "p1" / "ct.nii.gz", CT)
    write_volume(tmp_path / "p1" / "mask.nii.gz", CT)
    assert names(tmp_path) == ["p1"]
    assert reasons(tmp_path) == {"p1/mask.nii.gz": "a mask, neither CT nor MR"}


def test_several_images_of_one_case_are_cases_of_their_own(tmp_path: Path) -> None:
    write_volume(tmp_path / "p1" / "ct.nii.gz", CT)
    write_volume(tmp_path / "p1" / "t2.nii.gz", MR)
    assert names(tmp_path) == ["p1_ct", "p1_t2"]


def test_hidden_files_and_the_folder_of_the_results_are_passed_over(tmp_path: Path) -> None:
    for place in (tmp_path / "a.nii.gz", tmp_path / ".x" / "b.nii.gz", tmp_path / "results" / "a" / "mr.nii.gz"):
        write_volume(place, CT)
    write_dicom(tmp_path / "results" / "dicom", CT)
    assert names(tmp_path, apart=tmp_path / "results") == ["a"]


def test_every_ct_and_mr_series_below_a_folder_is_a_case(tmp_path: Path) -> None:
    write_dicom(tmp_path / "study" / "ct", CT)
    write_dicom(tmp_path / "study" / "mr", MR, series="1.2.4", Modality="MR")
    scans, left_out = find_scans(tmp_path)
    assert [(scan.case, scan.series.modality, len(scan.files)) for scan in scans] == [
        ("study_ct", "ct", 2),
        ("study_mr", "mr", 2),
    ]
    assert left_out == []


def test_series_in_one_folder_are_told_apart_by_their_numbers(tmp_path: Path) -> None:
    write_dicom(tmp_path / "all", CT, number=3)
    write_dicom(tmp_path / "all", CT, series="1.2.4", number=5)
    assert names(tmp_path / "all") == ["all_series3", "all_series5"]


def test_what_belongs_to_radiographs_is_left_out_beside_a_ct(tmp_path: Path) -> None:
    write_volume(tmp_path / "p1" / "ct.nii.gz", CT)
    (tmp_path / "p1" / "xray.png").touch()
    (tmp_path / "p1" / "latent.npy").touch()
    assert names(tmp_path) == ["p1"]
    told = "a radiograph, of which the bundle chest_xray_ctpa_translation makes a CT"
    assert reasons(tmp_path) == {"p1/xray.png": told, "p1/latent.npy": "latents of a CT, no image"}


def test_other_series_are_left_out_with_the_reason(tmp_path: Path) -> None:
    write_dicom(tmp_path / "ct", CT)
    write_dicom(tmp_path / "pet", CT, series="1.2.4", Modality="PT")
    write_dicom(tmp_path / "scout", CT, series="1.2.5", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_dicom(tmp_path / "made", CT, series="1.2.6", SyntheticData="YES")
    found = sorted(reasons(tmp_path).values())
    assert found == ["it is synthetic already", "its modality is PT, neither CT nor MR", "nothing but localizers"]


@pytest.mark.parametrize("wanted", [5, "5", "1.2.4"])
def test_one_series_is_chosen_by_number_or_uid(tmp_path: Path, wanted: str | int) -> None:
    write_dicom(tmp_path / "a", CT, number=3)
    write_dicom(tmp_path / "b", CT, series="1.2.4", number=5)
    write_volume(tmp_path / "c.nii.gz", CT)
    assert names(tmp_path, series=wanted) == ["b"]
    assert sorted(reasons(tmp_path, series=wanted).values()) == [
        "not the DICOM series asked for",
        "not the series asked for",
    ]


def test_a_series_that_is_not_there_is_an_error_that_lists_those_there_are(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a", CT, number=3)
    with pytest.raises(InputError, match=r"--series 9: found 0 such series among .*series 3 'axial'.*1\.2\.3"):
        find_scans(tmp_path, series=9)


def test_a_broken_dicom_file_is_a_case_that_will_fail(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.dcm").write_bytes(b"nothing")
    (scan,), _ = find_scans(tmp_path)
    assert (scan.case, scan.series.kind) == ("bad_x", "unreadable")


def test_an_input_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        find_scans(tmp_path / "absent")


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(InputError, match=r"1 files, none of them an image; wanted images \(\.nii\.gz"):
        find_scans(tmp_path)


def test_a_folder_with_nothing_but_a_mask_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_volume(tmp_path / "p1" / "mask.nii.gz", CT)
    with pytest.raises(InputError, match="a mask, neither CT nor MR"):
        find_scans(tmp_path)


@pytest.mark.parametrize("leaf", ["CT", "dicom", "images", "SE000001", "series 3"])
def test_a_name_that_any_patient_could_have_follows_the_folder_above(tmp_path: Path, leaf: str) -> None:
    for patient in ("anna", "ben"):
        write_dicom(tmp_path / patient / "dicom" / leaf, CT, series=f"1.2.{len(patient)}")
    found = [names(tmp_path / patient / "dicom" / leaf) for patient in ("anna", "ben")]
    assert found == [[f"{patient}_dicom_{leaf.replace(' ', '_')}"] for patient in ("anna", "ben")]
    assert names(tmp_path / "anna") == found[0]


def test_series_below_names_of_one_such_word_or_several_are_named_by_one_rule(tmp_path: Path) -> None:
    write_dicom(tmp_path / "leg" / "CT" / "image", CT)
    write_dicom(tmp_path / "leg" / "MR_T1" / "image", MR, series="1.2.4", Modality="MR")
    assert names(tmp_path / "leg") == ["leg_CT_image", "leg_MR_T1_image"]
    assert names(tmp_path / "leg" / "MR_T1") == ["leg_MR_T1_image"]


def test_a_name_with_a_word_of_its_own_stands_by_itself(tmp_path: Path) -> None:
    write_dicom(tmp_path / "study" / "MR_T1_anna" / "image", MR, Modality="MR")
    assert names(tmp_path / "study") == ["MR_T1_anna_image"]


def test_a_file_by_a_name_that_any_patient_could_have_follows_its_folder(tmp_path: Path) -> None:
    assert names(write_volume(tmp_path / "anna" / "image.nii.gz", CT)) == ["anna_image"]


def test_a_numbered_case_of_the_data_layout_keeps_its_name(tmp_path: Path) -> None:
    write_volume(tmp_path / "data" / "001" / "ct.nii.gz", CT)
    assert names(tmp_path / "data") == ["001"]


def test_a_lone_file_beside_another_modality_of_its_case_keeps_its_own(tmp_path: Path) -> None:
    write_volume(tmp_path / "p1" / "ct.nii.gz", CT)
    assert names(write_volume(tmp_path / "p1" / "mr.nii.gz", MR)) == ["p1_mr"]


def test_an_input_in_the_folder_of_the_results_is_read_and_not_named_so_that_they_replace_it(tmp_path: Path) -> None:
    write_dicom(tmp_path / "results" / "Leg", CT)
    (tmp_path / "link").symlink_to(tmp_path / "results")
    assert names(tmp_path / "results" / "Leg", apart=tmp_path / "link") == ["Leg_2"]


def test_results_below_the_input_are_left_out_through_links_too(tmp_path: Path) -> None:
    for place in (tmp_path / "in" / "a.nii.gz", tmp_path / "in" / "results" / "a" / "mr.nii.gz"):
        write_volume(place, CT)
    write_dicom(tmp_path / "in" / "results" / "dicom", CT)
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert names(tmp_path / "link", apart=tmp_path / "in" / "results") == ["a"]


def test_results_of_another_run_are_left_out_with_the_reason(tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii.gz", CT)
    write_volume(tmp_path / "old" / "a" / "mr.nii.gz", MR)
    write(tmp_path / "old" / "a", {"mark": MARK, "request": {}})
    assert names(tmp_path) == ["a"]
    assert reasons(tmp_path) == {"old/a": "a result of this program (synthetic)"}


def test_images_of_other_formats_are_left_out_with_the_remedy(tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii.gz", CT)
    write_dicom(tmp_path / "d", CT)
    next((tmp_path / "d").iterdir()).rename(tmp_path / "d" / "x.img")
    (tmp_path / "b.MHD").write_text("ObjectType = Image")
    assert reasons(tmp_path) == {"b.MHD": "images that end in .MHD are not read: convert it to .nii.gz or .mha"}


def test_a_linked_folder_of_dicom_is_one_case(tmp_path: Path) -> None:
    write_dicom(tmp_path / "store" / "leg", CT)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "leg" / "loop").symlink_to(tmp_path / "in")
    (scan,), _ = find_scans(tmp_path / "in")
    assert (scan.case, len(scan.files)) == ("link_leg", CT.shape[2])


def test_what_is_left_out_is_a_place_and_a_reason() -> None:
    assert LeftOut("here", "why") == LeftOut(where="here", reason="why")
