"""The picture that was annotated: embedded in the file, or beside it."""

from __future__ import annotations

import io
from pathlib import Path, PureWindowsPath

import numpy as np
from PIL import Image, ImageOps

from annotation.schema import Annotation, decoded, read_json
from transmodal.errors import InputError


def read_picture(annotation: Annotation) -> tuple[Image.Image, str]:
    """The picture as labelme showed it: a file is turned as its EXIF orientation says, embedded bytes are not.

    Returns:
        The whole picture in memory, and what the user should know about where it was found, or nothing.
    Raises:
        InputError: naming the annotation, if there is no picture, it cannot be read, or has not the size that the
            annotation tells.
    """
    path, note = annotation.path, ""
    try:
        if annotation.embedded:
            image: Image.Image = Image.open(io.BytesIO(decoded(read_json(path)["imageData"])))
            image.load()
        else:
            place, note = find_picture(annotation)
            with Image.open(place) as opened:
                opened.load()
                image = ImageOps.exif_transpose(opened)
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        source = "imageData" if annotation.embedded else f"the picture {annotation.image_path}"
        raise InputError(
            path,
            found=f"{source} that cannot be read ({str(error).splitlines()[0][:100]})",
            wanted="a whole picture",
            remedy="export the picture again, and save the annotation again with labelme",
        ) from error
    _check_size(annotation, image)
    return image, note


def find_picture(annotation: Annotation) -> tuple[Path, str]:
    """Where the picture of an annotation lies, if it is not embedded.

    Backslashes separate folders as slashes do. A file that was annotated on another machine may name a path that is not
    on this one; a picture of that name beside the annotation is then taken, with a warning.
    """
    told, folder = annotation.image_path, annotation.path.parent
    places = [folder / told, folder / told.replace("\\", "/")]  # an absolute path replaces the folder
    for place in places:
        if place.is_file():
            return place, ""
    windows = PureWindowsPath(told)
    beside = folder / windows.name
    if (windows.root or windows.drive) and beside.is_file():
        return beside, f"{annotation.path}: {told} is not on this machine; took {beside.name} beside the annotation"
    raise InputError(
        annotation.path,
        found=f"no imageData, and no picture {told}",
        wanted="the picture embedded, or at imagePath relative to the annotation",
        remedy="copy the picture there, or correct imagePath",
    )


def displayed(image: Image.Image) -> Image.Image:
    """Any picture in 8-bit RGB; more bits are scaled so that the smallest value is black and the largest white."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float64)
        values = (values - values.min()) / max(float(np.ptp(values)), 1.0) * 255
        image = Image.fromarray(values.round().astype(np.uint8))
    return image.convert("RGB")


def _check_size(annotation: Annotation, image: Image.Image) -> None:
    rows, columns = annotation.size
    if rows not in (None, image.height) or columns not in (None, image.width):
        raise InputError(
            annotation.path,
            found=f"a picture of {image.width}×{image.height} pixels",
            wanted=f"{columns or image.width}×{rows or image.height}, as imageWidth and imageHeight tell",
            remedy="find the picture that was annotated (it may have been scaled or turned since), or annotate this",
        )
