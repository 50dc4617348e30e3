"""Archives from strangers, unpacked so that no member says where it goes or how much comes out of it."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from pathlib import Path

from pydicom.misc import is_dicom

from transmodal.data.layout import extension
from transmodal.errors import InputError
from webpage.receiving import TooLarge
from webpage.storage import safe_name

__all__ = ["is_archive", "unpack"]

BLOCK = 1 << 20
RATIO = 250
"""Times that a member may be larger than what it is packed into; images reach a few dozen."""
SMALL = 10 * BLOCK
"""Bytes below which the ratio does not matter: a constant image of this size does no harm."""
ENTRY = 512
"""Bytes that a member may take in the list at the end of a zip, on average: 46, its name, and times and owners."""
COMMENT = 1 << 17
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def is_archive(path: Path) -> bool:
    """Whether a file is a zip by its content."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06") and zipfile.is_zipfile(path)


def unpack(archive: Path, folder: Path, max_bytes: int, max_files: int) -> dict[str, str]:
    """Unpack the images of a zip; anything else in it, and archives in archives, are passed over.

    Members are written under names that are numbers: where a member says it belongs is never looked at. What comes out
    is counted as it comes, whatever the archive claims.

    Args:
        archive: a zip.
        folder: an existing folder for the files.
        max_bytes: of all members together.
        max_files: how many members there may be.
    Returns:
        The name of each file in the folder, to the last part of its name in the archive, cleaned.
    Raises:
        TooLarge: if it holds more, or is packed more tightly than images can be.
        InputError: if it is broken or encrypted.
    """
    names: dict[str, str] = {}
    left = max_bytes
    try:
        with _Listed(archive, max(BLOCK, max_files * ENTRY)) as file, zipfile.ZipFile(file) as opened:
            members = opened.infolist()
            if len(members) > max_files:
                raise _too_large(f"{len(members)} members", f"at most {max_files}")
            if sum(member.file_size for member in members) > max_bytes:
                raise _too_large("members that say they are larger", f"{max_bytes / 2**20:.0f} MB unpacked")
            for member in members:
                if member.is_dir() or not _is_plain(member):
                    continue
                target = folder / f"{archive.name}-{len(names):06d}"
                left -= _write(opened, member, target, left)
                if _is_image(target, member.filename):
                    names[target.name] = safe_name(member.filename)
                else:
                    target.unlink()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "the archive",
            found=f"a zip that cannot be unpacked ({str(error) or type(error).__name__})",
            wanted="a complete zip without a password",
            remedy="pack it again",
        ) from error
    return names


class _Listed(io.BufferedReader):
    """A zip whose list of members is read only up to a size.

    ``zipfile`` reads the list in one piece, of whatever size the end of the file (of zip64 too) gives it, and makes an
    object of each member before it can be asked how many there are.
    """

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(io.FileIO(path))
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:  # what follows the list, at most a comment of 64 kB
            return super().read(COMMENT)
        if size > self.most:
            raise _too_large(f"a list of members of {size / 2**20:.1f} MB", f"{self.most / 2**20:.1f} MB of it")
        return super().read(size)


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Whether a member is a file, and not a link or a device.

    Raises:
        InputError: if it is encrypted or packed by a method that is not taken.
    """
    if member.flag_bits & 0x1 or member.compress_type not in METHODS:
        raise InputError(
            "the archive",
            found="an encrypted member" if member.flag_bits & 0x1 else "a member packed by an uncommon method",
            wanted="a zip without a password, packed by deflate",
            remedy="pack it again",
        )
    kind = stat.S_IFMT(member.external_attr >> 16)
    return kind in (0, stat.S_IFREG)


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Write one member; its true size."""
    written = 0
    with opened.open(member) as source, target.open("xb") as file:
        while block := source.read(BLOCK):
            written += len(block)
            if written > left:
                raise _too_large("more than it says", "no more than may be uploaded")
            if written > SMALL and written > RATIO * max(member.compress_size, 1):
                raise _too_large(f"a member that grows more than {RATIO} times", "images")
            file.write(block)
    return written


def _is_image(path: Path, name: str) -> bool:
    lower = Path(name.lower())
    return bool(extension(lower)) or lower.suffix in (".dcm", ".ima") or (lower.name != "dicomdir" and is_dicom(path))


def _too_large(found: str, wanted: str) -> TooLarge:
    return TooLarge("the archive", found=found, wanted=wanted, remedy="pack one series into one zip")
