"""Headers that lie: images that are elsewhere, enormous, or no images."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import itk
import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import BasicTextSRStorage, DeflatedExplicitVRLittleEndian

from tests.common.radiographs import write_radiograph
from tests.tools.translating.scans import ct_values, write_dicom, write_volume
from transmodal.errors import InputError
from webpage import screening
from webpage.screening import screen, screen_dicom


@pytest.fixture
def image(tmp_path: Path) -> Callable[[str], Path]:
    """A CT in any of the formats."""

    def write(suffix: str) -> Path:
        path = tmp_path / f"scan{suffix}"
        if suffix.startswith(".nii"):
            return write_volume(path, ct_values())
        if suffix in (".png", ".jpg"):
            Image.fromarray(np.zeros((20, 30), np.uint8)).save(path)
            return path
        itk.imwrite(itk.image_from_array(ct_values().T.copy()), str(path), compression=True)
        return path

    return write


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd", ".png", ".jpg"])
def test_images_as_programs_write_them_pass(image: Callable[[str], Path], suffix: str) -> None:
    screen(image(suffix))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd", ".png", ".jpg"])
@pytest.mark.parametrize("content", [b"", b"hello", bytes(400), b"\xff" * 5000], ids=["empty", "text", "zero", "ff"])
def test_garbage_is_refused_by_name_and_without_its_folder(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        screen(path)
    assert error.value.where == path.name
    assert str(tmp_path) not in error.value.where


META = "ObjectType = Image\nNDims = 3\nDimSize = 8 8 8\nElementType = MET_SHORT\n"


@pytest.mark.parametrize(
    "text",
    [
        META + "ElementDataFile = /etc/passwd\n",
        META + "ElementDataFile = LIST\n../secret.raw\n",
        META + "Comment = \x85ElementDataFile = LOCAL\nElementDataFile = /etc/passwd\n",
        META + "Comment = ElementDataFile\nElementDataFile = /etc/passwd\n",
        META + "Comment = a\rElementDataFile = LOCAL\nElementDataFile = /etc/passwd\n",
        META + "ElementDataFile : /etc/passwd\n",
    ],
)
def test_a_meta_image_that_points_elsewhere_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scan.mha"
    path.write_bytes(text.encode("latin-1") + bytes(1024))
    with pytest.raises(InputError):
        screen(path)


@pytest.mark.parametrize("field", ["data file: /etc/passwd", "datafile: secret.raw", "DATA FILE: LIST\nsecret.raw"])
def test_an_nrrd_that_points_elsewhere_is_refused(tmp_path: Path, field: str) -> None:
    path = tmp_path / "scan.nrrd"
    path.write_text(f"NRRD0004\ntype: short\ndimension: 3\nsizes: 8 8 8\n{field}\nencoding: raw\n\n", encoding="utf-8")
    with pytest.raises(InputError, match="pixels are in another file"):
        screen(path)


def test_an_nrrd_that_skips_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.nrrd"
    path.write_text("NRRD0004\nsizes: 8 8 8\nbyte skip: -1\nencoding: raw\n\n", encoding="utf-8")
    with pytest.raises(InputError, match="pixels that do not follow its header"):
        screen(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_nifti_that_claims_more_voxels_than_are_taken_is_refused(tmp_path: Path, suffix: str) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    content = header.binaryblock + bytes(4)
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    with pytest.raises(InputError, match="an image of 30000×30000×30000 pixels"):
        screen(path)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".mha", "NDims = 3\nDimSize = 99999 99999 9\nElementDataFile = LOCAL\n"),
        (".mha", "NDims = 3\nDimSize = 9 9 9\nElementNumberOfChannels = 999999999\nElementDataFile = LOCAL\n"),
        (".mha", "NDims = 3\nDimSize = 9 9 -9\nElementDataFile = LOCAL\n"),
        (".nrrd", "NRRD0004\nsizes: 99999 99999 9\n\n"),
    ],
)
def test_text_headers_that_claim_more_are_refused(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"scan{suffix}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"wanted 1 to \d+ of them"):
        screen(path)


def test_a_packed_nifti_that_breaks_off_is_refused(image: Callable[[str], Path], tmp_path: Path) -> None:
    content = gzip.decompress(image(".nii.gz").read_bytes())
    path = tmp_path / "short.nii.gz"
    path.write_bytes(gzip.compress(content[:-100]))
    with pytest.raises(InputError, match="its voxels break off"):
        screen(path)


def test_of_a_packed_nifti_no_more_is_unpacked_than_its_header_says(
    image: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = gzip.decompress(image(".nii.gz").read_bytes())
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(content + bytes(50 << 20), compresslevel=1))
    read = 0
    original = gzip.GzipFile.read

    def counted(stream: Any, size: int | None = -1) -> bytes:
        nonlocal read
        data: bytes = original(stream, size)
        read += len(data)
        return data

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    screen(path)
    assert read < 2 * len(content)


def test_a_nifti_whose_name_says_another_format_is_refused(image: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "scan.mha"
    image(".nii").rename(path)
    with pytest.raises(InputError, match=r"found no \.mha image"):
        screen(path)


def test_a_picture_of_too_many_pixels_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "xray.png"
    Image.fromarray(np.zeros((100, 100), np.uint8)).save(path)
    monkeypatch.setattr(screening, "MOST_PIXELS", 5000)
    with pytest.raises(InputError, match="an image of 100×100 pixels"):
        screen(path)


def test_another_format_under_the_name_of_a_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "xray.png"
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(path, format="BMP")
    with pytest.raises(InputError, match=r"found no \.png image"):
        screen(path)


def test_dicom_is_counted_over_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(write_dicom(tmp_path / "series", ct_values((24, 26, 4))).iterdir())
    screen_dicom(files)
    monkeypatch.setattr(screening, "MOST_VOXELS", 24 * 26 * 3)
    with pytest.raises(InputError, match="an image of 2496 pixels"):
        screen_dicom(files)


def test_frames_that_a_dicom_header_claims_count(tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "series", ct_values((24, 26, 1)), NumberOfFrames=10_000_000)
    with pytest.raises(InputError, match="pixels; wanted 1 to"):
        screen_dicom(list(folder.iterdir()))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95"])
def test_a_deflated_dicom_is_refused_before_any_of_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: str
) -> None:
    (path,) = write_dicom(tmp_path / "series", ct_values((24, 26, 1))).iterdir()
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.add_new(0x00291010, "OB", bytes(20 << 20))
    dataset.save_as(path)
    content = path.read_bytes().replace(b"1.2.840.10008.1.2.1.99", syntax.encode().ljust(22, b"\0"))
    path.write_bytes(content)
    assert len(content) < 100_000
    monkeypatch.setattr(zlib, "decompress", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(InputError, match=r"packed as a whole .*; wanted DICOM that is not deflated"):
        screen_dicom([path])


def test_dicom_without_meta_information_is_refused_by_name(tmp_path: Path) -> None:
    (path := tmp_path / "a.dcm").write_bytes(b"hello")
    with pytest.raises(InputError, match=r"^a\.dcm: found a DICOM file that cannot be read"):
        screen_dicom([path])


def test_dicom_without_an_image_is_no_fault(tmp_path: Path) -> None:
    report = {"Modality": "SR", "SOPClassUID": BasicTextSRStorage, "Rows": None, "Columns": None, "PixelData": None}
    screen_dicom([write_radiograph(tmp_path / "report.dcm", **report)])
