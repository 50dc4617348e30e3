"""Radiographs as users have them: a single file of every kind makes the same CT, and several processes share cases."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from tests.bundles.conftest import Trained
from tests.bundles.tiny import ROOT, TINY, read, run
from tests.common.radiographs import write_radiograph
from tests.processes import by_forks
from transmodal.phantom import Chest, make_case, write_phantoms

BUNDLE = ROOT / "bundles" / "chest_xray_ctpa_translation"


@pytest.fixture(scope="module")
def trained(train_once: Callable[[Path], Trained]) -> Trained:
    return train_once(BUNDLE)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """A radiograph of a phantom as it hangs, (rows, columns), 12 bits."""
    image = make_case(Chest(), seed=3, shape=(8, 8, 8), modalities=["xray"], xray_spacing=5.0)["xray"][0].numpy().T
    return (image / image.max() * 4095).round().astype(np.uint16)


def write(pixels: np.ndarray, kind: str, folder: Path) -> Path:
    """The same picture in a file ``patient_7.<kind>``."""
    path = folder / f"patient_7.{kind}"
    if kind == "png":
        Image.fromarray(pixels).save(path)
    elif kind == "nii.gz":
        nib.save(nib.Nifti1Image(pixels.T, np.diag([-1.0, -1.0, 1.0, 1.0])), path)
    else:
        inverted = kind.startswith("inverted")
        stored = pixels.max() - pixels if inverted else pixels
        kind = "MONOCHROME1" if inverted else "MONOCHROME2"
        write_radiograph(path, stored, PhotometricInterpretation=kind, ImagerPixelSpacing=[5, 5])
    return path


def made_of(trained: Trained, radiograph: Path, output: Path) -> np.ndarray:
    files = {"dataset_dir": str(radiograph), "output_dir": str(output), "ckpt_path": str(trained.weights)}
    run(BUNDLE, "inference", **files)
    (path,) = output.glob("*/ct.nii.gz")
    assert path.parent.name == radiograph.name.partition(".")[0]
    return read(path)[0]


@pytest.fixture(scope="module")
def of_picture(trained: Trained, pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    folder = tmp_path_factory.mktemp("picture")
    return made_of(trained, write(pixels, "png", folder), folder / "output")


@pytest.mark.parametrize("kind", ["nii.gz", "dcm"])
def test_a_radiograph_makes_the_same_ct_whatever_file_it_comes_in(
    kind: str, trained: Trained, pixels: np.ndarray, of_picture: np.ndarray, tmp_path: Path
) -> None:
    np.testing.assert_array_equal(made_of(trained, write(pixels, kind, tmp_path), tmp_path / "output"), of_picture)


def test_a_radiograph_stored_the_other_way_round_makes_the_same_ct(
    trained: Trained, pixels: np.ndarray, of_picture: np.ndarray, tmp_path: Path
) -> None:
    path = write(pixels, "inverted.dcm", tmp_path).rename(tmp_path / "patient_7.dcm")
    np.testing.assert_array_equal(made_of(trained, path, tmp_path / "output"), of_picture)


def test_another_radiograph_makes_another_ct(
    trained: Trained, pixels: np.ndarray, of_picture: np.ndarray, tmp_path: Path
) -> None:
    other = np.ascontiguousarray(pixels[:, ::-1])
    assert not np.array_equal(made_of(trained, write(other, "png", tmp_path), tmp_path / "output"), of_picture)


def test_an_inverted_picture_is_refused_with_what_to_do(trained: Trained, pixels: np.ndarray, tmp_path: Path) -> None:
    inverted = write(pixels.max() - pixels, "png", tmp_path)
    with pytest.raises(RuntimeError) as caught:  # MONAI wraps what a component raises
        made_of(trained, inverted, tmp_path / "output")
    cause: BaseException = caught.value
    while cause.__cause__ is not None:
        cause = cause.__cause__
    assert "inverted" in str(cause)
    assert str(inverted) in str(cause)
    assert not (tmp_path / "output").exists()


@pytest.mark.slow
def test_two_processes_share_the_cases_and_write_what_one_writes(trained: Trained, tmp_path: Path) -> None:
    data, one, two = (tmp_path / name for name in ("data", "one", "two"))
    write_phantoms(data, cases=3, **{**TINY[BUNDLE.name].phantoms, "modalities": ("xray",)})
    shared = {"dataset_dir": str(data), "ckpt_path": str(trained.weights)}
    run(BUNDLE, "inference", **shared, output_dir=str(one))
    ids = {**TINY[BUNDLE.name].network, **shared, "output_dir": str(two)}
    by_forks(BUNDLE, ["configs/inference.json", "configs/multi_gpu_inference.json"], ids, tmp_path)
    for case in sorted(path.name for path in data.iterdir()):
        np.testing.assert_array_equal(*(read(folder / case / "ct.nii.gz")[0] for folder in (one, two)))
    assert rows_of(one / "consistency.csv") == rows_of(two / "consistency.csv")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return sorted(csv.DictReader(file), key=lambda row: row["case"])
