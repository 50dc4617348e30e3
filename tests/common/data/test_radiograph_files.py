"""Pictures of radiographs: every depth, grey even if stored in colour, and no colour taken for grey."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transmodal.data.radiograph_files import read_picture
from transmodal.errors import InputError

GREYS = np.random.default_rng(0).integers(0, 255, (12, 10)).astype(np.uint8)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_greys_of_any_depth_are_read_as_they_are(dtype: type, tmp_path: Path) -> None:
    values = GREYS.astype(dtype) * (200 if dtype is np.uint16 else 1)
    read = read_picture(saved(Image.fromarray(values), tmp_path / "x.png"))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA"])
def test_a_grey_picture_stored_in_colour_is_read(mode: str, tmp_path: Path) -> None:
    read = read_picture(saved(Image.fromarray(GREYS).convert(mode), tmp_path / "x.png"))
    np.testing.assert_array_equal(read, GREYS)


def test_a_colour_jpeg_of_greys_is_read(tmp_path: Path) -> None:
    read = read_picture(saved(Image.fromarray(GREYS).convert("RGB"), tmp_path / "x.jpg", quality=95))
    assert np.abs(read - GREYS).mean() < 8


def test_one_coloured_pixel_is_refused(tmp_path: Path) -> None:
    image = Image.fromarray(GREYS).convert("RGB")
    image.putpixel((3, 4), (255, 0, 0))
    with pytest.raises(InputError, match=r"colours in 0\.83 % of the pixels"):
        read_picture(saved(image, tmp_path / "x.png"))


def test_transparency_is_refused(tmp_path: Path) -> None:
    image = Image.fromarray(GREYS).convert("RGBA")
    image.putpixel((0, 0), (*image.getpixel((0, 0))[:3], 0))
    with pytest.raises(InputError, match="transparency"):
        read_picture(saved(image, tmp_path / "x.png"))


def test_the_rotation_that_a_camera_tells_is_undone(tmp_path: Path) -> None:
    """Orientation 6: the picture is to be turned by 90 degrees clockwise (Exif 2.3, tag 274)."""
    exif = Image.Exif()
    exif[274] = 6
    read = read_picture(saved(Image.fromarray(GREYS), tmp_path / "x.png", exif=exif))
    np.testing.assert_array_equal(read, np.rot90(GREYS, -1))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_broken_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read") as refused:
        read_picture(tmp_path / "x.png")
    assert refused.value.where == str(tmp_path / "x.png")


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    file = saved(
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99)).astype(np.uint8)), tmp_path / "x.png"
    )
    file.write_bytes(file.read_bytes()[:4000])
    with pytest.raises(InputError, match="cannot be read"):
        read_picture(file)
