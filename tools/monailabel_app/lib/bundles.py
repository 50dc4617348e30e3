"""The bundles of a folder: folders as they are, zips of tools/pack.py unpacked once.

Standard library only: the core that reports other errors comes with the bundles.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

CONFIG, METADATA, WEIGHTS = "configs/inference.json", "configs/metadata.json", "models/model.pt"


def find_bundles(folder: str | Path, unpacked: Path) -> dict[str, Path]:
    """Each bundle of a folder by its name.

    Args:
        folder: holds bundles as folders or as ``<bundle>_v<version>.zip``; other entries are left alone.
        unpacked: where zips are unpacked to, each content once, into a folder of its own.
    Raises:
        ValueError: if there is no bundle, one lacks its weights or is damaged, two have the same name, or two have
            packages of the same name with different code, of which one process can run only the first.
    """
    home = Path(folder).expanduser().resolve()
    if not str(folder) or not home.is_dir():
        raise _fault(f"--conf bundles {folder}", "no such folder", "a folder of packed bundles", "name one")
    roots = [path for path in sorted(home.iterdir()) if (path / CONFIG).is_file()]
    roots += [_unpack(path, unpacked) for path in sorted(home.glob("*.zip"))]
    if not roots:
        raise _fault(home, "no bundle", "folders or zips of bundles", "make one with tools/pack.py BUNDLE --output DIR")
    bundles: dict[str, Path] = {}
    for root in roots:
        for name in (METADATA, WEIGHTS):
            if not (root / name).is_file():
                raise _fault(root, f"no {name}", "a whole bundle", "pack it again with tools/pack.py")
        if root.name in bundles:
            raise _fault(home, f"{root.name} twice", "one version of each bundle", "move the others elsewhere")
        bundles[root.name] = root
    _require_own_code(bundles)
    return bundles


def chosen(bundles: Mapping[str, Path], names: str) -> dict[str, Path]:
    """Those bundles whose names, with commas between, are given; all where none is.

    Raises:
        ValueError: if one is not there.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()] or list(bundles)
    if missing := [name for name in wanted if name not in bundles]:
        raise _fault(f"--conf models {names}", f"no bundle {missing[0]}", ", ".join(bundles), "correct the name")
    return {name: bundles[name] for name in wanted}


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
        raise _fault(archive, f"a damaged zip ({error})", "a packed bundle", "fetch or pack it again") from error
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


def _fault(where: str | Path, found: str, wanted: str, remedy: str) -> ValueError:
    return ValueError(f"{where}: found {found}; wanted {wanted}.\n  What to do: {remedy}")
