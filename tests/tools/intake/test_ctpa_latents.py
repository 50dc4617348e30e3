"""Latents, normalised radiographs and CSV tables of X-ray2CTPA become cases with labels; whatever is wrong is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from transmodal.data import find_cases, read_latent, read_sections
from transmodal.transforms import RadiographLoadImaged

Run = Callable[..., str]
SHAPE = (4, 6, 6, 5)
"""Latents as published, slices last."""


def put(path: Path, values: NDArray[np.float32]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
    return path


def latent(path: Path, seed: int = 0) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    put(path, values)
    return values


def grey() -> NDArray[np.uint8]:
    """A picture of 12 × 10 pixels without any symmetry, from black to white."""
    return np.linspace(0, 255, 120).round().astype(np.uint8).reshape(12, 10)


def radiograph(path: Path, values: NDArray[np.float32] | None = None) -> None:
    """What the published preprocessing makes of a picture."""
    normalised = (grey() / 255 - 0.633) / 0.181
    put(path, np.stack([normalised if values is None else values] * 3).astype(np.float32))


def table(path: Path, columns: str, rows: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([columns, *rows, ""]), encoding="utf-8")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four scans of the private set as published, the fourth without its radiograph."""
    root = tmp_path / "set"
    for number in range(1, 5):
        latent(root / f"CTPA_vae_256/10{number}.npy", number)
        if number < 4:
            radiograph(root / f"XRay_preprocessed/20{number}.npy")
    folder = root / "labels_csv/cross_validation_ct_xray/fold0"
    columns = ",CT_Accession_number,cxr_Accession_number,PE"
    table(folder / "y_train.csv", columns, ["0,101,201.0,1", "1,104,204.0,0"])
    table(folder / "y_valid.csv", columns, ["0,102,202,0"])
    table(folder / "y_test.csv", columns, ["0,103,203,1.0"])
    return root


def read_radiograph(case: Path) -> NDArray[np.float32]:
    """Grey levels (rows, columns) as a bundle reads them, which must hang as the published array does."""
    read = RadiographLoadImaged("image", check_chest=False)({"image": str(case / "xray.nii.gz")})
    return read["image"][0].numpy()


def converted(run: Run, source: Path, flags: str = "", status: int = 0) -> str:
    return run(f"{source} --from x-ray2ctpa {flags} --output {source.parent}/new", status=status)


def refused(run: Run, source: Path, flags: str = "") -> str:
    text = converted(run, source, flags, status=1)
    assert not list(source.parent.glob("*new*"))
    return text


def names(new: Path) -> dict[str, list[str]]:
    return {section: [case["case"] for case in cases] for section, cases in read_sections(new / "dataset.json").items()}


def test_latents_keep_their_values_with_the_slices_along_the_second_axis(run_datalist: Run, source: Path) -> None:
    converted(run_datalist, source)
    written = read_latent(source.parent / "new/101/latent.npy")
    published = np.load(source / "CTPA_vae_256/101.npy")
    assert written.shape == (4, 5, 6, 6)
    np.testing.assert_array_equal(written[:, 3], published[..., 3])


def test_the_normalisation_of_radiographs_is_undone(run_datalist: Run, source: Path) -> None:
    converted(run_datalist, source)
    np.testing.assert_allclose(read_radiograph(source.parent / "new/101"), grey(), atol=1e-3)


def test_sections_are_those_of_the_tables(run_datalist: Run, source: Path) -> None:
    converted(run_datalist, source)
    assert names(source.parent / "new") == {"training": ["101", "104"], "validation": ["102"], "test": ["103"]}


def test_labels_are_a_table_beside_the_cases(run_datalist: Run, source: Path) -> None:
    converted(run_datalist, source)
    lines = (source.parent / "new/labels.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["case,embolism", "101,1", "104,0", "102,0", "103,1"]


def test_a_scan_without_a_radiograph_is_a_case_of_latents(run_datalist: Run, source: Path) -> None:
    text = converted(run_datalist, source)
    assert "no radiograph, so these cannot train a translation: 1 cases (104)" in text
    assert set(next(case for case in find_cases(source.parent / "new") if case["case"] == "104")) - {"patient"} == {
        "case",
        "latent",
    }


def test_the_result_is_a_data_set_that_the_survey_accepts(run_datalist: Run, source: Path) -> None:
    converted(run_datalist, source)
    text = run_datalist(f"{source.parent}/new/dataset.json")
    assert "4×5×6×6" in text
    assert "4 cases of 4 patients: latent 4, xray 3" in text


def test_a_scan_whose_latents_are_missing_is_left_out(run_datalist: Run, source: Path) -> None:
    (source / "CTPA_vae_256/104.npy").unlink()
    assert "left out, as their latents are not there: 1 cases (104)" in converted(run_datalist, source)
    assert names(source.parent / "new")["training"] == ["101"]


def test_rspect_has_no_radiographs_and_tells_who_is_healthy(run_datalist: Run, tmp_path: Path) -> None:
    for number in range(1, 4):
        latent(tmp_path / f"set/RSPECT_vae_256/1.2_3.{number}.npy")
    columns, folder = "StudyInstanceUID,SeriesInstanceUID,negative_exam_for_pe", tmp_path / "set/labels_csv_split_64"
    table(folder / "train.csv", columns, ["1.2,3.1,1", "1.2,3.1,1", "1.2,3.2,0"])
    table(folder / "test.csv", columns, ["9.9,3.9,0"])
    text = converted(run_datalist, tmp_path / "set", "--validation 0")
    assert names(tmp_path / "new") == {"training": ["1.2_3.1", "1.2_3.2"], "validation": [], "test": []}
    assert (tmp_path / "new/labels.csv").read_text().split() == ["case,embolism", "1.2_3.1,0", "1.2_3.2,1"]
    assert "1 cases (9.9_3.9)" in text


def test_lidc_has_folders_of_radiographs_and_no_labels(run_datalist: Run, tmp_path: Path) -> None:
    latent(tmp_path / "set/lidc_vae_256/LIDC-IDRI-0001.npy")
    for number in range(2):
        radiograph(tmp_path / f"set/XRay_preprocessed_224_224/LIDC-IDRI-0001/{number}.npy")
    rows = ["LIDC-IDRI-0001,CT,./a", "LIDC-IDRI-0001,DX,./b"]
    table(tmp_path / "set/cross_validation_ct_xray/fold0/train.csv", "Subject ID,Modality,File Location", rows)
    text = converted(run_datalist, tmp_path / "set", "--validation 0")
    assert (tmp_path / "new/LIDC-IDRI-0001/xray.nii.gz").is_file()
    assert not (tmp_path / "new/labels.csv").exists()
    assert "several radiographs, frontal or not, of which the first is taken: 1 cases" in text


def test_of_several_folds_one_has_to_be_chosen(run_datalist: Run, source: Path) -> None:
    folds = source / "labels_csv/cross_validation_ct_xray"
    table(folds / "fold1/y_train.csv", "CT_Accession_number,PE", ["101,1"])
    text = refused(run_datalist, source)
    assert "tables in 2 folders" in text
    assert "--tables labels_csv/cross_validation_ct_xray/fold0" in text
    converted(run_datalist, source, "--tables labels_csv/cross_validation_ct_xray/fold1 --validation 0")
    assert names(source.parent / "new")["training"] == ["101"]


def test_how_it_was_made_stands_in_the_list(run_datalist: Run, source: Path) -> None:
    converted(run_datalist, source)
    made = json.loads((source.parent / "new/dataset.json").read_text())["made"]
    assert made["from"] == "x-ray2ctpa"
    assert made["modalities"] == {"latents": "latent", "XRay": "xray"}


@pytest.mark.parametrize(
    ("columns", "rows", "told"),
    [
        ("CT_Accession_number,PE", ["101,2"], "line 2: found the label '2'"),
        ("CT_Accession_number,PE", ["101,1", "101,0"], "another way than before"),
        ("scan,PE", ["101,1"], "the columns scan, PE"),
        ("CT_Accession_number,PE", ["999,1"], "no latents of 999"),
    ],
)
def test_tables_that_do_not_fit_are_refused(
    run_datalist: Run, source: Path, columns: str, rows: list[str], told: str
) -> None:
    table(source / "other/train.csv", columns, rows)
    assert told in refused(run_datalist, source, "--tables other")


def test_a_patient_in_two_sections_is_refused(run_datalist: Run, source: Path) -> None:
    folder = source / "labels_csv/cross_validation_ct_xray/fold0"
    table(folder / "y_test.csv", "CT_Accession_number,cxr_Accession_number,PE", ["103,201,1"])
    assert "patients in two sections: 201" in refused(run_datalist, source)


def test_a_source_without_tables_is_refused(run_datalist: Run, tmp_path: Path) -> None:
    latent(tmp_path / "set/1.npy")
    assert "no tables" in refused(run_datalist, tmp_path / "set")


def test_two_files_of_latents_for_one_scan_are_refused(run_datalist: Run, source: Path) -> None:
    latent(source / "CTPA_vae_128/101.npy")
    assert "two files of one scan" in refused(run_datalist, source)


def test_latents_with_the_slices_along_another_axis_are_refused(run_datalist: Run, source: Path) -> None:
    put(source / "CTPA_vae_256/101.npy", np.load(source / "CTPA_vae_256/101.npy").transpose(0, 3, 1, 2))
    assert "latents of 4×5×6×6" in refused(run_datalist, source)


def test_radiographs_that_are_normalised_in_another_way_are_refused(run_datalist: Run, source: Path) -> None:
    radiograph(source / "XRay_preprocessed/201.npy", grey() / 10 - 12.0)
    assert "wanted (x - 0.633) / 0.181" in refused(run_datalist, source)


def test_colours_are_refused(run_datalist: Run, source: Path) -> None:
    path = source / "XRay_preprocessed/201.npy"
    values = np.load(path)
    values[1] += 0.1
    put(path, values)
    assert "channels that differ" in refused(run_datalist, source)


def test_line_integrals_of_a_rendered_radiograph_are_scaled(run_datalist: Run, source: Path) -> None:
    radiograph(source / "XRay_preprocessed/201.npy", grey() / 2.0)
    converted(run_datalist, source)
    np.testing.assert_allclose(read_radiograph(source.parent / "new/101"), grey(), atol=1e-3)


def test_modalities_are_not_asked_for(run_datalist: Run, source: Path) -> None:
    text = run_datalist(f"{source} latents=ct --from x-ray2ctpa --output {source.parent}/new", status=1)
    assert "none, as the layout has its own" in text
