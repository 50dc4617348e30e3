"""Indices are read as they are stored; through colours and greys classes would be lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation.palette import read_indices, voc_colours, write_indices
from transmodal.errors import InputError

ALL = np.arange(256, dtype=np.uint8).reshape(16, 16)


def test_the_colours_are_those_of_voc() -> None:
    """The colours of the first classes as the VOC development kit lists them, and of 255, void."""
    colours = voc_colours()
    expected = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)]
    assert [tuple(colour) for colour in colours[:7].tolist()] == expected
    assert colours[[15, 20, 255]].tolist() == [[192, 128, 128], [0, 64, 128], [224, 224, 192]]
    assert len(np.unique(colours, axis=0)) == 256


def test_all_indices_survive(tmp_path: Path) -> None:
    write_indices(ALL, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
    found, note = read_indices(tmp_path / "a.png")
    np.testing.assert_array_equal(found, ALL)
    assert note == ""


def test_the_published_way_through_grey_loses_classes(tmp_path: Path) -> None:
    """What the sources of this layout did: palette to grey, over 255, rounded. It erased 1 to 6 and kept 99 of 255."""
    write_indices(ALL, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), dtype=float), -1, 0)
    kept = (0.299 * red + 0.587 * green + 0.114 * blue).round() / 255 >= 0.5
    assert not kept.ravel()[1:7].any()
    assert kept.sum() == 99


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_indices_of_fewer_bits_are_read(bits: int, tmp_path: Path) -> None:
    indices = (ALL % 2**bits).astype(np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette(voc_colours()[: 2**bits].tobytes())
    picture.save(tmp_path / "a.png", bits=bits)
    np.testing.assert_array_equal(read_indices(tmp_path / "a.png")[0], indices)


def test_colours_of_voc_are_read_exactly_with_a_message(tmp_path: Path) -> None:
    Image.fromarray(voc_colours()[ALL]).save(tmp_path / "a.png")
    found, note = read_indices(tmp_path / "a.png")
    np.testing.assert_array_equal(found, ALL)
    assert note == "a.png has colours instead of indices; read by the palette of VOC"


def test_other_colours_are_refused(tmp_path: Path) -> None:
    colours = voc_colours()[ALL]
    colours[3, 3] = (128, 1, 0)
    Image.fromarray(colours).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"found 1 colours that are not VOC's, such as \(128, 1, 0\)"):
        read_indices(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["L", "1", "LA", "RGBA", "I;16"])
def test_greys_and_other_kinds_are_refused(mode: str, tmp_path: Path) -> None:
    Image.fromarray(ALL).convert(mode).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=f"a.png: found a picture of mode {mode}.*wanted a palette PNG") as caught:
        read_indices(tmp_path / "a.png")
    assert ("greys may be what a conversion" in str(caught.value)) == (mode in ("L", "1", "LA"))


def test_indices_sorted_anew_by_a_reduction_of_colours_are_refused(tmp_path: Path) -> None:
    labels = np.repeat(np.array([0, 2, 5], np.uint8), 20).reshape(6, 10)
    reduced = Image.fromarray(voc_colours()[labels]).convert("P", palette=Image.Palette.ADAPTIVE, colors=3)
    assert set(np.unique(np.asarray(reduced))) == {0, 1, 2}
    reduced.save(tmp_path / "a.png")
    with pytest.raises(InputError, match="the colours of VOC under other indices"):
        read_indices(tmp_path / "a.png")


def test_indices_of_another_palette_are_taken_with_a_message(tmp_path: Path) -> None:
    picture = Image.fromarray((ALL % 3).astype(np.uint8))
    picture.putpalette([1, 2, 3, 40, 50, 60, 70, 80, 90])
    picture.save(tmp_path / "a.png")
    found, note = read_indices(tmp_path / "a.png")
    np.testing.assert_array_equal(found, ALL % 3)
    assert "a palette that is not VOC's" in note


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    write_indices(ALL, tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:900])
    with pytest.raises(InputError, match=r"a.png: found no picture that can be read"):
        read_indices(tmp_path / "a.png")
