"""Phantoms on disk."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from monai.transforms import LoadImage

from transmodal.data import find_cases
from transmodal.errors import InputError
from transmodal.phantom import Chest, Thigh, Trunk, dataset, make_case, write_phantoms

SHAPE = (16, 14, 6)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_per_case_and_a_file_per_modality(tmp_path: Path) -> None:
    folders = write_phantoms(tmp_path / "new", cases=2, shape=SHAPE)
    assert folders == [tmp_path / "new" / "phantom_000", tmp_path / "new" / "phantom_001"]
    files = {f"phantom_00{case}/{name}.nii.gz" for case in (0, 1) for name in ("ct", "mr", "mask")}
    assert set(contents(tmp_path / "new")) == files


def test_discovery_finds_the_cases(tmp_path: Path) -> None:
    write_phantoms(tmp_path, cases=2, shape=SHAPE)
    assert [case["case"] for case in find_cases(tmp_path)] == ["phantom_000", "phantom_001"]


def test_files_hold_the_images_of_make_case(tmp_path: Path) -> None:
    folder = write_phantoms(tmp_path, cases=2, seed=7, shape=SHAPE)[1]
    case = make_case(Thigh(), (7, 1), shape=SHAPE)
    for name, kind in (("ct", np.int16), ("mr", np.float32), ("mask", np.uint8)):
        image = nibabel.load(folder / f"{name}.nii.gz")
        assert image.get_data_dtype() == kind
        assert np.array_equal(np.asarray(image.dataobj), np.asarray(case[name][0]))
        np.testing.assert_allclose(image.affine, case[name].affine.numpy(), atol=1e-4)


def test_monai_reads_volumes_and_radiographs(tmp_path: Path) -> None:
    (folder,) = write_phantoms(tmp_path, 1, shape=SHAPE, modalities=["ct", "xray"], regions=[Chest()], xray_spacing=12)
    load = LoadImage(ensure_channel_first=True)
    assert tuple(load(folder / "ct.nii.gz").shape) == (1, *SHAPE)
    assert tuple(load(folder / "xray.nii.gz").shape) == (1, 30, 24)


def test_equal_arguments_write_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_phantoms(tmp_path / name, cases=1, shape=SHAPE)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_case_does_not_depend_on_how_many_are_made(tmp_path: Path) -> None:
    few = write_phantoms(tmp_path / "few", cases=2, shape=SHAPE)
    many = write_phantoms(tmp_path / "many", cases=3, shape=SHAPE)
    assert contents(few[1]) == contents(many[1])


def test_cases_take_turns_among_regions(tmp_path: Path) -> None:
    folders = write_phantoms(tmp_path, cases=3, shape=SHAPE, regions=[Thigh(), Trunk()])
    widths = [nibabel.load(folder / "ct.nii.gz").header.get_zooms()[0] for folder in folders]
    assert widths == pytest.approx([192 / 16, 384 / 16, 192 / 16])


def test_phantoms_of_an_earlier_call_are_replaced(tmp_path: Path) -> None:
    write_phantoms(tmp_path, cases=3, shape=SHAPE)
    write_phantoms(tmp_path, cases=1, shape=SHAPE, modalities=["mr"])
    assert set(contents(tmp_path)) == {"phantom_000/mr.nii.gz"}


@pytest.mark.parametrize("other", ["notes.txt", "patient_1/ct.nii.gz", "phantom_000/prediction.nii.gz"])
def test_other_data_is_refused_and_left_alone(tmp_path: Path, other: str) -> None:
    (tmp_path / other).parent.mkdir(exist_ok=True)
    (tmp_path / other).write_text("mine")
    with pytest.raises(InputError, match=r"found other data \((notes.txt|patient_1|phantom_000)\); wanted a folder"):
        write_phantoms(tmp_path, cases=1, shape=SHAPE)
    assert contents(tmp_path) == {other: b"mine"}


def test_a_file_in_the_folder_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="found a file; wanted a folder"):
        write_phantoms(tmp_path / "out", cases=1, shape=SHAPE)


def test_a_failure_halfway_leaves_the_earlier_phantoms_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_phantoms(tmp_path, cases=1, shape=SHAPE)
    before = contents(tmp_path)

    def fail_at_the_second(region: object, seed: tuple[int, int], *arguments: object) -> object:
        if seed[1] == 1:
            raise OSError("disk full")
        return make_case(region, seed, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(dataset, "make_case", fail_at_the_second)
    with pytest.raises(OSError, match="disk full"):
        write_phantoms(tmp_path, cases=2, seed=9, shape=SHAPE)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("wrong", [{"cases": 0}, {"cases": True}, {"regions": []}, {"modalities": []}], ids=str)
def test_nothing_to_write_is_an_error(tmp_path: Path, wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(InputError, match=f"phantom {name}: found .*; wanted at least 1"):
        write_phantoms(tmp_path / "new", **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"shape": (16, 16)}, {"modalities": ["pet"]}, {"seed": -1}], ids=str)
def test_a_wrong_argument_writes_nothing(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        write_phantoms(tmp_path / "new", **{"cases": 1, **wrong})  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()
