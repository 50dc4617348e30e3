"""Bodies of forms: whole, broken, too large, and with names that want to be somewhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from transmodal.errors import InputError
from webpage.receiving import TooLarge, receive

BOUNDARY = "b0undary"
KIND = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, content: bytes, field: str = "files") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def take(
    folder: Path, content: bytes, kind: str = KIND, chunk: int = 7, max_bytes: int = 1000, max_files: int = 3
) -> dict[str, str]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), chunk):
            yield content[start : start + chunk]

    return asyncio.run(receive(kind, chunks(), folder, max_bytes, max_files))


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_files_arrive_whole_in_order_and_under_numbers(tmp_path: Path, chunk: int) -> None:
    first, second = bytes(range(256)), b"\r\n--b0undar"
    names = take(tmp_path, body(part("a.nii.gz", first), part("b.dcm", second)), chunk=chunk)
    assert names == {"000000": "a.nii.gz", "000001": "b.dcm"}
    assert (tmp_path / "000000").read_bytes() == first
    assert (tmp_path / "000001").read_bytes() == second


@pytest.mark.parametrize("name", ["../../evil.dcm", "/etc/cron.d/evil.dcm", "..%2f..%2fevil.dcm", "C:\\\\evil.dcm"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in" / "side"
    folder.mkdir(parents=True)
    names = take(folder, body(part(name, b"x")))
    assert [path.name for path in folder.iterdir()] == ["000000"]
    assert set("/\\").isdisjoint(names["000000"])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["000000"]


def test_other_fields_are_passed_over(tmp_path: Path) -> None:
    assert take(tmp_path, body(part("no.nii", b"x", field="other"), part("yes.nii", b"y"))) == {"000000": "yes.nii"}


def test_more_bytes_than_are_taken_are_refused_while_they_come(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="more than 0 MB"):
        take(tmp_path, body(part("a.nii", b"x" * 600), part("b.nii", b"x" * 600)))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000


def test_a_body_without_files_is_bounded_as_well(tmp_path: Path) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="other"\r\n\r\n'.encode()
        while True:
            read += 1000
            yield b"x" * 1000

    with pytest.raises(TooLarge):
        asyncio.run(receive(KIND, endless(), tmp_path, 1000, 3))
    assert read < 20_000


def test_more_files_than_are_taken_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="more than 3 files"):
        take(tmp_path, body(*(part(f"{number}.dcm", b"x") for number in range(4))))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", "application/json"),
        (b"", ""),
        (b"x", "multipart/form-data"),
        (body(), KIND),
        (b"no boundary at all", KIND),
        (part("a.nii", b"x" * 20)[:-8], KIND),
    ],
    ids=["json", "nothing", "no boundary", "no parts", "garbage", "broken off"],
)
def test_what_is_no_form_with_files_is_refused(tmp_path: Path, content: bytes, kind: str) -> None:
    with pytest.raises(InputError, match="wanted a form of type multipart/form-data with the field 'files'"):
        take(tmp_path, content, kind)
