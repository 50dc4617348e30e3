"""The command that makes radiographs of CTs."""

from __future__ import annotations

import shutil
from pathlib import Path

import fire
import nibabel
import numpy as np
import pytest
from PIL import Image

from make_drr import main
from transmodal.phantom import Chest, write_phantoms


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chests") / "data"
    write_phantoms(str(folder), cases=2, seed=3, shape=(32, 32, 24), modalities=["ct"], regions=[Chest()])
    return folder


@pytest.fixture
def chests(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "chests"))


def run(line: str, data: Path) -> None:
    fire.Fire(main, command=[str(data), *line.split()])


FAST = "--pixels 24 --step 8"


def test_every_case_gets_a_picture_of_hundredths_of_mm(chests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(FAST, chests)
    for case in ("phantom_000", "phantom_001"):
        with Image.open(chests / case / "xray.png") as picture:
            values = np.asarray(picture)
        assert values.shape == (24, 24)
        assert values.dtype == np.uint16
        assert 150 < values.max() / 100 < 450  # mm of water
    assert "Wrote 2 radiographs" in capsys.readouterr().out


def test_a_nifti_holds_the_same_in_mm_columns_first(chests: Path) -> None:
    run(FAST, chests)
    with Image.open(chests / "phantom_000" / "xray.png") as picture:
        grey = np.asarray(picture)
    run(f"{FAST} --extension .nii.gz --overwrite", chests)
    image = nibabel.load(chests / "phantom_000" / "xray.nii.gz")
    np.testing.assert_allclose(image.get_fdata().T, grey / 100, atol=0.006)
    assert image.header.get_zooms()[0] == pytest.approx(16)


def test_a_radiograph_that_is_there_is_kept(chests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (chests / "phantom_000" / "xray.jpg").write_bytes(b"a real one")
    run(FAST, chests)
    assert sorted(path.name for path in (chests / "phantom_000").iterdir()) == ["ct.nii.gz", "xray.jpg"]
    assert "Wrote 1 radiographs" in (printed := capsys.readouterr().out)
    assert "1 were there already" in printed


def test_overwriting_leaves_one_radiograph_in_a_case(chests: Path) -> None:
    run(FAST, chests)
    run(f"{FAST} --extension .nii.gz --overwrite", chests)
    assert sorted(path.name for path in (chests / "phantom_001").iterdir()) == ["ct.nii.gz", "xray.nii.gz"]


def test_radiographs_may_go_elsewhere(chests: Path, tmp_path: Path) -> None:
    run(f"{FAST} --output {tmp_path / 'drr'}", chests)
    assert (tmp_path / "drr" / "phantom_001" / "xray.png").is_file()
    assert not (chests / "phantom_001" / "xray.png").exists()


def test_geometry_density_and_method_change_the_picture(chests: Path, tmp_path: Path) -> None:
    pictures = []
    for number, flags in enumerate(
        ["", "--view AP", "--rotation 90,0,0", "--density published", "--method siddon", "--centre image"]
    ):
        run(f"{FAST} --output {tmp_path / str(number)} {flags}", chests)
        with Image.open(tmp_path / str(number) / "phantom_000" / "xray.png") as picture:
            pictures.append(np.asarray(picture).astype(int))
    assert all(np.abs(picture - pictures[0]).max() > 50 for picture in pictures[1:])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--view lateral", "ConeBeam, view: found 'lateral'"),
        ("--method joseph", "--method: found 'joseph'; wanted one of trilinear, siddon"),
        ("--density lead", "--density: found 'lead'; wanted one of water, published"),
        ("--extension .jpg", "--extension: found '.jpg'; wanted one of .png, .nii.gz"),
        ("--centre heart", "Radiographd, centre: found 'heart'"),
        ("--width wide", "ConeBeam, width: found 'wide'"),
        ("--step 0", "TrilinearProjector, step: found 0"),
    ],
)
def test_a_wrong_argument_is_told_without_a_traceback(chests: Path, flags: str, message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        run(flags, chests)
    assert not list(chests.rglob("xray*"))


def test_a_broken_ct_is_named_and_the_others_have_their_radiographs(
    chests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = chests / "phantom_000" / "ct.nii.gz"
    image = nibabel.load(path)
    values = image.get_fdata(dtype=np.float32)
    values[3, 3, 3] = np.nan
    nibabel.save(nibabel.Nifti1Image(values, image.affine), path)
    with pytest.raises(SystemExit) as stopped:
        run(FAST, chests)
    assert str(stopped.value).startswith(f"{path}: found 1 of 24576 values that are NaN or infinite; wanted finite")
    assert str(stopped.value).count("found") == 1
    assert "Wrote 1 radiographs" in capsys.readouterr().out
    assert [file.parent.name for file in chests.rglob("xray*")] == ["phantom_001"]


def test_single_cts_go_where_the_output_says_each_in_a_folder_of_its_name(
    chests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        single = shutil.copy(chests / "phantom_000" / "ct.nii.gz", tmp_path / f"{name}.nii.gz")
        run(f"{FAST} --output {tmp_path / 'out'}", Path(single))
        assert (tmp_path / "out" / name / "xray.png").is_file()
    assert capsys.readouterr().out.count(f"Wrote 1 radiographs to {tmp_path / 'out'}.") == 2


def test_a_single_ct_of_any_name_needs_an_output(chests: Path, tmp_path: Path) -> None:
    single = Path(shutil.copy(chests / "phantom_000" / "ct.nii.gz", tmp_path / "scan.nii.gz"))
    with pytest.raises(
        SystemExit, match=r"scan\.nii\.gz: found a CT that is not called ct.*wanted <case>/ct, or --output"
    ):
        run(FAST, single)
    assert not list(tmp_path.glob("xray*"))


def test_the_ct_of_one_case_has_its_radiograph_beside_it(chests: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(FAST, chests / "phantom_001" / "ct.nii.gz")
    assert [file.parent.name for file in chests.rglob("xray*")] == ["phantom_001"]
    assert f"to {chests / 'phantom_001'}." in capsys.readouterr().out


def test_a_folder_without_ct_is_told(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    Image.new("L", (9, 9)).save(tmp_path / "case" / "xray.png")
    with pytest.raises(SystemExit, match="found no CT; wanted <case>/ct"):
        run(FAST, tmp_path)
