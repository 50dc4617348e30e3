"""Files from a browser, written straight into a private folder as they come: never whole in memory, never by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from transmodal.errors import InputError
from webpage.storage import safe_name

__all__ = ["TooLarge", "receive"]

FIELD = b"files"
OVERHEAD = 4096
"""Bytes that all that is not the content of a file may take, for each file."""


class TooLarge(InputError):
    """More was sent than is taken."""


async def receive(
    content_type: str, body: AsyncIterator[bytes], folder: Path, max_bytes: int, max_files: int
) -> dict[str, str]:
    """Write the files of a ``multipart/form-data`` body into a folder.

    Args:
        content_type: header of the request.
        body: as it comes.
        folder: where the files go, under names that are numbers.
        max_bytes: of all files together.
        max_files: how many.
    Returns:
        The name of each file in the folder, to what its sender calls it, cleaned.
    Raises:
        TooLarge: as soon as there is more than that.
        InputError: if it is no such body, or without files.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise _no_files(f"a request of type {content_type.partition(';')[0][:60] or 'nothing'}")
    parts = _Parts(folder, max_bytes, max_files)
    parser = MultipartParser(options[b"boundary"], parts.callbacks())
    received = 0
    try:
        async for chunk in body:
            received += len(chunk)
            parts.check_size(received - max_files * OVERHEAD)
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise _no_files("a body that breaks off or is malformed") from error
    finally:
        parts.close()
    if not parts.names:
        raise _no_files("no file in the field 'files'")
    if not parts.complete:
        raise _no_files("a body that breaks off")
    return parts.names


class _Parts:
    """What the parser tells of the parts of a body."""

    def __init__(self, folder: Path, max_bytes: int, max_files: int) -> None:
        self.folder, self.max_bytes, self.max_files = folder, max_bytes, max_files
        self.names: dict[str, str] = {}
        self.complete = False
        self._written = 0
        self._file: BinaryIO | None = None
        self._field, self._value, self._disposition = b"", b"", b""

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise TooLarge(
                "the upload",
                found=f"more than {self.max_bytes / 2**20:.0f} MB",
                wanted="less",
                remedy="send one series, or start the server with a larger --max-upload-mb",
            )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        self._field, self._value, self._disposition = b"", b"", b""

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field, self._value = b"", b""

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") != FIELD or not options.get(b"filename"):
            return
        if len(self.names) >= self.max_files:
            raise TooLarge(
                "the upload",
                found=f"more than {self.max_files} files",
                wanted="one scan",
                remedy="send one series, or a zip of it",
            )
        stored = f"{len(self.names):06d}"
        self.names[stored] = safe_name(options[b"filename"].decode("utf-8", errors="replace"))
        self._file = (self.folder / stored).open("xb")

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._written += end - start
            self.check_size(self._written)
            self._file.write(data[start:end])

    def _end(self) -> None:
        self.complete = True


def _no_files(found: str) -> InputError:
    return InputError(
        "the upload",
        found=found,
        wanted="a form of type multipart/form-data with the field 'files'",
        remedy="choose the files on the page, and wait until they are sent",
    )
