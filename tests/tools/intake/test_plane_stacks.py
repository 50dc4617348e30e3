"""Slices of three planes become pairs of pictures, by their labels and their order, and never volumes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from transmodal.data import read_sections

Run = Callable[..., str]
COUNT = 10
LABELS = [0, 1, 0, 0, 1, 1, 0, 1, 0, 1]  # the third CT slice is number 3, the third MR slice number 5
FLAGS = "--from planes --window=-1000,2000"
SIZES = ("160224", "160168", "224168")


def stack(seed: int) -> NDArray[np.float32]:
    """(N, H, W) in [-1, 1]."""
    values = np.random.default_rng(seed).random((COUNT, 9, 12), np.float32) * 2 - 1
    values[:, 0, 0], values[:, -1, -1] = -1, 1
    return values


@pytest.fixture
def content() -> dict[str, Any]:
    images = {f"imgs_{sizes}": stack(seed) for seed, sizes in enumerate(SIZES)}
    return {**images, **{f"img_{sizes}_labels": np.array(LABELS) for sizes in SIZES}}


def put(folder: Path, content: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    with h5py.File(folder / "GP.hdf5", "w") as file:
        for name, values in content.items():
            file[name] = values
    return folder


def names(new: Path) -> dict[str, list[str]]:
    return {section: [case["case"] for case in cases] for section, cases in read_sections(new / "dataset.json").items()}


def refused(run: Run, source: Path, flags: str = FLAGS) -> str:
    text = run(f"{source} {flags} --output {source.parent}/new", status=1)
    assert not list(source.parent.glob("*new*"))
    return text


def test_every_pair_of_every_plane_is_a_case(content: dict[str, Any], run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{put(tmp_path / 'set', content)} {FLAGS} --output {tmp_path}/new")
    expected = [f"{plane}_{pair:04}" for plane in ("axial", "coronal", "sagittal") for pair in range(5)]
    assert sorted(names(tmp_path / "new")["training"]) == expected


def test_the_kth_slices_of_both_labels_are_a_pair_as_the_array_shows_them(
    content: dict[str, Any], run_datalist: Run, tmp_path: Path
) -> None:
    run_datalist(f"{put(tmp_path / 'set', content)} {FLAGS} --output {tmp_path}/new")
    ct, mr = (nibabel.load(tmp_path / f"new/axial_0002/{name}.nii.gz") for name in ("ct", "mr"))
    assert (ct.shape, nibabel.aff2axcodes(ct.affine)) == ((12, 9, 1), ("L", "P", "S"))
    np.testing.assert_allclose(ct.get_fdata()[..., 0], stack(2)[3].T * 1500 + 500, atol=1e-3)
    np.testing.assert_allclose(mr.get_fdata()[..., 0], stack(2)[5].T * 500 + 500, atol=1e-3)


def test_what_the_file_does_not_tell_is_told(content: dict[str, Any], run_datalist: Run, tmp_path: Path) -> None:
    text = run_datalist(f"{put(tmp_path / 'set', content)} {FLAGS} --output {tmp_path}/new")
    assert "the file tells neither volumes nor pixel sizes: each pair of slices is a case" in text
    assert "sections are by slice, not by patient" in text


def test_the_first_share_of_each_plane_trains_as_published(
    content: dict[str, Any], run_datalist: Run, tmp_path: Path
) -> None:
    run_datalist(f"{put(tmp_path / 'set', content)} {FLAGS} --first 0.7 --output {tmp_path}/new")
    found = names(tmp_path / "new")
    assert found["test"] == [f"{plane}_{pair:04}" for plane in ("sagittal", "coronal", "axial") for pair in (3, 4)]
    assert (len(found["training"]), found["validation"]) == (9, [])


def test_one_plane_is_enough_and_the_file_itself_can_be_given(
    content: dict[str, Any], run_datalist: Run, tmp_path: Path
) -> None:
    source = put(tmp_path / "set", {name: values for name, values in content.items() if "224168" in name})
    run_datalist(f"{source / 'GP.hdf5'} {FLAGS} --output {tmp_path}/new")
    assert sorted(names(tmp_path / "new")["training"]) == [f"axial_{pair:04}" for pair in range(5)]


def test_pairs_with_a_constant_slice_are_left_out(content: dict[str, Any], run_datalist: Run, tmp_path: Path) -> None:
    content["imgs_224168"][5] = -1  # MR of the third pair
    text = run_datalist(f"{put(tmp_path / 'set', content)} {FLAGS} --output {tmp_path}/new")
    assert "axial: 1 of 5 pairs left out, because a slice is constant" in text
    found = [name for name in names(tmp_path / "new")["training"] if name.startswith("axial")]
    assert found == ["axial_0000", "axial_0001", "axial_0003", "axial_0004"]


def test_labels_that_make_no_pairs_are_refused(content: dict[str, Any], run_datalist: Run, tmp_path: Path) -> None:
    content["img_160168_labels"] = np.array([0] * 4 + [1] * 6)
    text = refused(run_datalist, put(tmp_path / "set", content))
    assert "found 4 CT and 6 MR slices in imgs_160168; wanted equally many" in text


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("imgs_224168", np.zeros((COUNT, 9, 12, 3), np.float32)),
        ("imgs_224168", np.zeros((COUNT, 9, 12), "S1")),
        ("img_224168_labels", np.zeros(COUNT + 1)),
        ("img_224168_labels", None),
    ],
)
def test_other_arrays_are_refused(
    content: dict[str, Any], run_datalist: Run, tmp_path: Path, name: str, values: Any
) -> None:
    content[name] = values
    source = put(tmp_path / "set", {name: values for name, values in content.items() if values is not None})
    assert "wanted (N, H, W) numbers, and (N) labels of them" in refused(run_datalist, source)


def test_values_that_are_not_finite_are_refused(content: dict[str, Any], run_datalist: Run, tmp_path: Path) -> None:
    content["imgs_160224"][4, 2, 2] = np.nan
    text = refused(run_datalist, put(tmp_path / "set", content))
    assert "imgs_160224, slices 0 to 9: found 1 of 1080 values that are NaN or infinite" in text


def test_normalised_ct_needs_a_window(content: dict[str, Any], run_datalist: Run, tmp_path: Path) -> None:
    text = refused(run_datalist, put(tmp_path / "set", content), "--from planes")
    assert "CT values from -1 to 1, no Hounsfield units" in text


def test_modalities_are_told_by_the_labels(content: dict[str, Any], run_datalist: Run, tmp_path: Path) -> None:
    text = refused(run_datalist, put(tmp_path / "set", content), "a=ct --from planes")
    assert "found a=ct; wanted none, because the labels tell them" in text


def test_a_file_of_something_else_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    assert "wanted HDF5 with imgs_160224" in refused(run_datalist, put(tmp_path / "set", {"data_fs": stack(0)}))
    (tmp_path / "set/GP.hdf5").write_bytes(b"nothing of the kind")
    assert "found no HDF5 file" in refused(run_datalist, tmp_path / "set")


def test_a_folder_needs_one_such_file(content: dict[str, Any], run_datalist: Run, tmp_path: Path) -> None:
    source = put(tmp_path / "set", content)
    (source / "other.h5").write_bytes(b"")
    assert "found 2 HDF5 files: GP.hdf5, other.h5; wanted one HDF5 file" in refused(run_datalist, source)
