"""Weights that arrive by one command: each way that MONAI knows, from servers on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

import monai.bundle
import nibabel as nib
import numpy as np
import pytest

from pack import LARGE_FILES
from tests.integration.download.hosts import COMMIT, github, hub, serving, web
from tests.packaging.alone import run_alone
from tests.packaging.tiny import NAME, write_cases
from tests.tools.releasing.house import GAIN

VERSION = f"{NAME}_v0.1.0"
REPOSITORY = f"someone/{NAME}"
Release = Callable[..., Path]
Unpacked = Callable[[Path], dict[str, bytes]]


def files(folder: Path) -> dict[str, bytes]:
    """Content of a bundle that was fetched into a folder, by names as in its zip."""
    paths = [path for path in (folder / NAME).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def fetch(folder: Path, **source: str) -> dict[str, bytes]:
    """What ``monai.bundle.download`` does with these arguments, into a folder; what is then there."""
    monai.bundle.download(name=NAME, bundle_dir=str(folder), progress=False, **source)
    return files(folder)


def test_by_the_command_of_a_web_server_and_then_it_translates_where_no_core_is_installed(
    release: Release, command: Callable[..., None], unpacked: Unpacked, tmp_path: Path
) -> None:
    folder, got = release(), tmp_path / "got"
    with serving(web(folder)) as (address, asked):
        command("download", "--name", NAME, "--bundle_dir", ".", "--url", f"{address}/{VERSION}.zip")
    assert asked == [f"/{VERSION}.zip"]
    assert files(got) == unpacked(folder / f"{VERSION}.zip")
    cases, output = write_cases(tmp_path / "cases", "case_1"), tmp_path / "output"
    run_alone(got / NAME, "--dataset_dir", str(cases), "--output_dir", str(output), "--device", "cpu")
    (result,) = output.rglob("*.nii.gz")
    mr = nib.load(cases / "case_1" / "mr.nii.gz").get_fdata()
    np.testing.assert_allclose(nib.load(result).get_fdata(), GAIN * mr, rtol=0, atol=1e-2)


def test_by_the_command_of_the_hub(
    release: Release, command: Callable[..., None], unpacked: Unpacked, tmp_path: Path
) -> None:
    """The repository has what the release's README.md says: the unpacked zip, and the card of hf_models/."""
    folder, repository = release(owner="someone"), tmp_path / "repository"
    shutil.unpack_archive(folder / f"{VERSION}.zip", repository)
    card = (folder / "hf_models" / NAME / "README.md").read_bytes()
    (repository / NAME / "README.md").write_bytes(card)
    with serving(hub(repository / NAME, REPOSITORY)) as (address, asked):
        source = ("--source", "huggingface_hub", "--repo", REPOSITORY)
        command("download", "--name", NAME, "--bundle_dir", ".", *source, HF_ENDPOINT=address)
    assert f"/{REPOSITORY}/resolve/{COMMIT}/models/model.pt" in asked
    wanted = {**unpacked(folder / f"{VERSION}.zip"), f"{NAME}/README.md": card}
    assert {name: file for name, file in files(tmp_path / "got").items() if "/.cache/" not in name} == wanted


def test_from_a_folder_of_this_machine(release: Release, unpacked: Unpacked, tmp_path: Path) -> None:
    archive = release() / f"{VERSION}.zip"
    assert fetch(tmp_path / "got", url=archive.as_uri()) == unpacked(archive)


@pytest.mark.parametrize(
    ("tag", "listing"),
    [
        ("v1", "raw.githubusercontent.com/a/b/v1/models/model_info.json"),
        ("hosting_storage_v1", "api.github.com/repos/a/b/releases"),
    ],
)
def test_from_a_release_of_github_in_the_latest_version(
    release: Release, redirected: Callable[[str], None], unpacked: Unpacked, tmp_path: Path, tag: str, listing: str
) -> None:
    """Of the tag hosting_storage_v1 MONAI reads the assets, of any other the list in the repository."""
    folder = release(base_url=f"https://github.com/a/b/releases/download/{tag}")
    with serving(github(folder, "a/b", tag)) as (address, asked):
        redirected(address)
        got = fetch(tmp_path / "got", source="github", repo=f"a/b/{tag}")
    assert asked == [f"/{listing}", f"/github.com/a/b/releases/download/{tag}/{VERSION}.zip"]
    assert got == unpacked(folder / f"{VERSION}.zip")


def test_from_a_release_of_github_in_a_version_that_is_named(
    release: Release, redirected: Callable[[str], None], tmp_path: Path
) -> None:
    with serving(github(release(), "a/b", "v1")) as (address, asked):
        redirected(address)
        assert f"{NAME}/models/model.pt" in fetch(tmp_path / "got", version="0.1.0", source="github", repo="a/b/v1")
        with pytest.raises(HTTPError, match="404"):
            fetch(tmp_path / "absent", version="0.9.0", source="github", repo="a/b/v1")
    assert asked[0] == f"/github.com/a/b/releases/download/v1/{VERSION}.zip"


def test_weights_that_are_kept_apart_come_by_a_second_command_and_are_compared(
    release: Release, unpacked: Unpacked, tmp_path: Path
) -> None:
    served, got = tmp_path / "served", tmp_path / "got"
    with serving(web(served)) as (address, asked):
        folder = release(base_url=address, apart=True)
        weights = next(folder.glob("*.pt"))
        assert fetch(got, url=f"{address}/{VERSION}.zip") == unpacked(folder / f"{VERSION}.zip")
        monai.bundle.download_large_files(bundle_path=str(got / NAME))
        model = got / NAME / "models" / "model.pt"
        assert model.read_bytes() == weights.read_bytes()
        model.unlink()
        weights.write_bytes(b"other")
        with pytest.raises(Exception, match="sha256 hash check"):
            monai.bundle.download_large_files(bundle_path=str(got / NAME))
    assert asked == [f"/{VERSION}.zip", f"/{weights.name}", f"/{weights.name}"]
    assert not model.exists()


def test_a_checkout_fetches_weights_by_the_large_files_of_the_release(release: Release, tmp_path: Path) -> None:
    folder = release()
    bundle = tmp_path / "bundles" / NAME
    shutil.copyfile(folder / "large_files" / VERSION / LARGE_FILES, bundle / LARGE_FILES)
    monai.bundle.download_large_files(bundle_path=str(bundle))
    assert (bundle / "models" / "model.pt").read_bytes() == next(folder.glob("*.pt")).read_bytes()
