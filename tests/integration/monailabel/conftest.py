"""Packed bundles and images for them; MONAI Label's environment is made once, which an error of pip fails."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import SimpleITK as sitk

import label
from contract import Bundle
from pack import pack
from tests.integration.monailabel.serving import Server, start
from tests.packaging.tiny import shrink
from transmodal.phantom import Chest, write_phantoms

ROOT = Path(__file__).resolve().parents[3]
CYCLEGAN, SYNDIFF = "ct_mr_cyclegan_translation", "ct_mr_syndiff_translation"


@pytest.fixture(scope="session", autouse=True)
def environment_of_label() -> None:
    """MONAI Label and what it needs, as tools/label.py installs them."""
    if not label.OLDEST <= sys.version_info[:2] <= label.NEWEST:
        pytest.skip("MONAI Label 0.8.5 needs numpy < 2, of which there is no build for this Python")
    label.python()


@pytest.fixture(scope="module")
def names() -> list[str]:
    """The bundles that a module needs: all, where it does not say which."""
    return sorted(path.parent.name for path in ROOT.glob("bundles/*/configs"))


@pytest.fixture(scope="module")
def shrunk(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bundles with networks so small that they run in a moment."""
    folder = tmp_path_factory.mktemp("shrunk")
    return {name: shrink(ROOT / "bundles" / name, folder) for name in names}


@pytest.fixture(scope="module")
def packed(shrunk: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with them, packed."""
    folder = tmp_path_factory.mktemp("packed")
    for bundle in shrunk.values():
        pack(Bundle(bundle), folder)
    return folder


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case folder with a CT and MR contrasts."""
    modalities = ("ct", "mr", "t1", "t2", "flair")
    return write_phantoms(tmp_path_factory.mktemp("phantoms"), cases=1, shape=(40, 36, 6), modalities=modalities)[0]


@pytest.fixture(scope="module")
def studies(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two MR images."""
    folder = tmp_path_factory.mktemp("patients") / "studies"
    folder.mkdir()
    for name in ("first", "second"):
        shutil.copyfile(phantom / "mr.nii.gz", folder / f"{name}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def labelled(packed: Path, studies: Path, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose images have their CT as label, sent to it as a client does."""
    server = start(tmp_path_factory.mktemp("server"), packed, studies)
    try:
        for name in ("first", "second"):
            server.label(name, phantom / "ct.nii.gz")
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case folder with a CT of a chest and its radiograph."""
    folder, modalities = tmp_path_factory.mktemp("chests"), ("ct", "xray", "mask")
    return write_phantoms(
        folder, cases=1, shape=(24, 24, 12), modalities=modalities, regions=[Chest()], xray_spacing=5.0
    )[0]


@pytest.fixture(scope="module")
def patient(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case folder with a few slices of a real CT and MR of one patient."""
    case = tmp_path_factory.mktemp("patients") / "STS_004"
    case.mkdir()
    for modality in ("ct", "mr"):
        image = sitk.ReadImage(str(shared / "data" / "ct_mr_pairs" / case.name / f"{modality}.mha"))
        sitk.WriteImage(image[24:104, 30:100, 28:33], str(case / f"{modality}.mha"))
    return case
