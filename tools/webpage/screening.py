"""Images from strangers, judged by their headers before a reader is let at them: size, and whether they are all there.

Some formats may point at other files: a MetaImage or NRRD header that names ``/etc/hosts`` as its pixels would have
these shown as a picture. And any header may claim a volume that fills the memory.
"""

from __future__ import annotations

import gzip
import re
import warnings
import zlib
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path

import nibabel
from PIL import Image
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from transmodal.data.layout import PICTURES, extension
from transmodal.dicom.headers import read_header
from transmodal.errors import InputError

__all__ = ["MOST_PIXELS", "MOST_VOXELS", "screen", "screen_dicom"]

MOST_VOXELS = 512 * 512 * 1024
"""More than a whole body in 1 mm; a float32 copy of it takes 1 GB."""
MOST_PIXELS = 8192 * 8192
HEAD = 1 << 16
"""Bytes in which a text header has to end."""
INFLATED = (str(DeflatedExplicitVRLittleEndian), "1.2.840.10008.1.2.4.95")
"""Transfer syntaxes of which a header is known only after all that is packed behind it has been unpacked in memory
(the second is JPIP Referenced Deflate)."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def screen(path: Path) -> None:
    """Refuse an image file whose header says that it is too large, or that its pixels are elsewhere.

    Args:
        path: with the extension of its format.
    Raises:
        InputError: if so, or if there is no such header.
    """
    suffix = extension(path)
    try:
        sizes = _SIZES[suffix](path)
    except InputError:
        raise
    except Exception as error:  # readers of headers fail in as many ways as headers can be broken
        reason = next(iter(str(error).strip().splitlines()), "broken header")
        raise InputError(
            path.name,
            found=f"no {suffix} image ({reason})",
            wanted=f"a complete {suffix} file",
            remedy="export or copy it again; it may be truncated or have a wrong name",
        ) from error
    _check_size(path, sizes, MOST_PIXELS if suffix in PICTURES else MOST_VOXELS)


def screen_dicom(files: Sequence[Path]) -> None:
    """Refuse DICOM files that hold more pixels than are taken, or that are packed as a whole, by their headers.

    Raises:
        InputError: if they do, or one is broken.
    """
    total = 0
    for file in files:
        _check_syntax(file)
        header = read_header(file, complete=False)
        rows, columns = int(header.get("Rows", 0) or 0), int(header.get("Columns", 0) or 0)
        total += rows * columns * int(header.get("NumberOfFrames", 1) or 1) * int(header.get("SamplesPerPixel", 1) or 1)
        if total > MOST_VOXELS:
            _check_size(file, [total], MOST_VOXELS)


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


def _check_size(path: Path, sizes: Sequence[int], most: int) -> None:
    if not sizes or min(sizes) < 1 or prod(sizes) > most:
        raise InputError(
            path.name,
            found=f"an image of {'×'.join(map(str, sizes)) or 'no'} pixels",
            wanted=f"1 to {most} of them",
            remedy="crop or resample it before it is uploaded",
        )


def _nifti(path: Path) -> list[int]:
    image = nibabel.load(path)
    if not isinstance(image, nibabel.Nifti1Image):  # nibabel also knows pairs of files
        raise ValueError("another format than its name says")
    width, shape = image.get_data_dtype().itemsize, list(image.shape)
    _check_size(path, shape, MOST_VOXELS)
    if width > 8:
        raise ValueError(f"voxels of {width} bytes")
    if path.suffix == ".gz":
        _check_stream(path, int(image.dataobj.offset) + prod(shape) * width)
    return shape


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


def _meta_image(path: Path) -> list[int]:
    fields = _fields(_head(path, b"ElementDataFile"), "=")
    if fields.get("elementdatafile", "").upper() != "LOCAL":
        raise _elsewhere(path, "ElementDataFile", fields.get("elementdatafile", ""), "LOCAL")
    return [*map(int, fields["dimsize"].split()), int(fields.get("elementnumberofchannels", "1"))]


def _nrrd(path: Path) -> list[int]:
    fields = _fields(_head(path, b"\n\n", b"\r\n\r\n"), ":")
    if pointer := fields.get("data file") or fields.get("datafile"):
        raise _elsewhere(path, "data file", pointer, "none: pixels attached")
    if int(fields.get("line skip", fields.get("lineskip", "0"))) or int(
        fields.get("byte skip", fields.get("byteskip", "0"))
    ):
        raise ValueError("pixels that do not follow its header")
    return [int(size) for size in fields["sizes"].split()]


def _head(path: Path, *ends: bytes) -> str:
    """The text of a header up to the line of the first of these marks."""
    with path.open("rb") as file:
        start = file.read(HEAD)
    found = [place for place in (start.find(end) for end in ends) if place >= 0]
    if not found:
        raise ValueError(f"no end of its header in {HEAD} bytes")
    end = start.find(b"\n", min(found))
    text = start[: end if end >= 0 else len(start)].decode("latin-1").replace("\r\n", "\n")
    if CONTROL.search(text):  # what one reader takes for the end of a line, another reads over
        raise ValueError("control characters in its header")
    return text


def _fields(text: str, separator: str) -> dict[str, str]:
    """Names in lower case to values; a name that comes twice would be read by one reader and not by another."""
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, found, value = line.partition(separator)
        if not found or line.startswith("#"):
            continue
        name = re.sub(r"\s+", " ", name).strip().lower()
        if name in fields:
            raise ValueError(f"{name!r} twice in its header")
        fields[name] = value.strip()
    return fields


def _picture(path: Path) -> list[int]:
    with warnings.catch_warnings(), Image.open(path, formats=["PNG", "JPEG"]) as image:
        warnings.simplefilter("ignore")  # Pillow warns of large ones, which are refused below
        return list(image.size)


def _elsewhere(path: Path, field: str, found: str, wanted: str) -> InputError:
    return InputError(
        path.name,
        found=f"a header whose {field} is {found!r}, so that its pixels are in another file",
        wanted=f"one file that holds all ({wanted})",
        remedy="save it as .nii.gz, or as one .mha or .nrrd file",
    )


_SIZES: dict[str, Callable[[Path], list[int]]] = {
    ".nii": _nifti,
    ".nii.gz": _nifti,
    ".mha": _meta_image,
    ".nrrd": _nrrd,
    **dict.fromkeys(PICTURES, _picture),
}
