"""Images that are refused by their headers, without a word of where the server keeps them."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from monailabel_app.lib import screening
from monailabel_app.lib.screening import screen, without_place
from transmodal.errors import InputError

META = "ObjectType = Image\nNDims = 3\nDimSize = 8 8 8\nElementType = MET_UCHAR\n"
NRRD = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 8 8 8\nencoding: raw\n"
HUGE = ("DimSize = 8 8 8", "DimSize = 99999 99999 9")


def test_an_image_passes(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 8), np.int16), np.eye(4)), path := tmp_path / "mr.nii.gz")
    screen(str(path))


@pytest.mark.parametrize("name", ["series", "scan.dcm", "absent.mha"])
def test_what_is_no_image_file_is_judged_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "series").mkdir()
    (tmp_path / "scan.dcm").write_bytes(b"")
    screen(str(tmp_path / name))
    screen(None)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.mha", META + "ElementDataFile = /etc/passwd\n", "in another file"),
        ("a.nrrd", NRRD + "data file: /etc/passwd\n\n", "in another file"),
        ("a.mha", META.replace(*HUGE) + "ElementDataFile = LOCAL\n", "99999×99999×9 pixels"),
        ("a.nrrd", NRRD.replace("8 8 8", "99999 99999 9") + "\n", "99999×99999×9 pixels"),
        ("a.nii.gz", "junk", "no .nii.gz image"),
    ],
)
def test_an_image_is_refused_by_its_name_alone(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as refused:
        screen(str(tmp_path / name))
    assert refused.value.where == name
    assert told in refused.value.found
    assert str(tmp_path) not in str(refused.value)


def test_a_picture_of_more_pixels_than_are_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((100, 90), np.uint8)).save(path := tmp_path / "xray.png")
    screen(path)
    monkeypatch.setattr(screening, "MOST_PIXELS", 8999)
    with pytest.raises(InputError, match="90×100 pixels; wanted 1 to 8999"):
        screen(path)


def test_words_about_an_image_are_without_its_folder(tmp_path: Path) -> None:
    told = without_place(f"{tmp_path}{os.sep}a.mha: no file {tmp_path}{os.sep}a.raw", tmp_path / "a.mha")
    assert told == "a.mha: no file a.raw"
    assert without_place("./a: no file", None) == "./a: no file"
