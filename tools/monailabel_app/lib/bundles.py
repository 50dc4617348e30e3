"""The bundles of a folder: folders as they are, zips of tools/pack.py unpacked once.

Standard library only: the core that reports other errors comes with the bundles.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

logger = logging.getLogger(__name__)

CONFIG, METADATA, WEIGHTS = "configs/inference.json", "configs/metadata.json", "models/model.pt"


def find_bundles(folder: str | Path, unpacked: Path, names: str = "") -> dict[str, Path]:
    """Each bundle of a folder by its name, of several versions the highest; without weights it is left out.

    Args:
        folder: holds bundles as folders or as ``<bundle>_v<version>.zip``; other entries are left alone.
        unpacked: where zips are unpacked to, each content once, into a folder of its own.
        names: serve only these, with commas between, and look at no others; all if empty.
    Raises:
        ValueError: if there is no bundle, none has weights or a named one lacks them, one is damaged, two have the
            same name and version, or two have packages of the same name with different code, of which one process can
            run only the first.
    """
    home = Path(folder).expanduser().resolve()
    if not str(folder) or not home.is_dir():
        raise _fault(f"--conf bundles {folder}", "no such folder", "a folder of packed bundles", "name one")
    places = sorted(path for path in home.iterdir() if (path / CONFIG).is_file() or path.suffix == ".zip")
    if not places:
        raise _fault(home, "no bundle", "folders or zips of bundles", "make one with tools/pack.py BUNDLE --output DIR")
    latest = _latest(home, [_Place.of(path) for path in places])
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if missing := [name for name in wanted if name not in latest]:
        raise _fault(f"--conf models {names}", f"no bundle {missing[0]}", ", ".join(latest), "correct the name")
    bundles: dict[str, Path] = {}
    for place in [latest[name] for name in wanted or latest]:
        if not place.has(METADATA):
            raise _fault(place.path, f"no {METADATA}", "a whole bundle", "pack it again with tools/pack.py")
        if place.has(WEIGHTS):
            bundles[place.name] = _unpack(place.path, unpacked) if place.zipped else place.path
        elif wanted:
            raise _fault(place.path, f"no {WEIGHTS}", "a bundle with weights", "train it, or take it off --models")
        else:
            logger.warning("%s is not served: it has no weights (%s)", place.path.name, WEIGHTS)
    if not bundles:
        raise _fault(home, f"no bundle with {WEIGHTS}", "a bundle with weights", "train one, or pack released weights")
    _require_own_code(bundles)
    return bundles


@dataclass(frozen=True)
class _Place:
    """A bundle as it lies in the folder: itself or zipped, with the names of its files."""

    path: Path
    name: str
    version: tuple[int, ...]
    files: frozenset[str] | None

    @classmethod
    def of(cls, path: Path) -> _Place:
        if path.is_dir():
            return cls(path, path.name, _version_in(path / METADATA), None)
        try:
            with zipfile.ZipFile(path) as content:
                files = content.namelist()
        except zipfile.BadZipFile as error:
            raise _damaged(path, error) from error
        return cls(path, _top_folder(path, files), _numbers(path.stem.rpartition("_v")[2]), frozenset(files))

    @property
    def zipped(self) -> bool:
        return self.files is not None

    def has(self, file: str) -> bool:
        return (self.path / file).is_file() if self.files is None else f"{self.name}/{file}" in self.files


def _latest(home: Path, places: list[_Place]) -> dict[str, _Place]:
    """Of each bundle the highest version."""
    latest: dict[str, _Place] = {}
    for place in places:
        other = latest.setdefault(place.name, place)
        if place is other:
            continue
        if place.version == other.version:
            raise _fault(home, f"{place.name} twice", "one bundle of each version", "move the others elsewhere")
        newer, older = (place, other) if place.version > other.version else (other, place)
        logger.warning("%s is not served: %s is a later version", older.path.name, newer.path.name)
        latest[place.name] = newer
    return dict(sorted(latest.items()))


def _version_in(metadata: Path) -> tuple[int, ...]:
    try:
        return _numbers(str(json.loads(metadata.read_text(encoding="utf-8")).get("version", "")))
    except (OSError, ValueError):
        return ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _unpack(archive: Path, folder: Path) -> Path:
    """Where a zip's bundle lies, unpacked now if it was not before; another content gets another place."""
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    stated = archive.with_name(f"{archive.name}.sha256")
    if stated.is_file() and stated.read_text(encoding="utf-8").split()[:1] != [digest]:
        raise _fault(archive, f"sha256 {digest}", f"that of {stated.name}", "fetch or pack it again")
    try:
        with zipfile.ZipFile(archive) as content:
            name = _top_folder(archive, content.namelist())
            place = folder / f"{archive.stem}-{digest[:12]}"
            if not place.is_dir():
                _extract(content, place)
    except zipfile.BadZipFile as error:
        raise _damaged(archive, error) from error
    return place / name


def _top_folder(archive: Path, names: list[str]) -> str:
    """The one folder that everything in a zip is in."""
    paths = [PurePosixPath(name.replace("\\", "/")) for name in names]
    tops = {path.parts[0] for path in paths if path.parts}
    unsafe = any(path.is_absolute() or ".." in path.parts for path in paths)
    if unsafe or len(tops) != 1 or f"{(top := next(iter(tops)))}/{CONFIG}" not in names:
        raise _fault(archive, "another layout", f"one folder with {CONFIG} in it", "pack the bundle with tools/pack.py")
    return top


def _extract(content: zipfile.ZipFile, place: Path) -> None:
    """Unpack whole or not at all, also where several processes do it at once."""
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        content.extractall(partial)
        partial.chmod(0o755)
        os.replace(partial, place)
    except OSError:
        if not place.is_dir():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_own_code(bundles: Mapping[str, Path]) -> None:
    """Refuse packages of equal name and different code; that of the core is looked after by the bundles themselves."""
    seen: dict[str, tuple[str, str]] = {}
    for name, root in bundles.items():
        for package in sorted(path.parent for path in root.glob("*_bundle/__init__.py")):
            files = sorted(package.rglob("*.py"))
            content = b"\0".join(part for file in files for part in (file.name.encode(), file.read_bytes()))
            digest = hashlib.sha256(content).hexdigest()
            other, before = seen.setdefault(package.name, (name, digest))
            if before != digest:
                raise _fault(
                    f"{name} and {other}",
                    f"different code in {package.name}",
                    "one version of it in a server",
                    "serve one of them from another folder by another server",
                )


def _damaged(archive: Path, error: Exception) -> ValueError:
    return _fault(archive, f"a damaged zip ({error})", "a packed bundle", "fetch or pack it again")


def _fault(where: str | Path, found: str, wanted: str, remedy: str) -> ValueError:
    return ValueError(f"{where}: found {found}; wanted {wanted}.\n  What to do: {remedy}")
