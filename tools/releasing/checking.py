"""Whether the folder of a release is whole: every file against its checksum, every listing against its files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from pack import LARGE_FILES
from releasing import direction, hub
from releasing.weights import WEIGHTS
from transmodal.errors import InputError
from transmodal.files import sha256_of, write_atomically

__all__ = ["SUMS", "problems_of", "weights_name", "write_sums"]

SUMS = "SHA256SUMS"
"""As ``sha256sum -c`` reads it."""


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of every other file."""
    text = "".join(f"{sha256_of(path)}  {name}\n" for name, path in _files(folder).items())
    write_atomically(folder / SUMS, lambda path: path.write_text(text, encoding="utf-8"))


def weights_name(name: str) -> str:
    """Of the file of weights that belongs to the zip ``<bundle>_v<version>``.

    It is without ``_v``, by which MONAI would take it for another version of the bundle among the assets of a release.
    """
    return "-".join([*name.rsplit("_v", 1), WEIGHTS])


def problems_of(folder: Path) -> Iterator[str]:
    """A line for each thing that is not as it should be.

    Raises:
        InputError: if the folder is no release.
    """
    if not (folder / SUMS).is_file():
        raise InputError(
            folder,
            found=f"no {SUMS}",
            wanted="the folder that tools/release.py build made",
            remedy="check the path, or build it",
        )
    damaged = list(_against_sums(folder))
    yield from damaged
    if damaged:  # listings of damaged files would only say so again
        return
    yield from _listing(folder)
    yield from _addresses(folder)
    for path in sorted(folder.glob("*.zip")):
        yield from _pages(path)
        yield from _archive(path)
    for path in sorted(folder.glob(f"large_files/*/{LARGE_FILES}")):
        yield from _pins(path, folder)
    for path in sorted(folder.glob("hf_models/*/metadata.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        yield from (f"{path.relative_to(folder)}: {problem}" for problem in hub.problems_of(content))


def _files(folder: Path) -> dict[str, Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found if path != folder / SUMS}


def _against_sums(folder: Path) -> Iterator[str]:
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    files = _files(folder)
    for name, digest in wanted.items():
        if name not in files:
            yield f"{name} is gone"
        elif (found := sha256_of(files[name])) != digest:
            yield f"{name}: found sha256 {found}; wanted {digest}"
    yield from (f"{name} is not in {SUMS}" for name in files.keys() - wanted.keys())


def _info(folder: Path) -> dict[str, Any]:
    path = folder / "models" / "model_info.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _listing(folder: Path) -> Iterator[str]:
    info = _info(folder)
    for name, entry in info.items():
        archive = folder / f"{name}.zip"
        if not archive.is_file():
            yield f"models/model_info.json: {archive.name} is gone"
        elif entry["checksum"] != sha256_of(archive):
            yield f"models/model_info.json: checksum of {archive.name} is {entry['checksum']}"
    unlisted = {path.stem for path in folder.glob("*.zip")} - info.keys()
    yield from (f"{name}.zip is not in models/model_info.json" for name in sorted(unlisted))


def _addresses(folder: Path) -> Iterator[str]:
    """Whether zips and pinned weights are all to be fetched from one place."""
    sources = [str(entry["source"]) for entry in _info(folder).values()]
    for pins in folder.glob(f"large_files/*/{LARGE_FILES}"):
        sources += [str(entry["url"]) for entry in ConfigParser.load_config_file(pins)["large_files"]]
    if len(bases := sorted({source.rpartition("/")[0] for source in sources})) > 1:
        yield f"models/model_info.json and {LARGE_FILES}: found several addresses of one folder: {', '.join(bases)}"


def _pages(path: Path) -> Iterator[str]:
    for page in ("README.md", "index.html"):
        file = path.with_name(page)
        if not file.is_file() or path.name not in file.read_text(encoding="utf-8"):
            yield f"{page}: {path.name} is not listed"


def _archive(path: Path) -> Iterator[str]:
    """Its sum, its one top folder, and that its weights are those that lie beside it."""
    sidecar = path.with_name(f"{path.name}.sha256")
    if not sidecar.is_file() or sidecar.read_text(encoding="utf-8") != f"{sha256_of(path)}  {path.name}\n":
        yield f"{sidecar.name}: wanted the sha256 of {path.name}"
    bundle = path.name.rpartition("_v")[0]
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            yield f"{path.name}: {broken} is damaged"
        names = archive.namelist()
        if {name.partition("/")[0] for name in names} != {bundle}:
            yield f"{path.name}: wanted the one top folder {bundle}"
            return
        read = [json.loads(archive.read(f"{bundle}/configs/{name}.json")) for name in ("metadata", "inference")]
        yield from (f"{path.name}: metadata.json: {problem}" for problem in direction.problems_of(*read))
        inside, beside = f"{bundle}/models/model.pt", path.with_name(weights_name(path.stem))
        if inside in names and (not beside.is_file() or archive.read(inside) != beside.read_bytes()):
            yield f"{path.name}: its weights are not {beside.name}"
        pinned, pin = f"{bundle}/{LARGE_FILES}", path.parent / "large_files" / path.stem / LARGE_FILES
        if pinned in names and (not pin.is_file() or archive.read(pinned) != pin.read_bytes()):
            yield f"{path.name}: its {LARGE_FILES} is not {pin.relative_to(path.parent)}"


def _pins(path: Path, folder: Path) -> Iterator[str]:
    """Whether weights that lie in this folder are those that a large_files.yml pins."""
    for entry in ConfigParser.load_config_file(path)["large_files"]:
        weights = folder / str(entry["url"]).rpartition("/")[2]
        if not weights.is_file() or sha256_of(weights) != entry["hash_val"]:
            yield f"{path.relative_to(folder)}: {weights.name} is absent, or not the file that is pinned"
