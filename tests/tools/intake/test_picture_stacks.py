"""Pictures in folders of patients become volumes, in their order and lying as they are shown."""

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
from PIL import Image

from transmodal.data import read_sections
from transmodal.transforms import CheckedLoadImaged, EnsureVolumed

Run = Callable[..., str]
WINDOW = "--window=-1000,1040"


def pixels(seed: int, rows: int = 12, columns: int = 16) -> NDArray[np.uint8]:
    """(row, column), black above."""
    grey = np.random.default_rng(seed).integers(1, 250, (rows, columns)).astype(np.uint8)
    grey[:4] = 0
    return grey


def picture(path: Path, grey: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two patients with ten slices of CT and MR, whose names are numbers without leading zeros."""
    for patient in (1, 2):
        for number in range(1, 11):
            picture(tmp_path / f"set/CT/p{patient}/ct{number}.png", pixels(100 * patient + number))
            picture(tmp_path / f"set/MRT1/p{patient}/{number}.png", pixels(1000 * patient + number))
    return tmp_path / "set"


def convert(source: Path, run: Run, new: Path, flags: str = WINDOW, status: int = 0) -> str:
    text = run(f"{source} {flags} --from pictures-patients --output {new}", status=status)
    assert status == 0 or not list(new.parent.glob("*new*"))
    return text


def loaded(path: Path, modality: str, axcodes: str) -> NDArray[np.float32]:
    load = Compose(
        [
            CheckedLoadImaged("image", modality),
            EnsureVolumed("image"),
            Orientationd("image", axcodes=axcodes, labels=None),
        ]
    )
    return np.asarray(load({"image": path})["image"].as_tensor()[0])


def test_a_patient_becomes_a_pair_of_volumes(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    convert(source, run_datalist, tmp_path / "new")
    cases = [case for section in read_sections(tmp_path / "new/dataset.json").values() for case in section]
    assert sorted(case["case"] for case in cases) == ["p1", "p2"]
    assert all(set(case) == {"case", "patient", "ct", "mr"} for case in cases)
    content = json.loads((tmp_path / "new/dataset.json").read_text(encoding="utf-8"))
    assert content["made"]["modalities"] == {"CT": "ct", "MRT1": "mr"}


def test_rows_and_columns_come_back_in_the_orientation_pls(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    convert(source, run_datalist, tmp_path / "new")
    volume = loaded(tmp_path / "new/p2/mr.nii.gz", "mr", "PLS")
    expected = np.stack([pixels(2000 + number) for number in range(1, 11)], axis=-1)  # by number: 2 before 10
    np.testing.assert_array_equal(volume, expected)


def test_anatomy_lies_as_the_picture_shows_it(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    """The viewer's left is the patient's right, and the upper edge is the front."""
    corner = np.full((12, 16), 9, np.uint8)
    corner[0, 0] = 200
    for number in range(1, 3):
        picture(source / f"MRT1/p3/{number}.png", corner)
    convert(source, run_datalist, tmp_path / "new")
    volume = loaded(tmp_path / "new/p3/mr.nii.gz", "mr", "RAS")
    assert volume.shape == (16, 12, 2)
    assert np.argwhere(volume[..., 0] == 200).tolist() == [[15, 11]]  # furthest right and to the front


def test_ct_is_in_hounsfield_units_and_mr_in_grey_levels(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    convert(source, run_datalist, tmp_path / "new")
    ct, mr = (nibabel.load(tmp_path / f"new/p1/{name}.nii.gz") for name in ("ct", "mr"))
    assert (ct.get_data_dtype(), mr.get_data_dtype()) == (np.int16, np.uint8)
    np.testing.assert_array_equal(np.asarray(ct.dataobj)[..., 9], np.round(-1000 + pixels(110).T * 8.0))
    np.testing.assert_array_equal(ct.affine, mr.affine)


@pytest.mark.parametrize(("flag", "thickness"), [("", 1.0), ("--slice_thickness 2.5", 2.5)])
def test_the_distance_of_slices_can_be_told(
    source: Path, run_datalist: Run, tmp_path: Path, flag: str, thickness: float
) -> None:
    convert(source, run_datalist, tmp_path / "new", f"{WINDOW} {flag}")
    assert nibabel.load(tmp_path / "new/p1/ct.nii.gz").header.get_zooms() == (1, 1, thickness)


def test_sections_of_the_source_stay(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    for part, patient in (("train", "p1"), ("test", "p2")):
        for contrast in ("CT", "MRT1"):
            (tmp_path / "parts" / part / contrast).mkdir(parents=True)
            (source / contrast / patient).rename(tmp_path / "parts" / part / contrast / patient)
    convert(tmp_path / "parts", run_datalist, tmp_path / "new", f"{WINDOW} --validation 0")
    found = {
        section: [case["case"] for case in cases]
        for section, cases in read_sections(tmp_path / "new/dataset.json").items()
    }
    assert found == {"training": ["train_p1"], "validation": [], "test": ["test_p2"]}


def test_a_patient_in_two_sections_is_refused(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    source.rename(tmp_path / "parts/train")
    for folder in ("CT", "MRT1"):
        picture(tmp_path / f"parts/test/{folder}/p1/1.png", pixels(0))
    text = convert(tmp_path / "parts", run_datalist, tmp_path / "new", status=1)
    assert "patients in two sections: p1 (test, training)" in text


def test_unequal_stacks_stay_unpaired_with_a_warning(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    (source / "MRT1/p1/4.png").unlink()
    for number in range(1, 11):
        picture(source / f"CT/p2/ct{number}.png", pixels(number, columns=18))
    text = convert(source, run_datalist, tmp_path / "new", f"{WINDOW} --validation 0 --test 0")
    assert "p1: CT 16×12 × 10 slices and MRT1 16×12 × 9 slices cannot be paired slice by slice" in text
    assert "p2: CT 18×12 × 10 slices and MRT1 16×12 × 10 slices cannot be paired slice by slice" in text
    cases = read_sections(tmp_path / "new/dataset.json")["training"]
    assert [(case["case"], case["patient"]) for case in cases] == [
        ("p1_ct", "p1"),
        ("p1_mr", "p1"),
        ("p2_ct", "p2"),
        ("p2_mr", "p2"),
    ]


def test_pairs_are_held_out_before_patients_that_cannot_be_scored(
    source: Path, run_datalist: Run, tmp_path: Path
) -> None:
    for patient in ("p3", "p4", "p5"):
        picture(source / f"CT/{patient}/1.png", pixels(1))
    convert(source, run_datalist, tmp_path / "new", f"{WINDOW} --validation 0.2 --test 0.2")
    found = {
        section: [case["case"] for case in cases]
        for section, cases in read_sections(tmp_path / "new/dataset.json").items()
    }
    assert sorted(found["validation"] + found["test"]) == ["p1", "p2"]


def test_other_contrasts_are_named_on_the_command_line(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    (source / "CT").rename(source / "T2W")
    convert(source, run_datalist, tmp_path / "new", "T2W=t2 MRT1=t1")
    assert np.asarray(nibabel.load(tmp_path / "new/p1/t2.nii.gz").dataobj)[..., 0].tolist() == pixels(101).T.tolist()


def test_bad_pictures_are_all_named(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    (source / "CT/p1/ct5.png").write_bytes(b"broken")
    picture(source / "CT/p2/ct3.png", pixels(0, rows=13))
    picture(source / "MRT1/p1/7.png", np.random.default_rng(0).integers(0, 255, (12, 16, 3)).astype(np.uint8))
    for number in range(1, 11):
        picture(source / f"MRT1/p2/{number}.png", np.full((12, 16), 7, np.uint8))
    text = convert(source, run_datalist, tmp_path / "new", status=1)
    assert "4 errors; nothing was written" in text
    assert "CT/p1/ct5.png: found no picture" in text
    assert "CT/p2: found pictures that differ: ct1.png with 16×12 of uint8, ct3.png with 16×13 of uint8" in text
    assert "MRT1/p1/7.png: found colours" in text
    assert "MRT1/p2: found a constant image" in text


def test_pictures_of_two_depths_are_refused(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    picture(source / "MRT1/p1/2.png", pixels(0).astype(np.uint16) * 200)
    text = convert(source, run_datalist, tmp_path / "new", status=1)
    assert "1.png with 16×12 of uint8, 2.png with 16×12 of uint16; wanted pictures of one size and depth" in text


def test_an_empty_folder_of_a_patient_is_refused(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    (source / "CT/p9").mkdir()
    text = convert(source, run_datalist, tmp_path / "new", status=1)
    assert "CT/p9: found an empty folder; wanted pictures (.png" in text


def test_pictures_without_folders_of_patients_are_refused(run_datalist: Run, tmp_path: Path) -> None:
    for folder in ("CT", "MRT1"):
        picture(tmp_path / f"set/{folder}/1.png", pixels(0))
    text = convert(tmp_path / "set", run_datalist, tmp_path / "new", status=1)
    assert "set/CT: found 1.png, but no folder of a patient" in text
    assert "--from pictures-classes" in text


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("", "--window: found CT pictures without a window"),
        (f"CT=ct {WINDOW}", "found the contrasts CT, MRT1; wanted <contrast>/<patient>/ with pictures"),
        (f"CT=ct MR=mr {WINDOW}", "and the modality of each contrast (CT=ct MR=mr)"),
        (f"CT=mr MRT1=mr {WINDOW}", "found more than one image for p1/mr, p2/mr"),
        ("CT=t1 MRT1=lesion", "the modalities: found lesion; wanted ct mr t1"),
        (f"{WINDOW} --slice_thickness 0", "--slice_thickness: found 0; wanted a positive number of mm"),
        (f"{WINDOW} --slice_thickness thick", "--slice_thickness: found 'thick'; wanted a positive number"),
        (f"{WINDOW} --paired True", "--paired: found it with --from pictures-patients; wanted it with mat only"),
    ],
)
def test_wrong_wishes_are_refused(source: Path, run_datalist: Run, tmp_path: Path, flags: str, told: str) -> None:
    assert told in convert(source, run_datalist, tmp_path / "new", flags, status=1)


def test_a_folder_without_contrasts_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    picture(tmp_path / "set/1.png", pixels(0))
    text = convert(tmp_path / "set", run_datalist, tmp_path / "new", status=1)
    assert "set: found 1.png, but no folder; wanted <contrast>/<patient>/" in text
