"""BraTS and ISLES folders become data sets of links: names of every year, patients, lesions, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from intake.conversion import linked
from transmodal.data import read_sections

Run = Callable[..., str]
UNTIL_2021 = ("_flair", "_t1", "_t1ce", "_t2", "_seg")
SINCE_2023 = ("-t2f", "-t1n", "-t1c", "-t2w", "-seg")
CLASSES = (0, 1, 1, 2, 2, 4)
BRATS = {"flair", "t1", "t1ce", "t2", "lesion"}
SISS = ("XX.O.MR_Flair.70608", "XX.O.MR_T1.70609", "XX.O.MR_T2.70610", "XX.O.MR_DWI.70611")
OT = "VSD.Brain_3more.XX.XX.OT.6560"


def volume(path: Path, values: Any = None) -> Path:
    """A bright block, or one with these values, 12×12×4 voxels on the grid of BraTS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros((12, 12, 4), np.int16)
    array[3:9, 3:9] = np.reshape(100 if values is None else values, (-1, 1, 1))
    nibabel.save(nibabel.Nifti1Image(array, np.diag([-1.0, -1, 1, 1])), path)
    return path


def brats(root: Path, case: str, names: Sequence[str] = UNTIL_2021, end: str = ".nii.gz") -> Path:
    """The folder of a case in ``root``, whose segmentation has the classes 1, 2 and 4."""
    for name in names:
        volume(root / case / f"{case}{name}{end}", CLASSES if name[1:] == "seg" else None)
    return root / case


def isles(root: Path, number: int, nested: bool = True) -> Path:
    """The folder of a case with four contrasts and its lesion."""
    for name in (*(f"VSD.Brain.{each}" for each in SISS), OT):
        volume(root / f"{number}" / (name if nested else "") / f"{name}.nii", 1 if name == OT else None)
    return root / f"{number}"


def converted(run: Run, source: Path, form: str, flags: str = "") -> str:
    return run(f"{source} --from {form} {flags} --output {source.parent}/new")


def refused(run: Run, source: Path, form: str, flags: str = "") -> str:
    text = run(f"{source} --from {form} {flags} --output {source.parent}/new", status=1)
    assert not list(source.parent.glob("*new*"))
    return text


def cases(new: Path) -> dict[str, dict[str, str]]:
    return {case["case"]: case for section in read_sections(new / "dataset.json").values() for case in section}


@pytest.mark.parametrize(
    ("case", "names", "end"),
    [
        ("Brats18_2013_10_1", UNTIL_2021, ".nii.gz"),
        ("BraTS20_Training_001", UNTIL_2021, ".nii"),
        ("BraTS2021_00000", UNTIL_2021, ".nii.gz"),
        ("BraTS-GLI-00000-000", SINCE_2023, ".nii.gz"),
    ],
)
def test_the_names_of_every_year_are_known(
    case: str, names: Sequence[str], end: str, run_datalist: Run, tmp_path: Path
) -> None:
    brats(tmp_path / "set", case, names, end)
    converted(run_datalist, tmp_path / "set", "brats")
    found = cases(tmp_path / "new")
    assert set(found[case]) - {"case", "patient"} == BRATS
    assert found[case]["t1ce"] == f"{tmp_path}/new/{case}/t1ce{end}"


@pytest.mark.parametrize(("case", "names"), [("BraTS19_A_1", UNTIL_2021), ("BraTS-GLI-00000-000", SINCE_2023)])
def test_each_contrast_links_to_its_own_file(
    case: str, names: Sequence[str], run_datalist: Run, tmp_path: Path
) -> None:
    folder = brats(tmp_path / "set", case, names)
    converted(run_datalist, tmp_path / "set", "brats")
    for modality, name in zip(("flair", "t1", "t1ce", "t2", "lesion"), names, strict=True):
        assert (tmp_path / f"new/{case}/{modality}.nii.gz").readlink() == folder / f"{case}{name}.nii.gz"


def test_grades_may_have_folders_of_their_own(run_datalist: Run, tmp_path: Path) -> None:
    brats(tmp_path / "set/HGG", "BraTS19_CBICA_AAB_1")
    brats(tmp_path / "set/LGG", "BraTS19_2013_0_1")
    (tmp_path / "set/name_mapping.csv").write_text("Grade\n", encoding="utf-8")
    converted(run_datalist, tmp_path / "set", "brats")
    assert sorted(cases(tmp_path / "new")) == ["BraTS19_2013_0_1", "BraTS19_CBICA_AAB_1"]


def test_the_classes_of_a_segmentation_stay(run_datalist: Run, tmp_path: Path) -> None:
    brats(tmp_path / "set", "BraTS2021_00000")
    converted(run_datalist, tmp_path / "set", "brats")
    lesion = nibabel.load(tmp_path / "new/BraTS2021_00000/lesion.nii.gz")
    assert np.unique(lesion.dataobj).tolist() == [0, 1, 2, 4]


def test_examinations_of_a_patient_stay_in_one_section(run_datalist: Run, tmp_path: Path) -> None:
    for patient in range(5):
        for examination in range(3):
            brats(tmp_path / "set", f"BraTS-GLI-{patient:05}-{examination:03}", SINCE_2023)
    converted(run_datalist, tmp_path / "set", "brats", "--check False")
    sections = read_sections(tmp_path / "new/dataset.json")
    assert [len(found) for found in sections.values()] == [9, 3, 3]
    assert len({case["patient"] for case in sections["test"]}) == 1


def test_a_file_system_without_links_gets_copies(
    run_datalist: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no links here")

    folder = brats(tmp_path / "set", "BraTS2021_00000")
    monkeypatch.setattr(Path, "symlink_to", refuse)
    converted(run_datalist, tmp_path / "set", "brats")
    copy = tmp_path / "new/BraTS2021_00000/t2.nii.gz"
    assert not copy.is_symlink()
    assert copy.read_bytes() == (folder / "BraTS2021_00000_t2.nii.gz").read_bytes()


def test_a_link_to_a_relative_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume(tmp_path / "t1.nii")
    monkeypatch.chdir(tmp_path)
    item = linked("training", "p1", None, "t1", Path("t1.nii"))
    (tmp_path / "p1").mkdir()
    item.write(tmp_path / item.place)
    assert (tmp_path / "p1/t1.nii").readlink() == tmp_path / "t1.nii"


def test_cases_without_a_lesion_are_held_out_too(run_datalist: Run, tmp_path: Path) -> None:
    for number in range(5):
        brats(tmp_path / "set", f"BraTS2021_0000{number}", UNTIL_2021 if number == 0 else UNTIL_2021[:4])
    converted(run_datalist, tmp_path / "set", "brats", "--check False")
    assert [len(found) for found in read_sections(tmp_path / "new/dataset.json").values()] == [3, 1, 1]


def test_a_missing_contrast_is_told_with_its_case(run_datalist: Run, tmp_path: Path) -> None:
    brats(tmp_path / "set", "BraTS2021_00000")
    brats(tmp_path / "set", "BraTS2021_00002", ("_flair", "_t1", "_t2"))
    text = converted(run_datalist, tmp_path / "set", "brats")
    assert "1 cases lack t1ce and cannot serve where these are used: BraTS2021_00002 (t1ce)" in text


def test_files_of_other_names_are_left_out_and_told(run_datalist: Run, tmp_path: Path) -> None:
    folder = brats(tmp_path / "set", "BraTS20_Training_355", UNTIL_2021[:4])
    volume(folder / "W39_1998.09.19_Segm.nii")
    text = converted(run_datalist, tmp_path / "set", "brats")
    told = "BraTS20_Training_355/W39_1998.09.19_Segm.nii"
    assert f"warning: left out, because their names tell no known contrast: {told}" in text
    assert "lesion" not in cases(tmp_path / "new")["BraTS20_Training_355"]


def test_broken_files_are_told_by_their_own_names(run_datalist: Run, tmp_path: Path) -> None:
    first, second = (brats(tmp_path / "set", f"BraTS2021_0000{number}") for number in (0, 2))
    cut = first / f"{first.name}_t2.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-30])
    volume(second / f"{second.name}_flair.nii.gz", 0)
    text = refused(run_datalist, tmp_path / "set", "brats")
    assert "2 errors; nothing was written" in text
    assert f"{cut}: found no .nii.gz image" in text
    assert f"{second}/{second.name}_flair.nii.gz: found a constant image" in text


def test_a_segmentation_of_fractions_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    folder = brats(tmp_path / "set", "BraTS2021_00000")
    image = nibabel.Nifti1Image(np.full((12, 12, 4), 0.5, np.float32), np.diag([-1.0, -1, 1, 1]))
    nibabel.save(image, folder / "BraTS2021_00000_seg.nii.gz")
    text = refused(run_datalist, tmp_path / "set", "brats")
    assert "_seg.nii.gz: found fractional or negative values; wanted a lesion of whole numbers" in text


def test_other_grids_are_a_warning(run_datalist: Run, tmp_path: Path) -> None:
    folder = brats(tmp_path / "set", "BraTS2021_00000")
    array = np.random.default_rng(0).integers(0, 9, (12, 12, 5)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), folder / "BraTS2021_00000_t2.nii.gz")
    text = converted(run_datalist, tmp_path / "set", "brats")
    assert "BraTS2021_00000: t2 and flair have different grids: shape 12×12×5 against 12×12×4" in text


def test_a_file_of_another_case_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    folder = brats(tmp_path / "set", "BraTS2021_00000")
    volume(folder / "BraTS2021_00002_t1.nii.gz")
    text = refused(run_datalist, tmp_path / "set", "brats")
    assert "found a file of the case BraTS2021_00002 in the folder BraTS2021_00000; wanted the folder's name" in text


def test_two_files_for_a_contrast_are_refused(run_datalist: Run, tmp_path: Path) -> None:
    folder = brats(tmp_path / "set", "BraTS2021_00000")
    volume(folder / "BraTS2021_00000_t1.nii")
    text = refused(run_datalist, tmp_path / "set", "brats")
    assert "found two files for t1: BraTS2021_00000_t1.nii and BraTS2021_00000_t1.nii.gz; wanted one" in text


@pytest.mark.parametrize(("form", "wanted"), [("brats", "<ID>/<ID>_flair.nii.gz"), ("isles", "<number>/VSD.Brain.XX")])
def test_folders_without_any_case_are_refused(form: str, wanted: str, run_datalist: Run, tmp_path: Path) -> None:
    volume(tmp_path / "set/p1/scan.nii.gz")
    text = refused(run_datalist, tmp_path / "set", form)
    assert f"{tmp_path}/set: found p1, but no case (p1/scan.nii.gz tells no contrast); wanted {wanted}" in text


def test_modalities_cannot_be_named(run_datalist: Run, tmp_path: Path) -> None:
    brats(tmp_path / "set", "BraTS2021_00000")
    assert "the modalities: found t1=t1ce; wanted none" in refused(run_datalist, tmp_path / "set", "brats", "t1=t1ce")


@pytest.mark.parametrize("nested", [True, False])
def test_isles_has_four_contrasts_and_a_lesion(nested: bool, run_datalist: Run, tmp_path: Path) -> None:
    folder = isles(tmp_path / "set", 7, nested)
    converted(run_datalist, tmp_path / "set", "isles")
    found = cases(tmp_path / "new")["isles_07"]
    assert set(found) == {"case", "flair", "t1", "t2", "dwi", "lesion"}
    name = "VSD.Brain.XX.O.MR_DWI.70611"
    assert Path(found["dwi"]).readlink() == folder / (name if nested else "") / f"{name}.nii"
    assert np.asarray(nibabel.load(found["lesion"]).dataobj).max() == 1


def test_isles_cases_without_a_lesion_are_test_cases_of_the_challenge(run_datalist: Run, tmp_path: Path) -> None:
    folder = isles(tmp_path / "set", 30, nested=False)
    (folder / f"{OT}.nii").unlink()
    assert "warnings" not in converted(run_datalist, tmp_path / "set", "isles")


def test_isles_perfusion_maps_are_left_out(run_datalist: Run, tmp_path: Path) -> None:
    folder = isles(tmp_path / "set", 1)
    volume(folder / "VSD.Brain.XX.O.MR_CBF.5/VSD.Brain.XX.O.MR_CBF.5.nii")
    assert "known contrast: 1/VSD.Brain.XX.O.MR_CBF.5/VSD" in converted(run_datalist, tmp_path / "set", "isles")


def test_the_published_split_of_isles_applies(root: Path, run_datalist: Run, tmp_path: Path) -> None:
    for number in range(1, 29):
        isles(tmp_path / "set", number, nested=False)
    lists = f"{root}/bundles/brain_mri_mudiff_synthesis/docs/splits.json:isles2015"
    text = converted(run_datalist, tmp_path / "set", "isles", f"--lists {lists} --check False")
    content = json.loads((tmp_path / "new/dataset.json").read_text(encoding="utf-8"))
    names = {section: [case["case"] for case in content[section]] for section in ("training", "validation", "test")}
    assert names["training"] == [f"isles_{number:02}" for number in range(1, 21)]
    assert names["validation"] == ["isles_21", "isles_22"]
    assert names["test"] == [f"isles_{number}" for number in range(23, 28)]
    assert content["made"]["lists"] == lists
    assert "warning: 1 cases left out, because no list names them: isles_28" in text
    assert not (tmp_path / "new/isles_28").exists()
