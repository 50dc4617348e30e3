"""Images from strangers, judged by their headers before a reader is let at them: size, and whether they are all there.

Any header may claim a volume that fills the memory, and a packed file may be much more than it claims.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import nibabel
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from transmodal.data.headers import NIFTI, check_size, read_header
from transmodal.data.layout import PICTURES, extension
from transmodal.dicom.headers import read_header as read_dicom_header
from transmodal.errors import InputError

__all__ = ["MOST_PIXELS", "MOST_VOXELS", "screen", "screen_dicom"]

MOST_VOXELS = 512 * 512 * 1024
"""More than a whole body in 1 mm; a float32 copy of it takes 1 GB."""
MOST_PIXELS = 8192 * 8192
INFLATED = (str(DeflatedExplicitVRLittleEndian), "1.2.840.10008.1.2.4.95")
"""Transfer syntaxes of which a header is known only after all that is packed behind it has been unpacked in memory
(the second is JPIP Referenced Deflate)."""


def screen(path: Path) -> None:
    """Refuse an image file whose header says that it is too large, that its pixels are elsewhere or that they are no
    plain numbers.

    Args:
        path: with the extension of its format.
    Raises:
        InputError: if so, or if there is no such header; it names the file without its folder.
    """
    suffix = extension(path)
    try:
        check_size(path, read_header(path).sizes, MOST_PIXELS if suffix in PICTURES else MOST_VOXELS)
        if suffix in NIFTI:
            _check_whole(path)
    except InputError as error:
        told = {"found": error.found, "wanted": error.wanted, "remedy": error.remedy}
        raise InputError(path.name, **told) from error.__cause__


def screen_dicom(files: Sequence[Path]) -> None:
    """Refuse DICOM files that hold more pixels than are taken, or that are packed as a whole, by their headers.

    Raises:
        InputError: if they do, or one is broken.
    """
    total = 0
    for file in files:
        _check_syntax(file)
        header = read_dicom_header(file, complete=False)
        rows, columns = int(header.get("Rows", 0) or 0), int(header.get("Columns", 0) or 0)
        total += rows * columns * int(header.get("NumberOfFrames", 1) or 1) * int(header.get("SamplesPerPixel", 1) or 1)
        if total > MOST_VOXELS:
            check_size(Path(file.name), [total], MOST_VOXELS)


def _check_syntax(file: Path) -> None:
    """Look at the file meta information alone, which no transfer syntax packs."""
    try:
        syntax = str(read_file_meta_info(file).get("TransferSyntaxUID", "")).strip(" \0")
    except Exception as error:  # as for other formats
        raise InputError(
            file.name,
            found=f"a DICOM file that cannot be read ({next(iter(str(error).splitlines()), 'broken header')})",
            wanted="a complete DICOM file",
            remedy="export or copy it again; it may be truncated",
        ) from error
    if syntax in INFLATED:
        raise InputError(
            file.name,
            found=f"a file that is packed as a whole (transfer syntax {syntax}, deflated)",
            wanted="DICOM that is not deflated",
            remedy="export it uncompressed, for example with dcmconv +te or gdcmconv --raw",
        )


def _check_whole(path: Path) -> None:
    """Refuse voxels that no reader takes, and a packed stream that breaks off."""
    try:
        image: Any = nibabel.load(path)
        width = image.get_data_dtype().itemsize
        if width > 8:
            raise ValueError(f"voxels of {width} bytes")
        if path.suffix.lower() == ".gz":
            _check_stream(path, int(image.dataobj.offset) + prod(image.shape) * width)
    except ValueError as error:
        raise InputError(
            path,
            found=f"no {extension(path)} image ({error})",
            wanted=f"a complete {extension(path)} file",
            remedy="export or copy it again; it may be truncated or have a wrong name",
        ) from error


def _check_stream(path: Path, needed: int) -> None:
    """Make sure that a packed stream holds what its header says; no more of it is looked at, however much there is."""
    try:
        with gzip.open(path) as stream:
            while needed > 0:
                block = stream.read(min(1 << 20, needed))
                if not block:
                    raise ValueError("its voxels break off")
                needed -= len(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"a broken gzip stream: {error}") from error
