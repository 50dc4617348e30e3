"""Folders of pictures become a data set: all of them or nothing, and never a translation from train to test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from monai.transforms import Compose, Orientationd
from PIL import Image

from transmodal.data import find_cases, read_datalist
from transmodal.transforms import CheckedLoadImaged, EnsureVolumed

Run = Callable[..., str]


def sections(path: Path) -> dict[str, list[str]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: [case["case"] for case in content[name]] for name in ("training", "validation", "test")}


def picture(path: Path, seed: int = 0, mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.random.default_rng(seed).integers(1, 250, (12, 16)).astype(np.uint8)
    grey[:4] = 0
    Image.fromarray(grey).convert(mode).save(path)
    return path


@pytest.fixture
def folders_ab(tmp_path: Path) -> Path:
    """Domains A (CT) and B (MR), as CycleGAN's code reads them."""
    for number in range(6):
        picture(tmp_path / f"source/trainA/p{number}_1.png", number)
        picture(tmp_path / f"source/trainB/p{number}_1.png", 100 + number, mode="RGB")
    picture(tmp_path / "source/testA/q0_1.png", 50)
    picture(tmp_path / "source/testB/q0_1.jpg", 51)
    return tmp_path / "source"


AB = "--from pictures-ab --a ct --b mr --window=-1000,1040"


def test_picture_folders_become_cases_of_one_modality(folders_ab: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{folders_ab} {AB} --output {tmp_path}/new")
    found = read_datalist(tmp_path / "new")
    assert [case["case"] for case in found["test"]] == ["testA_q0_1", "testB_q0_1"]
    assert len(found["training"]) + len(found["validation"]) == 12
    assert {"ct", "mr"} == {key for case in found["validation"] for key in case} - {"case"}
    assert all(len(case) == 2 for section in found.values() for case in section)


def test_ct_pictures_become_hounsfield_units_in_the_axes_of_the_others(
    folders_ab: Path, run_datalist: Run, tmp_path: Path
) -> None:
    run_datalist(f"{folders_ab} {AB} --output {tmp_path}/new")
    load = Compose(
        [CheckedLoadImaged("image", "mr"), EnsureVolumed("image"), Orientationd("image", "RAS", labels=None)]
    )
    picture_of_ct, mr = (
        load({"image": folders_ab / place})["image"] for place in ("trainA/p3_1.png", "testB/q0_1.jpg")
    )
    ct = load({"image": tmp_path / "new/trainA_p3_1/ct.nii.gz"})["image"]
    np.testing.assert_allclose(ct, np.round(-1000 + picture_of_ct.numpy() * 8))
    assert ct.shape == mr.shape == (1, 16, 12, 1)
    np.testing.assert_array_equal(ct.affine, mr.affine)


def test_grey_pictures_are_copied_and_grey_colour_pictures_become_grey(
    folders_ab: Path, run_datalist: Run, tmp_path: Path
) -> None:
    run_datalist(f"{folders_ab} {AB} --output {tmp_path}/new")
    copied = tmp_path / "new/testB_q0_1/mr.jpg"
    assert copied.read_bytes() == (folders_ab / "testB/q0_1.jpg").read_bytes()
    with Image.open(tmp_path / "new/trainB_p0_1/mr.png") as image, Image.open(folders_ab / "trainB/p0_1.png") as source:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), np.asarray(source)[..., 0])


def test_the_source_is_only_read(folders_ab: Path, run_datalist: Run, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folders_ab.rglob("*")}
    run_datalist(f"{folders_ab} {AB} --output {tmp_path}/new")
    assert {path: path.stat().st_mtime_ns for path in folders_ab.rglob("*")} == before


def test_the_conversion_is_recorded_and_can_be_moved(folders_ab: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{folders_ab} {AB} --output {tmp_path}/new")
    (tmp_path / "new").rename(tmp_path / "moved")
    content = json.loads((tmp_path / "moved/dataset.json").read_text(encoding="utf-8"))
    assert content["made"]["from"] == "pictures-ab"
    assert content["made"]["window"] == [-1000, 1040]
    assert len(find_cases(tmp_path / "moved")) == 14


def test_pictures_of_a_patient_stay_together(folders_ab: Path, run_datalist: Run, tmp_path: Path) -> None:
    text = run_datalist(f"{folders_ab} {AB} --output {tmp_path}/new --patient '^(p\\d|q\\d)_'")
    assert "each picture counts as a patient" not in text
    held_out = [case["patient"] for case in read_datalist(tmp_path / "new")["validation"]]
    assert sorted(held_out) == sorted(2 * list(dict.fromkeys(held_out)))


def test_a_patient_in_two_sections_is_refused(folders_ab: Path, run_datalist: Run, tmp_path: Path) -> None:
    picture(folders_ab / "testA/p3_9.png", 9)
    text = run_datalist(f"{folders_ab} {AB} --output {tmp_path}/new --patient '^[pq]\\d'", status=1)
    assert "patients in two sections: p3" in text
    assert not list(tmp_path.glob("*new*"))


def test_bad_pictures_are_all_named_and_nothing_is_left(folders_ab: Path, run_datalist: Run, tmp_path: Path) -> None:
    (folders_ab / "trainA/p0_1.png").write_bytes(b"broken")
    rainbow = np.random.default_rng(0).integers(0, 255, (12, 16, 3)).astype(np.uint8)
    Image.fromarray(rainbow).save(folders_ab / "trainB/p1_1.png")
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(folders_ab / "trainB/p2_1.png")
    text = run_datalist(f"{folders_ab} {AB} --output {tmp_path}/new", status=1)
    assert "3 errors; nothing was written" in text
    for name, told in (("trainA/p0_1", "no picture"), ("trainB/p1_1", "colours"), ("trainB/p2_1", "a constant image")):
        assert f"{folders_ab}/{name}.png: found {told}" in text
    assert not list(tmp_path.glob("*new*"))


def test_a_folder_that_is_not_new_is_left_alone(folders_ab: Path, run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/mine.txt").touch()
    assert "found something already; wanted a new folder" in run_datalist(
        f"{folders_ab} {AB} --output {tmp_path}/new", status=1
    )
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--a ct --b mr", "--window: found CT pictures without a window"),
        ("--a ct --b mr --window=5", "--window: found 5; wanted LOW,HIGH"),
        ("--a ct --b mr --window=100,-100", "--window: found (100, -100); wanted LOW,HIGH"),
        ("--a t1 --b mri", "the modalities: found mri; wanted ct mr t1"),
        ("--a t1", "found the domains A, B; wanted trainA/ trainB/ testA/ testB/ with pictures"),
        ("--a t1 --b t2 --patient '('", "--patient: found '('"),
        ("--a t1 --b t2 --patient 'x\\d'", "q0_1.png: found no match of 'x\\\\d' in the name"),
    ],
)
def test_wrong_wishes_for_pictures_are_refused(
    folders_ab: Path, run_datalist: Run, tmp_path: Path, flags: str, told: str
) -> None:
    assert told in run_datalist(f"{folders_ab} --from pictures-ab {flags} --output {tmp_path}/new", status=1)
    assert not (tmp_path / "new").exists()


def test_two_pictures_of_one_name_are_refused(folders_ab: Path, run_datalist: Run, tmp_path: Path) -> None:
    picture(folders_ab / "trainA/p0_1.jpg")
    assert "pictures of one name: p0_1" in run_datalist(f"{folders_ab} {AB} --output {tmp_path}/new", status=1)


CLASSES = "--from pictures-classes CT=ct MRI=mr --window=-1000,1040"


@pytest.fixture
def folders_by_class(tmp_path: Path) -> Path:
    """Classes CT and MRI within train and test, as StarGAN's code reads RaFD."""
    for part, count in (("train", 5), ("test", 2)):
        for number in range(count):
            picture(tmp_path / f"source/{part}/CT/{number}.png", number)
            picture(tmp_path / f"source/{part}/MRI/{number}.png", 100 + number)
    return tmp_path / "source"


def test_class_folders_become_cases_of_one_modality(folders_by_class: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{folders_by_class} {CLASSES} --output {tmp_path}/new --validation 0")
    found = sections(tmp_path / "new/dataset.json")
    assert [len(found[section]) for section in ("training", "validation", "test")] == [10, 0, 4]
    assert found["test"] == ["test_CT_0", "test_CT_1", "test_MRI_0", "test_MRI_1"]


def test_train_and_test_are_never_taken_for_classes(folders_by_class: Path, run_datalist: Run, tmp_path: Path) -> None:
    """The published run did this, and its generator learned to return its input."""
    flags = "--from pictures-classes train=ct test=mr --window=-1000,1040"
    text = run_datalist(f"{folders_by_class} {flags} --output {tmp_path}/new", status=1)
    assert "found the domains CT, MRI; wanted train/<class>/ test/<class>/" in text


def test_class_folders_without_sections_are_split(folders_by_class: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{folders_by_class}/train {CLASSES} --output {tmp_path}/new --validation 0.2 --test 0.2")
    found = sections(tmp_path / "new/dataset.json")
    assert [len(found[section]) for section in ("training", "validation", "test")] == [6, 2, 2]
    assert sorted(name[:2] for name in found["test"]) == ["CT", "MR"]
