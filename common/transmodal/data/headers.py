"""The headers of image files: what is there, whether it is in the file itself, and whether a voxel is one real number.

Some formats may point at other files: a MetaImage or NRRD header that names ``/etc/hosts`` as its voxels would have
these read as an image. No voxels are read here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from transmodal.data.layout import PICTURES, extension
from transmodal.errors import InputError

__all__ = ["NIFTI", "Header", "check_size", "read_header"]

NIFTI = (".nii.gz", ".nii")
HEAD = 1 << 20
"""Bytes in which a text header has to end."""
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")


@dataclass(frozen=True)
class Header:
    """What a header says.

    Args:
        sizes: number of voxels along each axis, channels or volumes among them.
        affine: of a NIfTI file, (4, 4), from voxels to mm, RAS, as it is stored.
        spacing: of a NIfTI file, the voxel's size in mm along each axis by its ``pixdim``.
    """

    sizes: tuple[int, ...]
    affine: NDArray[np.float64] | None = None
    spacing: tuple[float, ...] = ()


def read_header(path: Path) -> Header:
    """Read the header of an image file.

    Args:
        path: a regular file with one of our extensions.
    Raises:
        InputError: if it has no header of its format, its voxels are in another file, or they are complex numbers,
            colours or other compounds.
    """
    suffix = extension(path)
    try:
        return _READERS[suffix](path)
    except InputError:
        raise
    except Exception as error:  # each reader has its own kinds of failure; all of them mean the same here
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise InputError(
            path,
            found=f"no {suffix} image ({reason})",
            wanted=f"a complete {suffix} file",
            remedy="copy or convert the file again; it may be truncated or have a wrong name",
        ) from error


def check_size(path: Path, sizes: Sequence[int], most: int) -> None:
    """Refuse more voxels than are taken, or none.

    Args:
        path: their file, for the error.
        sizes: along each axis.
        most: of them all.
    Raises:
        InputError: if there are more than that, or fewer than one.
    """
    if not sizes or min(sizes) < 1 or prod(sizes) > most:
        raise InputError(
            path,
            found=f"an image of {'×'.join(map(str, sizes)) or 'no'} pixels",
            wanted=f"1 to {most} of them",
            remedy="crop or resample it first",
        )


def _nifti(path: Path) -> Header:
    loaded = nibabel.load(path)
    if not isinstance(loaded, nibabel.Nifti1Image):  # nibabel also knows other formats by their content
        raise ValueError("another format than its name says")
    image: Any = loaded
    kind = image.get_data_dtype()
    if kind.kind not in "biuf":
        told = ", ".join(kind.names or [str(kind)])
        raise _compound(path, f"complex numbers ({kind})" if kind.kind == "c" else f"compounds of {told}")
    zooms = tuple(abs(float(zoom)) for zoom in image.header.get_zooms())
    return Header(tuple(map(int, image.shape)), np.asarray(image.affine, dtype=np.float64), zooms)


def _meta_image(path: Path) -> Header:
    fields = _fields(_head(path, b"ElementDataFile"), "=")
    if (place := fields.get("elementdatafile", "")) not in ("LOCAL", "Local", "local"):
        raise _elsewhere(path, "ElementDataFile", place, "LOCAL")
    channels = int(fields.get("elementnumberofchannels", "1"))
    return Header((*map(int, _told(fields, "dimsize").split()), *([channels] if channels != 1 else [])))


def _nrrd(path: Path) -> Header:
    text = _head(path, b"\n\n", b"\r\n\r\n")
    if not text.startswith("NRRD"):
        raise ValueError("its header lacks 'NRRD'")
    fields = {name.replace(" ", ""): value for name, value in _fields(text, ":").items()}
    if (place := fields.get("datafile")) is not None:
        raise _elsewhere(path, "data file", place, "none: pixels attached")
    if int(fields.get("lineskip", "0")) or int(fields.get("byteskip", "0")):
        raise ValueError("pixels that do not follow its header")
    compounds = [kind for kind in fields.get("kinds", "").lower().split() if "color" in kind or kind == "complex"]
    if compounds or fields.get("type", "").lower() == "block":
        raise _compound(path, f"of the kind {compounds[0]}" if compounds else "blocks of bytes")
    return Header(tuple(int(size) for size in _told(fields, "sizes").split()))


def _picture(path: Path) -> Header:
    with warnings.catch_warnings(), Image.open(path, formats=["PNG", "JPEG"]) as image:
        warnings.simplefilter("ignore")  # Pillow warns of large ones
        return Header(tuple(image.size))


def _head(path: Path, *ends: bytes) -> str:
    """The text of a header up to the line of the first of these marks."""
    with path.open("rb") as file:
        start = file.read(HEAD)
    found = [place for place in (start.find(end) for end in ends) if place >= 0]
    if not found:
        raise ValueError(f"its header lacks {ends[0].decode().strip() or 'an empty line'!r}")
    end = start.find(b"\n", min(found))
    head = start[: end if end >= 0 else len(start)]
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    text = text.replace("\r\n", "\n")
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
        name = name.encode("ascii", "ignore").decode()  # as pynrrd reads it
        name = re.sub(r"\s+", " ", name).strip().lower()
        if name in fields:
            raise ValueError(f"{name!r} twice in its header")
        fields[name] = value.strip()
    return fields


def _told(fields: dict[str, str], name: str) -> str:
    if name not in fields:
        raise ValueError(f"its header lacks {name!r}")
    return fields[name]


def _elsewhere(path: Path, field: str, found: str, wanted: str) -> InputError:
    return InputError(
        path,
        found=f"a header whose {field} is {found!r}, so that its pixels are in another file",
        wanted=f"one file that holds all ({wanted})",
        remedy="save it as .nii.gz, or as one .mha or .nrrd file",
    )


def _compound(path: Path, found: str) -> InputError:
    return InputError(
        path,
        found=f"voxels that are {found}",
        wanted="one real number per voxel",
        remedy="save the magnitude of complex numbers, or one channel, as an image of its own",
    )


_READERS: dict[str, Callable[[Path], Header]] = {
    **dict.fromkeys(NIFTI, _nifti),
    **dict.fromkeys(PICTURES, _picture),
    ".mha": _meta_image,
    ".nrrd": _nrrd,
}
