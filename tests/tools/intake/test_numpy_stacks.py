"""Stacks of slices become volumes of subjects: values and axes as published, read from disk case by case."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from monai.transforms import Compose, Orientationd
from numpy.typing import NDArray

from transmodal.data import read_sections
from transmodal.transforms import CheckedLoadImaged, EnsureVolumed, IntensityWindow

Run = Callable[..., str]
CONTRASTS = ("flair", "t1ce", "t2", "t1")


def slices(count: int, seed: int = 0, height: int = 10, width: int = 12) -> NDArray[np.float64]:
    """(N, H, W) in [0, 1], float64 as published."""
    return np.random.default_rng(seed).random((count, height, width))


def stacks(folder: Path, count: int, contrasts: tuple[str, ...] = CONTRASTS) -> Path:
    """A section's files; each contrast has its own values."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, contrast in enumerate(contrasts):
        np.save(folder / f"{contrast}.npy", slices(count, seed))
    return folder


def names(new: Path) -> dict[str, list[str]]:
    return {section: [case["case"] for case in cases] for section, cases in read_sections(new / "dataset.json").items()}


def voxels(path: Path) -> NDArray[np.float32]:
    return np.asarray(nibabel.load(path).dataobj)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three, two and one subjects of four slices, as published."""
    for part, subjects in (("train", 3), ("val", 2), ("test", 1)):
        stacks(tmp_path / "set" / part, 4 * subjects)
    return tmp_path / "set"


def refused(run: Run, source: Path, flags: str = "--slices_per_case 4") -> str:
    text = run(f"{source} --from npy {flags} --output {source.parent}/new", status=1)
    assert not list(source.parent.glob("*new*"))
    return text


def test_subjects_become_cases_of_their_section(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{source} --from npy --slices_per_case 4 --output {tmp_path}/new")
    assert names(tmp_path / "new") == {
        "training": ["train_0000", "train_0001", "train_0002"],
        "validation": ["val_0000", "val_0001"],
        "test": ["test_0000"],
    }
    content = json.loads((tmp_path / "new/dataset.json").read_text(encoding="utf-8"))
    assert content["made"] == {"from": "npy", "source": str(source), "modalities": {}, "slices_per_case": 4}


def test_a_case_has_its_own_slices_of_every_contrast(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{source} --from npy --slices_per_case 4 --output {tmp_path}/new")
    for seed, contrast in enumerate(CONTRASTS):
        expected = slices(12, seed)[8:12].transpose(1, 2, 0).astype(np.float32)
        np.testing.assert_array_equal(voxels(tmp_path / f"new/train_0002/{contrast}.nii.gz"), expected)


def test_eighty_slices_are_a_case_as_published(run_datalist: Run, tmp_path: Path) -> None:
    stacks(tmp_path / "set/train", 160)
    run_datalist(f"{tmp_path}/set --from npy --validation 0 --test 0 --output {tmp_path}/new")
    image = nibabel.load(tmp_path / "new/train_0001/t2.nii.gz")
    assert (image.shape, image.get_data_dtype()) == ((10, 12, 80), np.float32)
    assert len(names(tmp_path / "new")["training"]) == 2


def test_axes_run_to_the_left_the_back_and_the_head(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{source} --from npy --slices_per_case 4 --output {tmp_path}/new")
    image = nibabel.load(tmp_path / "new/val_0000/t1.nii.gz")
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert image.header.get_zooms() == (1, 1, 1)


def test_the_unknown_size_of_voxels_is_told(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    text = run_datalist(f"{source} --from npy --slices_per_case 4 --output {tmp_path}/new")
    assert "warning: the files do not tell the size of a voxel: 1 mm is written for all axes" in text
    assert "0.9375 mm" in text


def prepared(path: Path) -> NDArray[np.float32]:
    """What a bundle for values in [0, 1] makes of a converted case, (rows, columns, slices)."""
    load = Compose(
        [CheckedLoadImaged("image", "t1"), EnsureVolumed("image"), Orientationd("image", axcodes="PLS", labels=None)]
    )
    image = load({"image": path})["image"].as_tensor()
    return np.asarray(IntensityWindow(low=0, high=1).scale(image)[0])


def test_preprocessing_makes_the_published_array(shared: Path, run_datalist: Run, tmp_path: Path) -> None:
    golden = np.load(shared / "goldens/mudiff/preprocess_golden.npz")
    (tmp_path / "set").mkdir()
    np.save(tmp_path / "set/FLAIR.npy", golden["slice0_full"][None])
    run_datalist(f"{tmp_path}/set --from npy --slices_per_case 1 --output {tmp_path}/new")
    made = prepared(tmp_path / "new/case_0000/flair.nii.gz")[..., 0]
    np.testing.assert_allclose(made, golden["loaded_slice0"][0], atol=1e-6)


def test_every_slice_can_be_a_case(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    text = run_datalist(f"{source} --from npy --slices_per_case 1 --output {tmp_path}/new")
    assert {section: len(cases) for section, cases in names(tmp_path / "new").items()} == {
        "training": 12,
        "validation": 8,
        "test": 4,
    }
    assert voxels(tmp_path / "new/val_0007/t1.nii.gz").shape == (10, 12, 1)
    assert "each slice counts as a patient" in text


def test_slices_that_are_cases_are_not_held_out_unasked(run_datalist: Run, tmp_path: Path) -> None:
    stacks(tmp_path / "set", 6)
    run_datalist(f"{tmp_path}/set --from npy --slices_per_case 1 --output {tmp_path}/new")
    assert [len(cases) for cases in names(tmp_path / "new").values()] == [6, 0, 0]


def test_subjects_without_sections_are_split(run_datalist: Run, tmp_path: Path) -> None:
    stacks(tmp_path / "set", 20)
    run_datalist(f"{tmp_path}/set --from npy --slices_per_case 4 --output {tmp_path}/new")
    found = names(tmp_path / "new")
    assert [len(cases) for cases in found.values()] == [3, 1, 1]
    assert sorted(chain.from_iterable(found.values())) == [f"case_{index:04}" for index in range(5)]


@pytest.mark.parametrize("files", [("FLAIR", "T1CE", "T2", "T1"), ("Flair", "t1ce", "T2", "DWI")])
def test_letters_of_either_case_are_read(files: tuple[str, ...], run_datalist: Run, tmp_path: Path) -> None:
    stacks(tmp_path / "set", 4, files)
    run_datalist(f"{tmp_path}/set --from npy --slices_per_case 4 --output {tmp_path}/new")
    case = read_sections(tmp_path / "new/dataset.json")["training"][0]
    assert set(case) - {"case"} == {name.lower() for name in files}


def test_another_contrast_is_mapped_to_a_modality(run_datalist: Run, tmp_path: Path) -> None:
    stacks(tmp_path / "set", 4, ("flair", "PD"))
    run_datalist(f"{tmp_path}/set PD=mr --from npy --slices_per_case 4 --output {tmp_path}/new")
    assert set(read_sections(tmp_path / "new/dataset.json")["training"][0]) == {"case", "flair", "mr"}


def test_cases_with_a_constant_contrast_are_left_out(run_datalist: Run, tmp_path: Path) -> None:
    folder = stacks(tmp_path / "set/train", 12)
    blank = slices(12)
    blank[4:8] = 0
    np.save(folder / "t2.npy", blank)
    text = run_datalist(f"{tmp_path}/set --from npy --slices_per_case 4 --output {tmp_path}/new --test 0")
    assert "train: 1 of 3 cases left out, because a contrast is constant (1)" in text
    assert sorted(chain.from_iterable(names(tmp_path / "new").values())) == ["train_0000", "train_0002"]


def test_a_stack_is_never_read_as_a_whole(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    np.save(tmp_path / "set/t1.npy", slices(1600, height=40, width=40))
    size = (tmp_path / "set/t1.npy").stat().st_size
    tracemalloc.start()
    run_datalist(f"{tmp_path}/set --from npy --check False --output {tmp_path}/new")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 2


NAN, HIGH, LOW = slices(8), slices(8), slices(8)
NAN[[2, 5], 0, 0] = np.nan
HIGH[3] *= 255
LOW[6, 0, 0] = -0.5


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (NAN, "t1.npy: found values that are NaN or infinite in 2 of 8 slices (2, 5); wanted values in [0, 1]"),
        (HIGH, "in 1 of 8 slices (3); wanted values in [0, 1], as the published preprocessing makes them"),
        (LOW, "t1.npy: found values that are outside [0, 1] (-0.5 to "),
        (np.stack([slices(8)] * 3), "t1.npy: found an array of 3×8×10×12 with 3 channels; wanted real numbers of"),
        (np.stack([slices(8)] * 3), "save each channel as a file of its own, such as np.save('t1.npy', array[0])"),
        (slices(8)[0], "found an array of 10×12; wanted real numbers of (N, H, W)"),
        (slices(8)[:0], "found an array of 0×10×12"),
        (np.float32(1), "found an array of a single number"),
        ((slices(8) * 255).astype(np.uint8), "found values of the type uint8; wanted real numbers"),
        (slices(8) > 0.5, "found values of the type bool"),
        (np.array([{}]), "t1.npy: found a file that cannot be read ("),
        (np.zeros((8, 10, 12)), "found 2 cases, each with a contrast of one value throughout"),
        (slices(8, height=3), "t1.npy, slice 0 to 3: found an image of 3×12×4 voxels"),
        (slices(7), "found 7 slices, which is no multiple of 4 slices per case"),
    ],
)
def test_arrays_that_are_no_stacks_are_refused(array: Any, told: str, run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    np.save(tmp_path / "set/t1.npy", array, allow_pickle=True)
    assert told in refused(run_datalist, tmp_path / "set")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"<html> not found"])
def test_files_of_something_else_are_refused(content: bytes, run_datalist: Run, tmp_path: Path) -> None:
    stacks(tmp_path / "set", 4)
    (tmp_path / "set/t1.npy").write_bytes(content)
    assert "t1.npy: found a file that cannot be read (" in refused(run_datalist, tmp_path / "set")


def test_a_truncated_file_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    path = stacks(tmp_path / "set", 4) / "t1.npy"
    path.write_bytes(path.read_bytes()[:-100])
    assert "copy the file again, as it may be truncated" in refused(run_datalist, tmp_path / "set")


def test_an_archive_of_arrays_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    path = stacks(tmp_path / "set", 4) / "t1.npy"
    with path.open("wb") as file:
        np.savez(file, t1=slices(4))
    assert "t1.npy: found a .npz archive" in refused(run_datalist, tmp_path / "set")


def test_contrasts_of_other_lengths_are_refused(source: Path, run_datalist: Run) -> None:
    np.save(source / "val/t2.npy", slices(12))
    text = refused(run_datalist, source)
    assert "val: found flair.npy of 8×10×12 and t1.npy of 8×10×12 and t1ce.npy of 8×10×12 and t2.npy of 12" in text
    assert "wanted stacks of one shape, in which index i of every contrast is one and the same slice" in text


def test_a_section_without_a_contrast_is_refused(source: Path, run_datalist: Run) -> None:
    (source / "test/t1ce.npy").unlink()
    assert "test: found flair.npy, t1.npy, t2.npy, but no t1ce; wanted" in refused(run_datalist, source)


def test_two_files_for_a_contrast_are_refused(source: Path, run_datalist: Run) -> None:
    np.save(source / "val/FLAIR.npy", slices(8))
    assert "val: found two files for flair: FLAIR.npy and flair.npy" in refused(run_datalist, source)


def test_a_file_of_no_known_contrast_is_refused(source: Path, run_datalist: Run) -> None:
    np.save(source / "val/seg.npy", slices(8))
    text = refused(run_datalist, source)
    assert "val/seg.npy: found the contrast seg, which is the name of no modality" in text
    assert "such as seg=mr, or move the file away" in text


def test_a_folder_without_stacks_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "set/p1").mkdir(parents=True)
    assert "set: found p1; wanted files such as flair.npy t1ce.npy" in refused(run_datalist, tmp_path / "set")


@pytest.mark.parametrize("number", ["0", "-4", "2.5", "True", "many"])
def test_slices_per_case_is_a_whole_number(number: str, source: Path, run_datalist: Run) -> None:
    text = refused(run_datalist, source, f"--slices_per_case={number}")
    assert "--slices_per_case: found " in text
    assert "wanted a whole number from 1" in text
