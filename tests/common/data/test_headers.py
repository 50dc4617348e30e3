"""Headers of image files: what they say, and those that point elsewhere or at no plain numbers."""

from __future__ import annotations

from pathlib import Path

import itk
import nibabel
import numpy as np
import pytest
from PIL import Image

from transmodal.data.headers import check_size, read_header
from transmodal.errors import InputError

META = "ObjectType = Image\nNDims = 3\nDimSize = 8 8 8\nElementType = MET_UCHAR\n"
NRRD = "NRRD0004\ntype: unsigned char\ndimension: 3\nsizes: 8 8 8\nencoding: raw\n"
VOLUME = np.arange(10 * 9 * 8, dtype=np.int16).reshape(10, 9, 8)


def written(path: Path, text: str, coding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(coding) + bytes(512))
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_tells_its_sizes_and_where_it_lies(tmp_path: Path, suffix: str) -> None:
    affine = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(VOLUME, affine), path := tmp_path / f"a{suffix}")
    header = read_header(path)
    assert (header.sizes, header.spacing) == ((10, 9, 8), (1.5, 2.0, 3.0))
    np.testing.assert_array_equal(header.affine, affine)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_itk_writes_is_read(tmp_path: Path, suffix: str, packed: bool) -> None:
    itk.imwrite(itk.image_from_array(VOLUME.T.copy()), str(path := tmp_path / f"a{suffix}"), compression=packed)
    assert read_header(path).sizes == (10, 9, 8)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_picture_tells_columns_and_rows(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(path := tmp_path / f"a{suffix}")
    assert read_header(path).sizes == (30, 20)


def test_vectors_count_as_sizes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mha", META + "ElementNumberOfChannels = 3\nElementDataFile = LOCAL\n")
    assert read_header(path).sizes == (8, 8, 8, 3)


@pytest.mark.parametrize("coding", ["utf-8", "latin-1"])
def test_words_in_any_writing_are_no_concern(tmp_path: Path, coding: str) -> None:
    comment = "Müller, Åse" + (" 李" if coding == "utf-8" else "")
    assert read_header(written(tmp_path / "a.nrrd", f"{NRRD}name:={comment}\n\n", coding)).sizes == (8, 8, 8)
    path = written(tmp_path / "a.mha", f"{META}Comment = {comment}\nElementDataFile = LOCAL\n", coding)
    assert read_header(path).sizes == (8, 8, 8)


def test_a_long_header_is_read(tmp_path: Path) -> None:
    """Segmentations of 3D Slicer describe a hundred structures."""
    words = "".join(f"Segment{number}_Name:={'x' * 500}\n" for number in range(400))
    assert read_header(written(tmp_path / "a.nrrd", NRRD + words + "\n")).sizes == (8, 8, 8)


@pytest.mark.parametrize("place", ["/etc/passwd", "LIST\n../secret.raw", "secret%d.raw 1 8 1", "lOCAL", ""])
def test_a_meta_image_whose_voxels_are_elsewhere_is_refused(tmp_path: Path, place: str) -> None:
    path = written(tmp_path / "a.mha", f"{META}ElementDataFile = {place}\n")
    with pytest.raises(InputError, match=r"a\.mha: found a header whose ElementDataFile .* in another file") as refused:
        read_header(path)
    assert "save it as .nii.gz, or as one .mha" in refused.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        META + "Comment = ElementDataFile = LOCAL\nElementDataFile = /etc/passwd\n",
        META + "Comment = a\rElementDataFile = LOCAL\nElementDataFile = /etc/passwd\n",
        META + "Comment = a\x85ElementDataFile = LOCAL\nElementDataFile = /etc/passwd\n",
        META + "ElementDataFile : /etc/passwd\n",
        META + "elementdatafile = LOCAL\nElementDataFile = /etc/passwd\n",
        META,
    ],
)
def test_a_meta_image_that_may_be_read_in_two_ways_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"a\.mha: found"):
        read_header(written(tmp_path / "a.mha", text))


@pytest.mark.parametrize(
    "field", ["data file: /etc/passwd", "datafile: s.raw", "DATA  FILE: LIST\ns.raw", "dataé file: s.raw", "data file:"]
)
def test_an_nrrd_whose_voxels_are_elsewhere_is_refused(tmp_path: Path, field: str) -> None:
    with pytest.raises(InputError, match=r"a header whose data file is .* in another file"):
        read_header(written(tmp_path / "a.nrrd", f"{NRRD}{field}\n\n"))


@pytest.mark.parametrize(
    ("suffix", "text", "told"),
    [
        (".nrrd", NRRD + "byte skip: -1\n\n", "pixels that do not follow its header"),
        (".nrrd", NRRD.replace("NRRD0004", "Hello: you") + "\n", "its header lacks 'NRRD'"),
        (".nrrd", NRRD.replace("sizes", "names") + "\n", "its header lacks 'sizes'"),
        (".nrrd", NRRD + "sizes: 9 9 9\n\n", "'sizes' twice"),
        (".nrrd", NRRD, "its header lacks 'an empty line'"),
        (".mha", "NDims = 3\nElementDataFile = LOCAL\n", "its header lacks 'dimsize'"),
        (".mha", META, "its header lacks 'ElementDataFile'"),
    ],
)
def test_a_broken_text_header_is_told(tmp_path: Path, suffix: str, text: str, told: str) -> None:
    with pytest.raises(InputError, match=rf"found no \{suffix} image \({told}"):
        read_header(written(tmp_path / f"a{suffix}", text))


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VOLUME.astype(np.complex64), np.eye(4)), path := tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"complex numbers \(complex64\); wanted one real number per voxel"):
        read_header(path)


def test_colours_are_refused(tmp_path: Path) -> None:
    colours = np.zeros((8, 8, 8), [(name, "u1") for name in "RGB"])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), path := tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"compounds of R, G, B; wanted one real number per voxel"):
        read_header(path)


@pytest.mark.parametrize("kind", ["complex", "RGB-color", "4-color"])
def test_an_nrrd_of_complex_numbers_or_colours_is_refused(tmp_path: Path, kind: str) -> None:
    text = NRRD.replace("sizes: 8 8 8", f"sizes: 2 8 8\nkinds: {kind} domain domain")
    with pytest.raises(InputError, match=f"voxels that are of the kind {kind.lower()}; wanted one real number"):
        read_header(written(tmp_path / "a.nrrd", text + "\n"))


def test_an_nrrd_of_blocks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="voxels that are blocks of bytes"):
        read_header(written(tmp_path / "a.nrrd", NRRD.replace("unsigned char", "block") + "\n"))


def test_another_format_under_the_name_of_a_picture_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(path := tmp_path / "a.png", format="BMP")
    with pytest.raises(InputError, match=r"found no \.png image"):
        read_header(path)


def test_as_many_voxels_as_are_taken_pass(tmp_path: Path) -> None:
    check_size(tmp_path, (2, 3, 4), 24)


@pytest.mark.parametrize("sizes", [(2, 3, 5), (99999, 99999, 9), (9, 9, -9), (0, 8, 8), ()])
def test_more_voxels_than_are_taken_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"a\.mha: found an image of .* pixels; wanted 1 to 24 of them"):
        check_size(Path("a.mha"), sizes, 24)
