"""What an input holds: a scan for each image file and each CT or MR series of DICOM, and what is left out and why."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from transmodal.data.layout import MODALITIES, PICTURES, VOLUMES, extension
from transmodal.dicom import Series, find_series
from transmodal.errors import InputError

__all__ = ["MODALITY_OF", "LeftOut", "Scan", "find_scans"]

MODALITY_OF = {"ct": "ct", **dict.fromkeys(("mr", "t1", "t1ce", "t2", "flair", "dwi"), "mr")}
"""CT or MR for each name of the data layout that is one of them."""

LONGEST = 5


@dataclass(frozen=True)
class Scan:
    """One image that may be translated.

    Args:
        case: name of its folder in the output.
        path: the file, or the folder of its DICOM files.
        named: ``"ct"`` or ``"mr"`` where it is named after its modality, as the data layout does.
        series: of a DICOM scan.
    """

    case: str
    path: Path
    named: str | None = None
    series: Series | None = None

    @property
    def files(self) -> list[Path]:
        """The files it is read from."""
        return [self.path] if self.series is None else [Path(file) for file in self.series.files]


@dataclass(frozen=True)
class LeftOut:
    """Something of the input that is not translated, and why."""

    where: str
    reason: str


def find_scans(
    source: str | Path, series: str | int | None = None, apart: Path | None = None
) -> tuple[list[Scan], list[LeftOut]]:
    """All scans of an input, in the order of their names.

    An image file is a case named after it. In a folder, at any depth, each image file and each CT or MR series of DICOM
    is a case. In the layout ``<case>/<modality>.<extension>`` images are named ``<case>``, or ``<case>_<modality>``
    where a case has several; masks and labels are left out.

    Args:
        source: a file or a folder.
        series: SeriesInstanceUID or SeriesNumber of the only DICOM series that is wanted.
        apart: a folder in which nothing is looked for, such as that of the results.
    Raises:
        InputError: if there is no such input, nothing in it can be translated, or no single series is so numbered.
    """
    root = Path(os.path.abspath(source))
    if not root.exists():
        raise InputError(
            root, found="no such file or folder", wanted="an image, or a folder of them", remedy="check the spelling"
        )
    apart = None if apart is None else Path(os.path.abspath(apart))
    files = [root] if root.is_file() else list(_walk(root, apart))
    home = root.parent if root.is_file() else root
    found, left_out = _of_files(home, [path for path in files if extension(path)])
    of_series, others = _of_series(root, series, apart)
    left_out += others
    if series is not None:
        left_out += [LeftOut(str(scan.path), "not the DICOM series asked for") for scan in found]
        found = []
    scans = sorted(_unique([*found, *of_series]), key=lambda scan: scan.case)
    if not scans:
        reasons = "; ".join(f"{each.where}: {each.reason}" for each in left_out[:LONGEST])
        raise InputError(
            root,
            found=reasons or (f"{len(files)} files, none of them an image" if root.is_dir() else "no image"),
            wanted=f"images ({' '.join((*VOLUMES, *PICTURES))}), or CT or MR series of DICOM",
            remedy="give the folder that holds them, at any depth, or convert the images",
        )
    return scans, left_out


def _walk(root: Path, apart: Path | None) -> Iterator[Path]:
    """Every file below a folder, sorted, but hidden ones."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and Path(folder, name) != apart)
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


def _of_files(root: Path, files: Sequence[Path]) -> tuple[list[Scan], list[LeftOut]]:
    """Scans of image files; those that are named after their modality are named after their folder."""
    left_out = [
        LeftOut(str(path.relative_to(root)), f"a {_stem(path).lower()}, neither CT nor MR")
        for path in files
        if _stem(path).lower() in set(MODALITIES) - MODALITY_OF.keys()
    ]
    scans: list[Scan] = []
    per_folder = Counter(path.parent for path in files if _stem(path).lower() in MODALITY_OF)
    for path in files:
        stem = _stem(path).lower()
        if stem in MODALITY_OF:
            case = _place(root, path.parent)
            scans.append(Scan(f"{case}_{stem}" if per_folder[path.parent] > 1 else case, path, MODALITY_OF[stem]))
        elif stem not in MODALITIES:
            inner = path.parent != root
            scans.append(
                Scan(f"{_place(root, path.parent)}_{_tidy(_stem(path))}" if inner else _tidy(_stem(path)), path)
            )
    return scans, left_out


def _of_series(root: Path, wanted: str | int | None, apart: Path | None) -> tuple[list[Scan], list[LeftOut]]:
    """Scans of the DICOM series of a file or below a folder; an unreadable file is one too, and fails as one."""
    everything = [each for each in find_series(root) if apart is None or apart not in Path(each.files[0]).parents]
    chosen = [each for each in everything if wanted is None or str(wanted) in (each.uid, str(each.number))]
    if wanted is not None and len({each.uid for each in chosen}) != 1:
        listed = "; ".join(f"{each.where}, {each.uid}" for each in everything)
        raise InputError(
            f"--series {wanted}",
            found=f"{len(chosen)} such series among {listed or 'none at all'}",
            wanted="the number or the UID of one series",
            remedy="give the UID, or leave --series out for all of them",
        )
    home = root.parent if root.is_file() else root
    in_folder = Counter(Path(each.files[0]).parent for each in everything)
    scans, left_out = [], []
    for each in everything:
        folder = Path(each.files[0]).parent
        several = in_folder[folder] > 1
        case = _place(home, folder) + f"_series{each.number if each.number is not None else ''}" * several
        reason = "not the series asked for" if each not in chosen else _why_not(each)
        if reason:
            left_out.append(LeftOut(each.where, reason))
        elif each.kind == "unreadable":
            scans.append(Scan(_tidy(f"{_place(home, folder)}_{each.files[0].stem}"), each.files[0], series=each))
        else:
            scans.append(Scan(case, folder, series=each))
    return scans, left_out


def _why_not(series: Series) -> str:
    """Why a series is no scan; empty if it is one."""
    if series.kind == "localizer":
        return "nothing but localizers"
    if series.kind == "synthetic":
        return "it is synthetic already"
    if series.kind == "image" and series.modality not in ("ct", "mr"):
        return f"its modality is {series.modality.upper() or 'not told'}, neither CT nor MR"
    return ""


def _place(root: Path, folder: Path) -> str:
    """A folder's path below the input as one word; of the input itself its name."""
    parts = folder.relative_to(root).parts if folder.is_relative_to(root) else (folder.name,)
    return _tidy("_".join(parts or (root.name,)))


def _stem(path: Path) -> str:
    return path.name[: len(path.name) - len(extension(path))]


def _tidy(name: str) -> str:
    """A name that is a folder's on every system."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "case"


def _unique(scans: Sequence[Scan]) -> list[Scan]:
    """The same with a different case each, also where upper and lower case are one; ends and numbers tell apart."""
    taken, unique = set[str](), []
    shared = Counter(scan.case.lower() for scan in scans)
    for scan in scans:
        name = scan.case
        if shared[name.lower()] > 1 and scan.series is None:
            name = f"{name}_{extension(scan.path).strip('.').replace('.', '_')}"
        number, base = 2, name
        while name.lower() in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name.lower())
        unique.append(replace(scan, case=name))
    return unique
