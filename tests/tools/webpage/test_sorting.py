"""What is kept of what was received, and under which names."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.tools.translating.scans import ct_values, write_dicom
from transmodal.errors import InputError
from webpage.sorting import Files

LIMITS = (1 << 24, 100)


@pytest.fixture
def slices(tmp_path: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(write_dicom(tmp_path / "series", ct_values()).iterdir())]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "files"
    place.mkdir()
    return place


def put(folder: Path, *files: tuple[str, bytes]) -> dict[str, str]:
    for number, (_, content) in enumerate(files):
        (folder / f"{number:06d}").write_bytes(content)
    return {f"{number:06d}": name for number, (name, _) in enumerate(files)}


def test_dicom_is_known_by_its_content_and_other_files_go(folder: Path, slices: list[bytes]) -> None:
    names = put(folder, ("IM0001", slices[0]), ("notes.txt", b"hello"), ("setup.exe", b"MZ"))
    found = Files.sorted_out(folder, names, *LIMITS)
    assert [path.name for path in found.dicom] == ["IM0001"]
    assert found.others == ["notes.txt", "setup.exe"]
    assert [path.name for path in folder.iterdir()] == ["IM0001"]


def test_files_of_one_name_do_not_replace_each_other(folder: Path, slices: list[bytes]) -> None:
    found = Files.sorted_out(folder, put(folder, *(("im.dcm", content) for content in slices)), *LIMITS)
    assert sorted(path.read_bytes() for path in found.dicom) == sorted(slices)


def test_a_name_cannot_be_that_of_a_file_that_waits(folder: Path, slices: list[bytes]) -> None:
    found = Files.sorted_out(folder, put(folder, ("000001", slices[0]), ("000000", slices[1])), *LIMITS)
    assert sorted(path.read_bytes() for path in found.dicom) == sorted(slices[:2])


def test_archives_are_unpacked_and_not_kept(folder: Path, slices: list[bytes], tmp_path: Path) -> None:
    packed = tmp_path / "study.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for number, content in enumerate(slices):
            archive.writestr(f"CT/{number}", content)
        archive.writestr("DICOMDIR", slices[0])
    found = Files.sorted_out(folder, put(folder, ("study.zip", packed.read_bytes())), *LIMITS)
    assert sorted(path.read_bytes() for path in found.dicom) == sorted(slices)
    assert len(list(folder.iterdir())) == len(slices)


def test_all_archives_share_one_limit(folder: Path, tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        packed = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"{name}.nii", bytes(700))
        files.append((packed.name, packed.read_bytes()))
    with pytest.raises(InputError, match="the archive"):
        Files.sorted_out(folder, put(folder, *files), 1000, 10)


def test_dicom_and_other_images_together_are_refused(folder: Path, slices: list[bytes]) -> None:
    names = put(folder, ("a.dcm", slices[0]), ("b.nii", b"x"))
    with pytest.raises(InputError, match="found DICOM files and other images"):
        Files.sorted_out(folder, names, *LIMITS)


def test_an_upload_without_images_is_refused_and_says_what_was_in_it(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no image among readme.txt; wanted a NIfTI, MHA or NRRD file"):
        Files.sorted_out(folder, put(folder, ("readme.txt", b"hello")), *LIMITS)
