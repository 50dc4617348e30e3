"""Files of slices become cases of one slice: values and axes as published, pairs only where asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pytest
import scipy.io
import torch
from monai.transforms import Compose, Orientationd, SpatialPadd
from numpy.typing import NDArray

from transmodal.data import read_sections
from transmodal.transforms import CheckedLoadImaged, EnsureVolumed, HounsfieldWindow

Run = Callable[..., str]
COUNTS = {"train": 6, "val": 2, "test": 3}


def slices(count: int, seed: int = 0, width: int = 10, height: int = 14) -> NDArray[np.float32]:
    """(N, W, H) in [0, 1]."""
    return np.random.default_rng(seed).random((count, width, height), dtype=np.float32)


def mat(path: Path, array: Any, key: str = "data_fs") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file[key] = array
    return path


def names(new: Path) -> dict[str, list[str]]:
    return {section: [case["case"] for case in cases] for section, cases in read_sections(new / "dataset.json").items()}


def voxels(path: Path) -> NDArray[np.float32]:
    return np.asarray(nibabel.load(path).dataobj)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """T1 and T2 in three sections, as published."""
    for seed, (part, count) in enumerate(COUNTS.items()):
        mat(tmp_path / f"mats/data_{part}_T1.mat", slices(count, seed))
        mat(tmp_path / f"mats/data_{part}_T2.mat", slices(count, 10 + seed))
    return tmp_path / "mats"


def test_slices_of_each_contrast_become_cases_of_their_section(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    text = run_datalist(f"{source} --from mat --output {tmp_path}/new")
    found = names(tmp_path / "new")
    assert {section: len(cases) for section, cases in found.items()} == {"training": 12, "validation": 4, "test": 6}
    assert found["validation"] == ["val_t1_0000", "val_t1_0001", "val_t2_0000", "val_t2_0001"]
    assert "cannot be scored; if index i of every contrast shows one and the same slice, add --paired True" in text


def test_indices_become_pairs_on_demand(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    text = run_datalist(f"{source} --from mat --paired True --output {tmp_path}/new")
    found = names(tmp_path / "new")
    assert {section: len(cases) for section, cases in found.items()} == {"training": 6, "validation": 2, "test": 3}
    for modality, seed in (("t1", 2), ("t2", 12)):
        written = voxels(tmp_path / f"new/test_0001/{modality}.nii.gz")
        np.testing.assert_array_equal(written, slices(3, seed)[1][..., None])
    assert "cannot be scored" not in text


def test_a_slice_is_a_volume_of_one_float32_slice_at_1_mm(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    run_datalist(f"{source} --from mat --output {tmp_path}/new")
    image = nibabel.load(tmp_path / "new/train_t2_0004/t2.nii.gz")
    assert (image.shape, image.get_data_dtype(), image.header.get_zooms()) == ((10, 14, 1), np.float32, (1, 1, 1))
    np.testing.assert_array_equal(image.dataobj, slices(6, 10)[4][..., None])


def test_files_without_sections_are_all_for_training(run_datalist: Run, tmp_path: Path) -> None:
    for contrast, count in (("T1", 5), ("t2", 4)):
        mat(tmp_path / f"mats/{contrast}.mat", slices(count))
    text = run_datalist(f"{tmp_path}/mats --from mat --output {tmp_path}/new")
    found = names(tmp_path / "new")
    assert found["training"] == [f"t1_{index:04}" for index in range(5)] + [f"t2_{index:04}" for index in range(4)]
    assert not found["validation"]
    assert not found["test"]
    assert "warning: each slice counts as a patient" in text


def test_slices_are_held_out_on_demand(run_datalist: Run, tmp_path: Path) -> None:
    for contrast in ("T1", "T2"):
        mat(tmp_path / f"mats/{contrast}.mat", slices(5))
    run_datalist(f"{tmp_path}/mats --from mat --paired True --validation 0.2 --output {tmp_path}/new")
    assert [len(cases) for cases in names(tmp_path / "new").values()] == [4, 1, 0]


def test_negative_values_and_values_above_one_stay(run_datalist: Run, tmp_path: Path) -> None:
    array = slices(2) * 3 - 1
    mat(tmp_path / "mats/T1.mat", array)
    run_datalist(f"{tmp_path}/mats --from mat --output {tmp_path}/new")
    np.testing.assert_array_equal(voxels(tmp_path / "new/t1_0001/t1.nii.gz")[..., 0], array[1])


def test_one_channel_and_other_number_types_are_read(run_datalist: Run, tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 255, (1, 2, 9, 8)).astype(np.uint8)
    mat(tmp_path / "mats/T1.mat", whole)
    mat(tmp_path / "mats/T2.mat", slices(2).astype(np.float64))
    run_datalist(f"{tmp_path}/mats --from mat --output {tmp_path}/new")
    np.testing.assert_array_equal(voxels(tmp_path / "new/t1_0001/t1.nii.gz")[..., 0], whole[0, 1].astype(np.float32))
    np.testing.assert_array_equal(voxels(tmp_path / "new/t2_0000/t2.nii.gz")[..., 0], slices(2)[0])


def published(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The published loader's array for one slice (W, H): transposed, zeros around it, then (x - 0.5) / 0.5."""
    rows = image.T
    pad = [(int((size - length) / 2),) * 2 for length in rows.shape]
    return np.asarray((np.pad(rows, pad) - 0.5) / 0.5, np.float32)


def preprocessed(path: Path, size: int) -> NDArray[np.float32]:
    """What a bundle makes of a converted slice, (rows, columns)."""
    load = Compose(
        [
            CheckedLoadImaged("image", "t1"),
            EnsureVolumed("image"),
            Orientationd("image", axcodes="PLS", labels=None),
            SpatialPadd("image", spatial_size=(size, size, 1), method="symmetric"),
        ]
    )
    image: torch.Tensor = load({"image": path})["image"].as_tensor()
    return HounsfieldWindow(low=0, high=1).scale(image)[0, ..., 0].numpy()


def test_preprocessing_makes_the_published_array(run_datalist: Run, tmp_path: Path) -> None:
    array = slices(1)
    mat(tmp_path / "mats/T1.mat", array)
    run_datalist(f"{tmp_path}/mats --from mat --output {tmp_path}/new")
    made = preprocessed(tmp_path / "new/t1_0000/t1.nii.gz", 32)
    np.testing.assert_allclose(made, published(array[0], 32), atol=1e-6)


@pytest.mark.parametrize(("width", "height"), [(9, 14), (10, 13), (9, 40)])
def test_odd_and_larger_slices_work(run_datalist: Run, tmp_path: Path, width: int, height: int) -> None:
    mat(tmp_path / "mats/T1.mat", slices(1, width=width, height=height))
    run_datalist(f"{tmp_path}/mats --from mat --output {tmp_path}/new")
    assert preprocessed(tmp_path / "new/t1_0000/t1.nii.gz", 32).shape == (max(32, height), 32)


def test_another_contrast_is_mapped_to_a_modality(run_datalist: Run, tmp_path: Path) -> None:
    mat(tmp_path / "mats/PD.mat", slices(2))
    run_datalist(f"{tmp_path}/mats PD=mr --from mat --output {tmp_path}/new")
    assert names(tmp_path / "new")["training"] == ["mr_0000", "mr_0001"]
    content = json.loads((tmp_path / "new/dataset.json").read_text(encoding="utf-8"))
    assert content["made"] == {"from": "mat", "source": f"{tmp_path}/mats", "modalities": {"PD": "mr"}}


def test_constant_slices_are_left_out_and_counted(run_datalist: Run, tmp_path: Path) -> None:
    array = slices(5)
    array[[0, 3]] = 0
    mat(tmp_path / "mats/T1.mat", array)
    text = run_datalist(f"{tmp_path}/mats --from mat --output {tmp_path}/new")
    assert "T1.mat: 2 of 5 slices left out, because they are constant (0, 3)" in text
    assert names(tmp_path / "new")["training"] == ["t1_0001", "t1_0002", "t1_0004"]


def test_partners_of_constant_slices_are_left_out_of_pairs(run_datalist: Run, tmp_path: Path) -> None:
    for contrast, index in (("T1", 0), ("T2", 2)):
        array = slices(4)
        array[index] = 0.5
        mat(tmp_path / f"mats/{contrast}.mat", array)
    text = run_datalist(f"{tmp_path}/mats --from mat --paired --output {tmp_path}/new")
    assert "T2.mat: 2 of 4 slices left out, because they or their partners are constant (0, 2)" in text
    assert names(tmp_path / "new")["training"] == ["slice_0001", "slice_0003"]


def test_a_window_makes_hounsfield_units_of_ct(run_datalist: Run, tmp_path: Path) -> None:
    mat(tmp_path / "mats/CT.mat", slices(2))
    mat(tmp_path / "mats/T1.mat", slices(2))
    run_datalist(f"{tmp_path}/mats --from mat --window=-1000,1040 --output {tmp_path}/new")
    ct, t1 = (voxels(tmp_path / f"new/{name}_0001/{name}.nii.gz")[..., 0] for name in ("ct", "t1"))
    np.testing.assert_allclose(ct, -1000 + 2040 * slices(2)[1], rtol=1e-5)
    np.testing.assert_array_equal(t1, slices(2)[1])


def test_ct_in_hounsfield_units_stays(run_datalist: Run, tmp_path: Path) -> None:
    array = slices(2) * 2000 - 1000
    mat(tmp_path / "mats/CT.mat", array)
    run_datalist(f"{tmp_path}/mats --from mat --output {tmp_path}/new")
    np.testing.assert_array_equal(voxels(tmp_path / "new/ct_0000/ct.nii.gz")[..., 0], array[0])


def test_other_files_beside_sections_are_told(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    mat(source / "im_syn.mat", slices(2))
    text = run_datalist(f"{source} --from mat --output {tmp_path}/new")
    assert "left out, because other files tell their section: im_syn.mat" in text


def refused(tmp_path: Path, run_datalist: Run, flags: str = "") -> str:
    text = run_datalist(f"{tmp_path}/mats {flags} --from mat --output {tmp_path}/new", status=1)
    assert not list(tmp_path.glob("*new*"))
    return text


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (slices(2).reshape(2, 140), "found data_fs of 2×140; wanted real numbers of (N, W, H) or (1, N, W, H)"),
        (np.stack([slices(3)] * 2), "found data_fs of 2×3×10×14 with 2 channels"),
        (slices(2)[:0], "found data_fs of 0×10×14"),
        (np.float32(1), "found data_fs of a single number"),
        (slices(2).astype(np.complex64), "found data_fs of the type complex64"),
        (np.where(np.arange(3)[:, None, None] == 1, np.nan, slices(3)), "NaN or infinite in 1 of 3 slices (1)"),
        (np.zeros((2, 10, 14), np.float32), "found 2 slices, each of one value throughout"),
        (slices(1, width=3), "T1.mat, slice 0: found an image of 3×14 voxels"),
    ],
)
def test_arrays_that_are_no_slices_are_refused(array: Any, told: str, run_datalist: Run, tmp_path: Path) -> None:
    path = mat(tmp_path / "mats/T1.mat", array)
    text = refused(tmp_path, run_datalist)
    assert told in text
    assert str(path) in text


def test_a_file_without_the_dataset_tells_what_it_holds(run_datalist: Run, tmp_path: Path) -> None:
    mat(tmp_path / "mats/T1.mat", slices(2), key="images_T1syn")
    assert "found no dataset data_fs, but images_T1syn 2×10×14; wanted HDF5" in refused(tmp_path, run_datalist)


def test_a_group_in_place_of_the_dataset_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    mat(tmp_path / "mats/T1.mat", slices(2), key="data_fs/inner")
    assert "found no dataset data_fs, but data_fs; wanted" in refused(tmp_path, run_datalist)


def test_an_older_matlab_file_is_known_with_its_remedy(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "mats").mkdir()
    scipy.io.savemat(tmp_path / "mats/T1.mat", {"data_fs": slices(2)})
    text = refused(tmp_path, run_datalist)
    assert "T1.mat: found a MATLAB file of the older format v5 to v7; wanted HDF5 with the dataset data_fs" in text
    assert "load it in MATLAB and save('file.mat', 'data_fs', '-v7.3')" in text


def test_a_matlab_header_before_hdf5_is_read(run_datalist: Run, tmp_path: Path) -> None:
    """MATLAB's v7.3 puts 512 bytes of its own before the HDF5 file."""
    (tmp_path / "mats").mkdir()
    with h5py.File(tmp_path / "mats/T1.mat", "w", userblock_size=512) as file:
        file["data_fs"] = slices(2)
    with (tmp_path / "mats/T1.mat").open("r+b") as opened:
        opened.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    run_datalist(f"{tmp_path}/mats --from mat --output {tmp_path}/new")
    assert len(names(tmp_path / "new")["training"]) == 2


def test_a_truncated_file_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    path = mat(tmp_path / "mats/T1.mat", slices(40))
    path.write_bytes(path.read_bytes()[:4000])
    assert "T1.mat: found a file that cannot be read (" in refused(tmp_path, run_datalist)


def test_a_file_of_something_else_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "mats").mkdir()
    (tmp_path / "mats/T1.mat").write_bytes(b"<html> not found")
    assert "found no HDF5 file (it starts with b'<html> n')" in refused(tmp_path, run_datalist)


def test_a_folder_without_mat_files_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    (tmp_path / "mats/T1").mkdir(parents=True)
    assert "mats: found T1; wanted files such as data_train_T1.mat" in refused(tmp_path, run_datalist)


@pytest.mark.parametrize(
    ("contrasts", "flags", "told"),
    [
        (["PD"], "", "PD.mat: found the contrast PD, which is the name of no modality; wanted one of ct mr t1"),
        (["PD"], "", "add its modality to the command, such as PD=mr"),
        (["mask"], "", "found the contrast mask, which is the name of no modality"),
        (["T1"], "PD=mr", "found the contrasts T1; wanted data_train_PD.mat or PD.mat"),
        (["T1"], "T1=mri", "the modalities: found mri; wanted ct mr t1"),
        (["T1", "T2"], "T1=mr T2=mr", "found more than one image for mr_0000/mr, mr_0001/mr"),
        (["CT"], "", "CT.mat: found CT values from 0.002738 to 0.9972, no Hounsfield units"),
        (["CT"], "--window=5", "--window: found 5; wanted LOW,HIGH"),
        (["T1"], "--paired yes", "--paired: found 'yes'; wanted True or False"),
        (["T1"], "--patient x", "--patient: found it with --from mat; wanted it with pictures-ab, pictures-classes"),
    ],
)
def test_wrong_wishes_are_refused(
    contrasts: list[str], flags: str, told: str, run_datalist: Run, tmp_path: Path
) -> None:
    for contrast in contrasts:
        mat(tmp_path / f"mats/{contrast}.mat", slices(2))
    assert told in refused(tmp_path, run_datalist, flags)


def test_a_window_for_ct_in_hounsfield_units_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    mat(tmp_path / "mats/CT.mat", slices(2) * 2000 - 1000)
    text = refused(tmp_path, run_datalist, "--window=-1000,1040")
    assert "Hounsfield units already; wanted values of about 0 to 1" in text


def test_pairs_need_equally_many_slices_of_every_contrast(source: Path, run_datalist: Run, tmp_path: Path) -> None:
    mat(source / "data_val_T2.mat", slices(3))
    text = refused(tmp_path, run_datalist, "--paired True")
    assert "found data_val_T1.mat with 2×10×14 and data_val_T2.mat with 3×10×14; wanted equally many" in text
    (source / "data_val_T2.mat").unlink()
    assert "found data_val_T1.mat with 2×10×14; wanted equally many" in refused(tmp_path, run_datalist, "--paired True")


def test_the_published_sample_converts_unchanged(shared: Path, run_datalist: Run, tmp_path: Path) -> None:
    text = run_datalist(f"{shared}/data/ixi_t1_t2 --from mat --output {tmp_path}/new")
    assert "50 cases of 50 patients: t1 25, t2 25" in text
    cases = read_sections(tmp_path / "new/dataset.json")["training"]
    assert len(cases) == 50
    t2 = np.stack([voxels(Path(case["t2"])) for case in cases if "t2" in case])
    assert t2.shape == (25, 152, 256, 1)
    assert t2.min() == pytest.approx(-0.0501845, abs=1e-7)
