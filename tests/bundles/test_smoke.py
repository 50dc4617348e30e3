"""Every bundle does its main job from files to files: it trains, translates each way and evaluates."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
from PIL import Image

from tests.bundles.conftest import Trained
from tests.bundles.row import Direction
from tests.bundles.tiny import (
    SPLIT,
    STATE,
    TINY,
    WRITTEN,
    files_below,
    images_of,
    of_every_direction,
    read,
    run,
)
from tests.common.conftest import ct_slice
from transmodal.phantom import Chest, Thigh, make_case
from transmodal.trained_range import TrainedRange

CASE = "patient_7"


def each(directions: list[tuple[Path, Direction]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("bundle", "direction"), directions, ids=[f"{bundle.name}-{direction}" for bundle, direction in directions]
    )


ALL = of_every_direction()
ON_SOURCE = [(bundle, direction) for bundle, direction in ALL if TINY[bundle.name].grid is None]
ON_OWN_GRID = [each for each in ALL if each not in ON_SOURCE]
OF_SLICES = [(bundle, direction) for bundle, direction in ALL if TINY[bundle.name].slices]


def tilted(affine: np.ndarray, degrees: float = 20.0) -> np.ndarray:
    """An affine turned about two axes, as an oblique scan has it."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    about_x = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])
    about_z = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return about_z @ about_x @ affine


@pytest.fixture(scope="session")
def oblique(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One case as scanners make it: odd sizes, three voxel sizes, stored to the left and back, and tilted.

    Its radiograph is that of another patient, and no volume.
    """
    folder = tmp_path_factory.mktemp("oblique")
    (folder / CASE).mkdir()
    modalities = ["ct", "mr", "t1", "t1ce", "t2", "flair"]
    for name, image in make_case(Thigh(), seed=3, shape=(23, 31, 5), modalities=modalities).items():
        written = nib.Nifti1Image(np.asarray(image[0]), tilted(image.affine.numpy()))
        nib.save(written, folder / CASE / f"{name}.nii.gz")
    radiograph = make_case(Chest(), seed=3, shape=(8, 8, 8), modalities=["xray"], xray_spacing=5.5)["xray"]
    nib.save(nib.Nifti1Image(np.asarray(radiograph[0]), radiograph.affine), folder / CASE / "xray.nii.gz")
    return folder


def translate(trained: Trained, direction: Direction, data: Path, output: Path) -> Path:
    """Run inference and return the one image it wrote; a map of its uncertainty may stand beside it."""
    ids = {"dataset_dir": str(data), "output_dir": str(output), "ckpt_path": str(trained.weights)}
    run(trained.bundle, "inference", **ids, **direction.ids)
    files = sorted(path for path in output.rglob("*") if path.is_file())
    result = next(path for path in files if path.name == f"{direction.target}.nii.gz")
    images = [result.with_name(name) for name in images_of(trained.bundle, direction.target)]
    assert files == sorted([*images, *(output / name for name in TINY[trained.bundle.name].beside)])
    return result


def test_training_takes_two_iterations_and_changes_every_weight(training: Trained) -> None:
    assert training.iterations == 2
    after = torch.load(training.weights, weights_only=True)
    assert list(after) == list(training.before)
    assert all(bool(value.isfinite().all()) for value in after.values())
    # a bias before an instance norm has no gradient but rounding, so weights alone have to move
    still = [name for name, value in after.items() if value.ndim > 1 and torch.equal(value, training.before[name])]
    still = [name for name in still if not name.startswith((*training.kept, *TINY[training.bundle.name].unmoved))]
    assert still == []


def test_the_last_stage_keeps_what_the_stages_before_made(trained: Trained) -> None:
    """A bundle of one stage keeps nothing."""
    after = torch.load(trained.weights, weights_only=True)
    for part in trained.kept:
        saved = torch.load(trained.made[f"{part.removesuffix('.')}_path"], weights_only=True)
        assert saved.keys() == {name.removeprefix(part) for name in after if name.startswith(part)}
        assert all(torch.equal(after[part + name], value) for name, value in saved.items())


def test_beside_the_weights_there_is_nothing_but_the_range_of_their_training(training: Trained) -> None:
    config = (training.bundle / "configs" / f"{training.config}.json").read_text(encoding="utf-8")
    ranges = ["trained_range.json"] if "TrainedRangeWriter" in config else []
    assert list(files_below(training.weights.parent)) == ["model.pt", *ranges]
    sources = {"ct"} if "PairedSlices" in config else {"ct", "mr"}  # a target that is only learned from is no input
    for name in ranges:
        assert TrainedRange.load(training.weights.with_name(name)).modalities.keys() == sources


def test_training_writes_down_its_split_and_its_state(training: Trained) -> None:
    assert {SPLIT, STATE} <= set(files_below(training.output))


@each(ON_SOURCE)
def test_a_translation_has_the_sources_grid_and_the_targets_units(
    bundle: Path, direction: Direction, train_once: Callable[[Path], Trained], oblique: Path, tmp_path: Path
) -> None:
    result = translate(train_once(bundle), direction, oblique, tmp_path / "output")
    assert result == tmp_path / "output" / CASE / f"{direction.target}.nii.gz"
    voxels, affine = read(result)
    source, wanted = read(oblique / CASE / f"{direction.sources[0]}.nii.gz")
    assert voxels.shape == source.shape
    np.testing.assert_allclose(affine, wanted, atol=1e-3)
    assert_in_units_of(direction, voxels)


@each(ON_OWN_GRID)
def test_a_translation_of_what_has_no_grid_lies_centred_on_one_of_its_own(
    bundle: Path, direction: Direction, train_once: Callable[[Path], Trained], oblique: Path, tmp_path: Path
) -> None:
    result = translate(train_once(bundle), direction, oblique, tmp_path / "output")
    assert result == tmp_path / "output" / CASE / f"{direction.target}.nii.gz"
    voxels, affine = read(result)
    assert voxels.shape == TINY[bundle.name].grid
    np.testing.assert_allclose(affine @ [*((np.array(voxels.shape) - 1) / 2), 1], [0, 0, 0, 1], atol=1e-3)
    assert_in_units_of(direction, voxels)


def assert_in_units_of(direction: Direction, voxels: np.ndarray) -> None:
    dtype, low, high = WRITTEN[direction.target]
    assert voxels.dtype == dtype
    assert np.isfinite(voxels).all()
    assert low <= voxels.min() <= voxels.max() <= high
    assert voxels.min() < voxels.max() or direction.target == "mask"  # after two iterations all may still be one class


@each(ALL)
def test_the_same_input_gives_the_same_bytes_in_another_process(
    bundle: Path,
    direction: Direction,
    train_once: Callable[[Path], Trained],
    oblique: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = translate(train_once(bundle), direction, oblique, tmp_path / "first")
    monkeypatch.setattr(os, "getpid", lambda: 1)
    torch.manual_seed(99)
    second = translate(train_once(bundle), direction, oblique, tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()


@each(OF_SLICES)
def test_a_single_slice_is_a_data_set(
    bundle: Path, direction: Direction, train_once: Callable[[Path], Trained], oblique: Path, tmp_path: Path
) -> None:
    volume = nib.load(oblique / CASE / f"{direction.sources[0]}.nii.gz")
    image = tmp_path / "slice_3.nii"
    nib.save(nib.Nifti1Image(np.asarray(volume.dataobj)[..., 2], volume.affine), image)
    result = translate(train_once(bundle), direction, image, tmp_path / "output")
    assert result == tmp_path / "output" / "slice_3" / f"{direction.target}.nii.gz"
    voxels, affine = read(result)
    assert voxels.squeeze().shape == volume.shape[:2]
    np.testing.assert_allclose(affine, volume.affine, atol=1e-3)


@each([(bundle, direction) for bundle, direction in OF_SLICES if direction.sources == ("mr",)])
def test_an_8_bit_picture_of_mr_is_a_data_set(
    bundle: Path, direction: Direction, train_once: Callable[[Path], Trained], oblique: Path, tmp_path: Path
) -> None:
    mr = (
        read(oblique / CASE / "mr.nii.gz")[0][..., 2].repeat(6, 0).repeat(6, 1)
    )  # a pixel of a picture is taken for 1 mm
    picture = tmp_path / "slice_3.png"
    Image.fromarray((mr / mr.max() * 255).astype(np.uint8).T).save(picture)
    result = translate(train_once(bundle), direction, picture, tmp_path / "output")
    assert result == tmp_path / "output" / "slice_3" / f"{direction.target}.nii.gz"
    assert read(result)[0].squeeze().shape == mr.shape


@each([(bundle, direction) for bundle, direction in ALL if direction.sources == ("ct",)])
def test_a_dicom_series_in_a_case_is_translated_on_its_own_grid(
    bundle: Path, direction: Direction, train_once: Callable[[Path], Trained], tmp_path: Path
) -> None:
    """Rows of 10 and columns of 12 pixels of 20 mm, 3 mm apart, in DICOM's axes: LPS, which NIfTI turns to RAS."""
    series = tmp_path / "data" / CASE / "ct"
    series.mkdir(parents=True)
    for number in range(5):
        image = ct_slice(number, "1.2.3", PixelSpacing=[20, 20])
        pydicom.dcmwrite(series / f"{number}.dcm", image, enforce_file_format=True)
    voxels, affine = read(translate(train_once(bundle), direction, tmp_path / "data", tmp_path / "output"))
    assert voxels.shape == (10, 12, 5)
    np.testing.assert_allclose(affine, np.diag([-20, -20, 3, 1]), atol=1e-4)


@each([(bundle, direction) for bundle, direction in ALL if direction.sources == ("mr",)])
def test_a_real_dicom_folder_is_a_data_set(
    bundle: Path, direction: Direction, train_once: Callable[[Path], Trained], shared: Path, tmp_path: Path
) -> None:
    folder = shared / "data" / "dicom_ct_mr" / "MR_T1" / "image"
    voxels, _ = read(translate(train_once(bundle), direction, folder, tmp_path / "output"))
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in folder.iterdir()]
    assert voxels.shape == (headers[0].Columns, headers[0].Rows, len(headers))


@pytest.fixture(scope="session", params=ALL, ids=lambda param: f"{param[0].name}-{param[1]}")
def evaluated(
    request: pytest.FixtureRequest, train_once: Callable[[Path], Trained], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What the evaluation of one direction on the validation case wrote."""
    bundle, direction = request.param
    trained, output = train_once(bundle), tmp_path_factory.mktemp("evaluated")
    run(
        bundle,
        "evaluate",
        dataset_dir=str(trained.data),
        output_dir=str(output),
        ckpt_path=str(trained.weights),
        datalist=str(trained.output / SPLIT),
        section="validation",
        **direction.ids,
    )
    return output


def rows_of(evaluated: Path) -> list[dict[str, str]]:
    with (evaluated / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_evaluation_writes_a_row_for_the_model_and_each_baseline(evaluated: Path) -> None:
    rows = rows_of(evaluated)
    assert len({row["case"] for row in rows}) == 1  # the one validation case of two
    methods = [row["method"] for row in rows]
    assert methods[0] == "model"
    assert len(set(methods)) == len(methods) >= 3
    scores = [float(value) for row in rows for key, value in row.items() if key not in ("case", "method") and value]
    assert np.isfinite(scores).all()


def test_evaluation_summarises_every_method(evaluated: Path) -> None:
    summary = json.loads((evaluated / "summary.json").read_text())
    assert list(summary["methods"]) == [row["method"] for row in rows_of(evaluated)]
    assert summary["left_out"] == {}
    assert summary["not_scored"] == {}


def test_evaluation_draws_a_figure(evaluated: Path) -> None:
    with Image.open(evaluated / "figure.png") as figure:
        assert min(figure.size) > 300
