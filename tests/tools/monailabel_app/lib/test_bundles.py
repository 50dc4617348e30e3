"""Which bundles a folder holds, and what keeps one from being served."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from monailabel_app.lib.bundles import find_bundles

FILES = {
    "configs/inference.json": "{}",
    "configs/metadata.json": "{}",
    "models/model.pt": "weights",
    "tiny_bundle/__init__.py": "",
    "tiny_bundle/networks.py": "gain = 1",
}


def write(folder: Path, name: str = "ct_mr_tiny_translation", files: Mapping[str, str] = FILES) -> Path:
    """A bundle as far as this module looks."""
    for path, text in files.items():
        (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / name / path).write_text(text)
    return folder / name


def zipped(folder: Path, name: str = "ct_mr_tiny_translation", files: Mapping[str, str] = FILES) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}_v0.1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, text in files.items():
            archive.writestr(f"{name}/{entry}", text)
    return path


def test_folders_and_zips_are_served_under_the_bundles_names(tmp_path: Path) -> None:
    write(tmp_path / "served", "one")
    zipped(tmp_path / "served", "two")
    (tmp_path / "served" / "models").mkdir()  # of pack.py, no bundle
    found = find_bundles(tmp_path / "served", tmp_path / "unpacked")
    assert list(found) == ["one", "two"]
    assert found["one"] == tmp_path / "served" / "one"
    assert (found["two"] / "models" / "model.pt").read_text() == "weights"
    assert tmp_path / "unpacked" in found["two"].parents


def test_a_zip_is_unpacked_once_and_what_training_made_of_it_stays(tmp_path: Path) -> None:
    zipped(tmp_path / "served")
    weights = next(iter(find_bundles(tmp_path / "served", tmp_path / "unpacked").values())) / "models" / "model.pt"
    weights.write_text("trained")
    find_bundles(tmp_path / "served", tmp_path / "unpacked")
    assert weights.read_text() == "trained"


def test_a_zip_with_other_content_is_unpacked_beside_the_first(tmp_path: Path) -> None:
    zipped(tmp_path / "served")
    first = find_bundles(tmp_path / "served", tmp_path / "unpacked")
    zipped(tmp_path / "served", files={**FILES, "models/model.pt": "others"})
    second = find_bundles(tmp_path / "served", tmp_path / "unpacked")
    assert first != second
    assert [path for path in (tmp_path / "unpacked").iterdir() if path.name.startswith(".")] == []


def test_a_zip_whose_checksum_is_not_the_stated_one_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "served")
    stated = archive.with_name(f"{archive.name}.sha256")
    stated.write_text(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}\n")
    assert find_bundles(tmp_path / "served", tmp_path / "unpacked")
    stated.write_text(f"{'0' * 64}  {archive.name}\n")
    with pytest.raises(ValueError, match="found sha256"):
        find_bundles(tmp_path / "served", tmp_path / "unpacked")


@pytest.mark.parametrize("entry", ["../outside.txt", "/outside.txt", "other/file.txt", "..\\outside.txt"])
def test_a_zip_that_reaches_out_of_its_one_folder_is_refused_and_not_unpacked(tmp_path: Path, entry: str) -> None:
    archive = zipped(tmp_path / "served")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(entry, "outside")
    with pytest.raises(ValueError, match="another layout"):
        find_bundles(tmp_path / "served", tmp_path / "unpacked")
    assert not (tmp_path / "unpacked").exists()


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "served")
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(ValueError, match="a damaged zip"):
        find_bundles(tmp_path / "served", tmp_path / "unpacked")


@pytest.mark.parametrize("missing", ["models/model.pt", "configs/metadata.json"])
def test_a_bundle_that_is_not_whole_is_refused(tmp_path: Path, missing: str) -> None:
    write(tmp_path, files={name: text for name, text in FILES.items() if name != missing})
    with pytest.raises(ValueError, match=f"no .*{missing}"):
        find_bundles(tmp_path, tmp_path / "unpacked")


@pytest.mark.parametrize("folder", ["", "absent"])
def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        find_bundles(folder and tmp_path / folder, tmp_path / "unpacked")


def test_a_folder_without_bundles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no bundle"):
        find_bundles(tmp_path, tmp_path / "unpacked")


def test_one_version_of_a_bundle_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "served", files={**FILES, "configs/metadata.json": '{"version": "0.1.0"}'})
    zipped(tmp_path / "served")
    with pytest.raises(ValueError, match="ct_mr_tiny_translation twice"):
        find_bundles(tmp_path / "served", tmp_path / "unpacked")


def test_packages_of_one_name_with_different_code_are_refused(tmp_path: Path) -> None:
    """The second bundle would run the network of the first."""
    write(tmp_path, "one")
    write(tmp_path, "two", {**FILES, "tiny_bundle/networks.py": "gain = 2"})
    with pytest.raises(ValueError, match="different code in tiny_bundle"):
        find_bundles(tmp_path, tmp_path / "unpacked")


def test_other_weights_of_the_same_code_are_served_together(tmp_path: Path) -> None:
    write(tmp_path, "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two" / "models" / "model.pt").write_text("others")
    assert list(find_bundles(tmp_path, tmp_path / "unpacked")) == ["one", "two"]


def test_only_the_named_bundles_are_looked_at_and_unpacked(tmp_path: Path) -> None:
    for name in ("one", "two"):
        zipped(tmp_path / "served", name)
    zipped(tmp_path / "served", "three", {name: text for name, text in FILES.items() if name != "models/model.pt"})
    assert list(find_bundles(tmp_path / "served", tmp_path / "unpacked", "two")) == ["two"]
    assert [path.name for path in (tmp_path / "unpacked").iterdir() if path.name.startswith("two")]
    assert len(list((tmp_path / "unpacked").iterdir())) == 1
    with pytest.raises(ValueError, match="no bundle four"):
        find_bundles(tmp_path / "served", tmp_path / "unpacked", "one, four")
    with pytest.raises(ValueError, match=r"no models/model\.pt"):
        find_bundles(tmp_path / "served", tmp_path / "unpacked", "three")


def test_a_release_with_bundles_without_weights_is_served_without_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    zipped(tmp_path, "trained")
    zipped(tmp_path, "untrained", {name: text for name, text in FILES.items() if name != "models/model.pt"})
    (tmp_path / "hf_models").mkdir()
    assert list(find_bundles(tmp_path, tmp_path / "unpacked")) == ["trained"]
    assert "untrained_v0.1.0.zip is not served: it has no weights" in caplog.text


def test_of_two_versions_the_highest_is_served(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    zipped(tmp_path, files={**FILES, "models/model.pt": "old"}).rename(tmp_path / "ct_mr_tiny_translation_v0.9.0.zip")
    zipped(tmp_path, files={**FILES, "models/model.pt": "new"}).rename(tmp_path / "ct_mr_tiny_translation_v0.10.0.zip")
    (served,) = find_bundles(tmp_path, tmp_path / "unpacked").values()
    assert (served / "models" / "model.pt").read_text() == "new"
    assert "v0.9.0.zip is not served: ct_mr_tiny_translation_v0.10.0.zip is a later version" in caplog.text
