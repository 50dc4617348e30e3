"""Headerless volumes become cases: pairs by number, values and axes as published; whatever is wrong is one error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from monai.transforms import Compose, Orientationd
from numpy.typing import NDArray

from transmodal.data import read_sections
from transmodal.transforms import CheckedLoadImaged, EnsureVolumed, HounsfieldWindow, IntensityScale, IntensityWindow

Run = Callable[..., str]
SHAPE = (9, 10, 12)
FLAGS = "--from raw --shape=9,10,12 --window=-1000,2000"
ALL = "--validation 0 --test 0"


def volume(seed: int, low: float = -1.0) -> NDArray[np.float32]:
    """(D, H, W), all the way from low to 1."""
    values = np.random.default_rng(seed).random(SHAPE, np.float32)
    values[0, 0, 0], values[-1, -1, -1] = 0, 1
    return (low + values * (1 - low)).astype(np.float32)


def put(path: Path, values: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values.astype("<f4").tofile(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Ten pairs in a flat folder, named as published."""
    for number in range(1, 11):
        put(tmp_path / f"set/norm_ct_enContrast.{number:03}.raw", volume(number))
        put(tmp_path / f"set/norm_mr_enContrast.{number:03}.raw", volume(100 + number))
    return tmp_path / "set"


def names(new: Path) -> dict[str, list[str]]:
    return {section: [case["case"] for case in cases] for section, cases in read_sections(new / "dataset.json").items()}


def image(path: Path) -> Any:
    return nibabel.load(path)


def read_by_bundle(path: Path, modality: str, scale: IntensityScale) -> NDArray[np.float32]:
    """What a network sees of a file in the orientation SPL."""
    load = Compose(
        [
            CheckedLoadImaged("image", modality),
            EnsureVolumed("image"),
            Orientationd("image", axcodes="SPL", labels=None),
        ]
    )
    return np.asarray(scale.scale(load({"image": path})["image"].as_tensor())[0])


def refused(run: Run, source: Path, flags: str = FLAGS) -> str:
    text = run(f"{source} {flags} --output {source.parent}/new", status=1)
    assert not list(source.parent.glob("*new*"))
    return text


def test_pairs_by_number_become_cases(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{source} {FLAGS} {ALL} --output {tmp_path}/new")
    assert names(tmp_path / "new")["training"] == [f"case_{number:03}" for number in range(1, 11)]
    assert {path.name for path in (tmp_path / "new/case_007").iterdir()} == {"ct.nii.gz", "mr.nii.gz"}


def test_a_bundle_sees_the_published_arrays_again(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{source} {FLAGS} {ALL} --output {tmp_path}/new")
    folder = tmp_path / "new/case_003"
    ct = read_by_bundle(folder / "ct.nii.gz", "ct", HounsfieldWindow(-1000, 2000))
    mr = read_by_bundle(folder / "mr.nii.gz", "mr", IntensityWindow(0, 1000))
    np.testing.assert_allclose(ct, volume(3), atol=1e-6)
    np.testing.assert_allclose(mr, volume(103), atol=1e-6)


def test_axes_run_to_the_left_the_back_and_the_head_with_their_spacing(
    source: Path, run_datalist: Run, tmp_path: Path
) -> None:
    run_datalist(f"{source} {FLAGS} {ALL} --spacing=2.5,1,0.5 --output {tmp_path}/new")
    found = image(tmp_path / "new/case_001/mr.nii.gz")
    assert nibabel.aff2axcodes(found.affine) == ("L", "P", "S")
    assert (found.shape, found.header.get_zooms()) == ((12, 10, 9), (0.5, 1, 2.5))


def test_what_the_files_do_not_tell_is_told(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    text = run_datalist(f"{source} {FLAGS} --output {tmp_path}/new")
    assert "1 mm is written for all axes; --spacing=D,H,W in mm tells" in text
    assert "axis 0 is taken to run to the head" in text
    assert "ct holds values from -1 to 1: taken as normalised to [-1, 1] and written linearly as -1000 to 2000" in text
    content = json.loads((tmp_path / "new/dataset.json").read_text())
    assert content["made"]["shape"] == [9, 10, 12]
    assert content["made"]["window"] == [-1000, 2000]


def test_folders_of_modalities_with_numbers_as_names(run_datalist: Run, tmp_path: Path) -> None:
    for number in (1, 2, 12):
        put(tmp_path / f"set/ct/{number}.raw", volume(number))
        put(tmp_path / f"set/mr/{number}.raw", volume(100 + number))
    run_datalist(f"{tmp_path}/set {FLAGS} {ALL} --output {tmp_path}/new")
    assert names(tmp_path / "new")["training"] == ["case_001", "case_002", "case_012"]


def test_folders_of_other_names_are_told(run_datalist: Run, tmp_path: Path) -> None:
    put(tmp_path / "set/pred_mri_SR3/1.raw", volume(1))
    text = refused(run_datalist, tmp_path / "set")
    assert "pred_mri_SR3/1.raw: found no modality in its name" in text
    assert "such as pred_mri_SR3=mr" in text
    run_datalist(f"{tmp_path}/set pred_mri_SR3=mr --from raw --shape=9,10,12 --output {tmp_path}/new")
    assert (tmp_path / "new/case_001/mr.nii.gz").is_file()


def test_one_modality_alone_is_no_pair_and_no_error(run_datalist: Run, tmp_path: Path) -> None:
    put(tmp_path / "set/1.ct.raw", volume(1))
    run_datalist(f"{tmp_path}/set {FLAGS} {ALL} --output {tmp_path}/new")
    assert [path.name for path in (tmp_path / "new/case_001").iterdir()] == ["ct.nii.gz"]


def test_the_first_share_trains_and_the_rest_tests_as_published(
    source: Path, run_datalist: Run, tmp_path: Path
) -> None:
    run_datalist(f"{source} {FLAGS} --first 0.7 --validation 0 --output {tmp_path}/new")
    found = names(tmp_path / "new")
    assert found["training"] == [f"case_{number:03}" for number in range(1, 8)]
    assert (found["validation"], found["test"]) == ([], ["case_008", "case_009", "case_010"])


def test_validation_is_drawn_from_the_first_share(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{source} {FLAGS} --first 0.7 --output {tmp_path}/new")
    found = names(tmp_path / "new")
    assert (len(found["training"]), len(found["validation"])) == (6, 1)
    assert found["validation"][0] <= "case_007"


def test_without_the_share_patients_are_drawn(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{source} {FLAGS} --output {tmp_path}/new")
    assert [len(cases) for cases in names(tmp_path / "new").values()] == [6, 2, 2]


def test_values_from_zero_are_taken_as_normalised_to_the_unit_range(run_datalist: Run, tmp_path: Path) -> None:
    put(tmp_path / "set/ct/1.raw", volume(1, low=0))
    put(tmp_path / "set/mr/1.raw", volume(2, low=0))
    text = run_datalist(f"{tmp_path}/set {FLAGS} --output {tmp_path}/new")
    assert "mr holds values from 0 to 1: taken as normalised to [0, 1] and written linearly as 0 to 1000" in text
    mr = read_by_bundle(tmp_path / "new/case_001/mr.nii.gz", "mr", IntensityWindow(0, 1000))
    np.testing.assert_allclose(mr, 2 * volume(2, low=0) - 1, atol=1e-6)


def test_the_range_is_that_of_all_files_of_a_modality(run_datalist: Run, tmp_path: Path) -> None:
    """A volume without air stays bright."""
    put(tmp_path / "set/mr/1.raw", volume(1))
    put(tmp_path / "set/mr/2.raw", volume(2, low=0.2))
    run_datalist(f"{tmp_path}/set --from raw --shape=9,10,12 {ALL} --output {tmp_path}/new")
    assert float(image(tmp_path / "new/case_002/mr.nii.gz").get_fdata().min()) == pytest.approx(600, abs=0.01)


def test_values_in_physical_units_stay_as_they_are(run_datalist: Run, tmp_path: Path) -> None:
    put(tmp_path / "set/ct/1.raw", volume(1) * 1500)
    put(tmp_path / "set/mr/1.raw", 300 * (volume(2) + 1))
    run_datalist(f"{tmp_path}/set --from raw --shape=9,10,12 --output {tmp_path}/new")
    ct = image(tmp_path / "new/case_001/ct.nii.gz").get_fdata()
    np.testing.assert_allclose(ct, volume(1).transpose(2, 1, 0) * 1500, rtol=1e-6)
    text = run_datalist(f"{tmp_path}/set {FLAGS} --output {tmp_path}/other", status=1)
    assert "CT values from -1500 to 1500, not normalised" in text


def test_normalised_ct_needs_a_window(source: Path, run_datalist: Run) -> None:
    text = refused(run_datalist, source, "--from raw --shape=9,10,12")
    assert "CT values from -1 to 1, no Hounsfield units" in text
    assert "if nobody knows it, --window=-1000,2000, which ct_mr_mddga_translation takes back to [-1, 1]" in text


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("", "--shape: found none; wanted D,H,W"),
        ("--shape=9,10", "--shape: found (9, 10)"),
        ("--shape=9,10,0", "--shape: found (9, 10, 0)"),
        ("--shape=9,10,12 --spacing=1,1", "--spacing: found (1, 1); wanted D,H,W in mm"),
        ("--shape=9,10,12 --spacing=1,1,-1", "--spacing: found (1, 1, -1)"),
        ("--shape=9,10,12 --first 70", "--first: found 70; wanted a share between 0 and 1"),
        ("--shape=9,10,12 x=head", "the modalities: found head"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(source: Path, run_datalist: Run, flags: str, told: str) -> None:
    assert told in refused(run_datalist, source, f"--from raw {flags}")


def test_the_published_shapes_are_offered(source: Path, run_datalist: Run) -> None:
    text = refused(run_datalist, source, "--from raw")
    assert "published are 160,224,168 for the brain and 96,240,384 for the pelvis" in text


def test_another_shape_is_one_error(source: Path, run_datalist: Run) -> None:
    text = refused(run_datalist, source, "--from raw --shape=9,10,13 --window=-1000,2000")
    assert "norm_ct_enContrast.001.raw: found 4320 bytes; wanted 4680 bytes, little-endian float32 of 9×10×13" in text
    assert text.count("found") == 1


@pytest.mark.parametrize(("kind", "told"), [("<i2", "values of 16 bits"), ("<f8", "values of 64 bits")])
def test_values_of_another_size_are_told(run_datalist: Run, tmp_path: Path, kind: str, told: str) -> None:
    (tmp_path / "set/mr").mkdir(parents=True)
    volume(1).astype(kind).tofile(tmp_path / "set/mr/1.raw")
    assert told in refused(run_datalist, tmp_path / "set")


def test_a_file_of_the_other_organ_is_told(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "set/mr").mkdir(parents=True)
    with (tmp_path / "set/mr/1.raw").open("wb") as file:
        file.truncate(4 * 96 * 240 * 384)  # no space is taken
    text = refused(run_datalist, tmp_path / "set", "--from raw --shape=160,224,168")
    assert "it fits the published pelvis: --shape=96,240,384" in text


def test_the_other_byte_order_is_told(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "set/mr").mkdir(parents=True)
    volume(1).astype(">f4").tofile(tmp_path / "set/mr/1.raw")
    text = refused(run_datalist, tmp_path / "set")
    assert "with the bytes in the other order they reach 1" in text
    assert "wanted little-endian float32" in text


def test_whole_numbers_of_four_bytes_are_told(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "set/mr").mkdir(parents=True)
    (300 * (volume(1) + 1)).astype("<i4").tofile(tmp_path / "set/mr/1.raw")
    assert "find out the type of the values" in refused(run_datalist, tmp_path / "set")


def test_values_that_are_not_finite_are_one_error(source: Path, run_datalist: Run) -> None:
    values = volume(4)
    values[2, 3, :2] = np.nan, np.inf
    put(source / "norm_mr_enContrast.004.raw", values)
    text = refused(run_datalist, source)
    assert "norm_mr_enContrast.004.raw: found 2 of 1080 values that are NaN or infinite" in text


def test_a_constant_volume_is_refused_by_name(source: Path, run_datalist: Run) -> None:
    put(source / "norm_mr_enContrast.004.raw", np.full(SHAPE, -1.0))
    text = refused(run_datalist, source)
    assert "norm_mr_enContrast.004.raw: found a constant image" in text


def test_all_numbers_without_partner_are_one_error(source: Path, run_datalist: Run) -> None:
    (source / "norm_mr_enContrast.004.raw").unlink()
    (source / "norm_mr_enContrast.006.raw").unlink()
    (source / "norm_ct_enContrast.010.raw").unlink()
    text = refused(run_datalist, source)
    assert "found 10 numbers, but no ct of 10; no mr of 4, 6; wanted a file of every modality for each number" in text


def test_two_files_for_one_place_are_refused(source: Path, run_datalist: Run) -> None:
    put(source / "norm_mr_enContrast.4.raw", volume(1))
    assert "found the same number and modality (mr) as norm_mr_enContrast.004.raw" in refused(run_datalist, source)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ct.raw", "found a name without a number"),
        ("ct_mr_1.raw", "found the modalities ct and mr in its name"),
        ("norm_1.raw", "found no modality in its name"),
    ],
)
def test_a_name_that_does_not_tell_enough_is_refused(run_datalist: Run, tmp_path: Path, name: str, told: str) -> None:
    put(tmp_path / "set" / name, volume(1))
    assert told in refused(run_datalist, tmp_path / "set")


def test_a_folder_without_such_files_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert "wanted files such as norm_ct_enContrast.001.raw" in refused(run_datalist, tmp_path / "set")
