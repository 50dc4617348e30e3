"""Archives that want out of their folder, or are larger than they look."""

from __future__ import annotations

import contextlib
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.translating.scans import ct_values, write_dicom
from transmodal.errors import InputError
from webpage import archives
from webpage.archives import is_archive, unpack
from webpage.receiving import TooLarge

MEGABYTE = 1 << 20
Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """A zip of these names and contents."""

    def make(content: dict[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
        path = tmp_path / "000000"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        return path

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "deep" / "inside"
    place.mkdir(parents=True)
    return place


def take(archive: Path, folder: Path, max_bytes: int = MEGABYTE, max_files: int = 10) -> dict[str, str]:
    return unpack(archive, folder, max_bytes, max_files)


def test_images_come_out_under_numbers_and_nothing_else_does(pack: Pack, folder: Path, tmp_path: Path) -> None:
    slices = write_dicom(tmp_path / "series", ct_values())
    members = {f"study/CT/{file.stem}": file.read_bytes() for file in sorted(slices.iterdir())}
    archive = pack({**members, "readme.txt": b"hello", "run.sh": b"#!/bin/sh", "inner.zip": b"PK\x03\x04"})
    names = take(archive, folder)
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    assert list(names.values()) == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    assert (folder / next(iter(names))).read_bytes() == members["study/CT/1.2.3.1"]


@pytest.mark.parametrize("name", ["../../out.nii", "/tmp/out.nii", "a/../../../out.nii", "..\\..\\out.nii"])
def test_no_member_leaves_the_folder(pack: Pack, folder: Path, tmp_path: Path, name: str) -> None:
    archive = pack({name: b"x"})
    names = take(archive, folder)
    assert list(names.values()) == ["out.nii"]
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {archive, folder / next(iter(names))}


def test_links_are_not_unpacked(pack: Pack, folder: Path) -> None:
    link = zipfile.ZipInfo("scan.nii")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    assert take(pack({link: b"/etc/passwd"}), folder) == {}
    assert list(folder.iterdir()) == []


def test_a_member_that_grows_far_more_than_images_do_is_refused(
    pack: Pack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "SMALL", 1000)
    with pytest.raises(TooLarge, match="grows more than 250 times"):
        take(pack({"bomb.nii": bytes(2 * MEGABYTE)}), folder, max_bytes=100 * MEGABYTE)


def test_what_comes_out_is_counted_whatever_the_archive_says(
    pack: Pack, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack({"a.nii": bytes(range(256)) * 4096}, zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    central = content.index(b"PK\x01\x02")
    struct.pack_into("<L", content, central + 24, 10)  # the uncompressed size that it claims
    archive.write_bytes(content)
    monkeypatch.setattr(archives, "BLOCK", 64)
    with contextlib.suppress(InputError):
        take(archive, folder, max_bytes=1000)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 1000


def test_members_that_together_are_too_large_are_refused_before_any_is_written(pack: Pack, folder: Path) -> None:
    with pytest.raises(TooLarge, match="wanted 1 MB unpacked"):
        take(pack({f"{number}.nii": bytes(MEGABYTE // 2 + 1) for number in range(2)}), folder)
    assert list(folder.iterdir()) == []


def test_too_many_members_are_refused(pack: Pack, folder: Path) -> None:
    with pytest.raises(TooLarge, match="found 11 members; wanted at most 10"):
        take(pack({f"{number}.nii": b"" for number in range(11)}), folder)


@pytest.mark.parametrize("zip64", [False, True])
def test_a_list_of_members_that_fills_the_memory_is_refused_unread(
    pack: Pack, folder: Path, monkeypatch: pytest.MonkeyPatch, zip64: bool
) -> None:
    archive = pack({f"{number}.nii": b"" for number in range(200)})
    monkeypatch.setattr(archives, "BLOCK", 4096)
    monkeypatch.setattr(zipfile.ZipFile, "infolist", lambda _: pytest.fail("it was read"))
    if zip64:
        content = archive.read_bytes()
        *_, size, start, _ = struct.unpack("<4s4H2LH", content[-22:])
        end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 200, 200, size, start)
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(content) - 22, 1)
        last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
        archive.write_bytes(content[:-22] + end + locator + last)
    with pytest.raises(TooLarge, match="a list of members of"):
        take(archive, folder)


def test_an_archive_with_a_comment_is_unpacked(pack: Pack, folder: Path) -> None:
    with zipfile.ZipFile(archive := pack({"a.nii": b"x"}), "a") as opened:
        opened.comment = b"c" * 60000
    assert list(take(archive, folder).values()) == ["a.nii"]


def test_an_encrypted_archive_is_refused(pack: Pack, folder: Path) -> None:
    archive = pack({"a.nii": b"x" * 100}, zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(InputError, match="an encrypted member; wanted a zip without a password"):
        take(archive, folder)


def test_a_truncated_archive_is_refused_with_what_to_do(pack: Pack, folder: Path) -> None:
    archive = pack({"a.nii": bytes(range(256)) * 40})
    content = bytearray(archive.read_bytes())
    content[40:80] = b"\xff" * 40
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"(?s)cannot be unpacked.*What to do: pack it again"):
        take(archive, folder)


def test_an_archive_is_known_by_its_content(pack: Pack, scan: Path) -> None:
    assert is_archive(pack({"a": b"x"}))
    assert not is_archive(scan)
