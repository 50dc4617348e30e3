"""Files that hold the same slice twice, as exports and copies of exports do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transmodal.dicom.headers import ImageFile
from transmodal.dicom.pixels import physical
from transmodal.errors import InputError

__all__ = ["check_unique", "without_duplicates"]


def without_duplicates(files: Sequence[ImageFile]) -> tuple[list[ImageFile], list[Path]]:
    """Keep the first of files with one place and equal physical values; pixels are read only where places coincide.

    Different values at one place (phases, echoes) are left for the checks of the stack.

    Returns:
        the files to keep in their order, and the paths left out.
    """
    places: dict[tuple[float, ...], list[ImageFile]] = defaultdict(list)
    for file in files:
        places[tuple(round(value, 3) for value in (*file.position, *file.orientation))].append(file)
    left_out: list[Path] = []
    for here in places.values():
        kept: list[NDArray[np.float32]] = []
        for file in here if len(here) > 1 and here[0].position else ():
            values = physical(file.path)
            if any(np.array_equal(values, other) for other in kept):
                left_out.append(file.path)
            else:
                kept.append(values)
    return [file for file in files if file.path not in left_out], left_out


def check_unique(where: str, files: Sequence[ImageFile]) -> None:
    """Refuse different images under one SOP Instance UID, once repeated files are left out."""
    uid, count = Counter(str(file.header.get("SOPInstanceUID")) for file in files).most_common(1)[0]
    if count > 1:
        names = [file.path.name for file in files if str(file.header.get("SOPInstanceUID")) == uid]
        raise InputError(
            where,
            found=f"different images with one SOPInstanceUID ({', '.join(names[:3])})",
            wanted="an identifier of its own for every image",
            remedy="export the series again; one of the files was changed, or given the identifier of another",
        )
