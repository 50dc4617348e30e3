"""The annotated picture is found wherever the file says it is, and is the one that was annotated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotation.picture import displayed, read_picture
from annotation.schema import read_annotation
from transmodal.errors import InputError

Annotate = Callable[..., Path]
GREY = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
EIGHT_BITS = (GREY % 251).astype(np.uint8)


def saved(path: Path, pixels: Any = EIGHT_BITS, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def found(path: Path) -> tuple[np.ndarray[Any, Any], str]:
    image, note = read_picture(read_annotation(path))
    return np.asarray(image), note


def test_an_embedded_picture_is_taken_before_a_file(annotate: Annotate, tmp_path: Path) -> None:
    saved(tmp_path / "a.png", np.zeros((20, 30), np.uint8))
    pixels, note = found(annotate(tmp_path / "a.json"))
    assert pixels[1, 1] == 8
    assert note == ""


@pytest.mark.parametrize("told", ["in/b.png", "in\\b.png", ".\\in\\b.png", "../set/in/b.png", "..\\set\\in/b.png"])
def test_a_relative_path_counts_from_the_annotation(told: str, annotate: Annotate, tmp_path: Path) -> None:
    saved(tmp_path / "set/in/b.png")
    pixels, note = found(annotate(tmp_path / "set/a.json", imageData=None, imagePath=told))
    np.testing.assert_array_equal(pixels, EIGHT_BITS)
    assert note == ""


def test_an_absolute_path_is_taken(annotate: Annotate, tmp_path: Path) -> None:
    picture = saved(tmp_path / "elsewhere/b.png")
    pixels, note = found(annotate(tmp_path / "a.json", imageData=None, imagePath=str(picture)))
    assert pixels.shape == (20, 30)
    assert note == ""


@pytest.mark.parametrize("told", ["C:\\Users\\me\\b.png", "/nowhere/on/this/machine/b.png", "\\\\server\\share\\b.png"])
def test_an_absolute_path_of_another_machine_means_the_picture_beside(
    told: str, annotate: Annotate, tmp_path: Path
) -> None:
    saved(tmp_path / "b.png")
    pixels, note = found(annotate(tmp_path / "a.json", imageData=None, imagePath=told))
    assert pixels.shape == (20, 30)
    assert note.endswith("is not on this machine; took b.png beside the annotation")


@pytest.mark.parametrize("told", ["b.png", "in/b.png", "C:\\in\\b.png"])
def test_a_missing_picture_is_refused(told: str, annotate: Annotate, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        found(annotate(tmp_path / "a.json", imageData=None, imagePath=told))
    assert str(caught.value).startswith(f"{tmp_path}/a.json: found no imageData, and no picture {told}")


def test_a_relative_path_never_means_another_folder(annotate: Annotate, tmp_path: Path) -> None:
    saved(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"no picture in/b.png"):
        found(annotate(tmp_path / "a.json", imageData=None, imagePath="in/b.png"))


def test_a_picture_file_is_turned_as_its_exif_orientation_says(annotate: Annotate, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    saved(tmp_path / "a.png", exif=exif)
    pixels, _ = found(annotate(tmp_path / "a.json", imageData=None, imageHeight=30, imageWidth=20))
    np.testing.assert_array_equal(pixels, np.rot90(EIGHT_BITS, -1))


@pytest.mark.parametrize("size", [(30, 20), (20, 31), (19, 30)])
def test_a_picture_of_another_size_is_refused(size: tuple[int, int], annotate: Annotate, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"a.json: found a picture of 30×20 pixels; wanted {size[1]}×{size[0]}, as"):
        found(annotate(tmp_path / "a.json", imageHeight=size[0], imageWidth=size[1]))


@pytest.mark.parametrize("data", ["no base64!", "aGVsbG8="])
def test_broken_embedded_data_are_refused(data: str, annotate: Annotate, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.json: found imageData that cannot be read"):
        found(annotate(tmp_path / "a.json", imageData=data))


def test_a_truncated_picture_file_is_refused(annotate: Annotate, tmp_path: Path) -> None:
    picture = saved(tmp_path / "a.png")
    picture.write_bytes(picture.read_bytes()[: picture.stat().st_size // 2])
    with pytest.raises(InputError, match=r"a.json: found the picture a.png that cannot be read"):
        found(annotate(tmp_path / "a.json", imageData=None))


def test_pictures_of_16_bits_are_shown_from_black_to_white() -> None:
    shown = np.asarray(displayed(Image.fromarray(GREY * 100)))
    assert shown.shape == (20, 30, 3)
    assert (shown.min(), shown.max()) == (0, 255)
    np.testing.assert_array_equal(shown[..., 0], np.round(GREY / GREY.max() * 255))
