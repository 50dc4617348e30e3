"""What an input holds: a scan for each image file and each CT or MR series of DICOM, and what is left out and why."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.misc import is_dicom

from translating.tree import files_of
from transmodal.data.layout import MODALITIES, MODALITY_OF, PICTURES, VOLUMES, extension, is_latent
from transmodal.dicom import Series, find_series
from transmodal.errors import InputError
from transmodal.files import visible

__all__ = ["LeftOut", "Scan", "find_scans"]

OTHER_IMAGES = (
    *(".mhd", ".img", ".nhdr", ".mgz", ".mgh", ".mnc", ".par", ".gipl", ".nii.bz2", ".nii.xz"),
    *(".tif", ".tiff", ".bmp", ".gif", ".webp", ".npy", ".npz", ".h5", ".mat"),
)
"""Ends of files of images that are not read."""

TOLD = {"xray": "a radiograph, of which the bundle chest_xray_ctpa_translation makes a CT"}
"""Why an image that is neither CT nor MR is left out, where there is more to say than that."""

WORD = (
    r"(ct|mr|mri|t1|t1ce|t2|flair|dwi|dicom|dcm|nifti|nii|data|raw|images?|img|scans?|series|slices?|volumes?|files?"
    r"|anat|input|source|(series|pa|st|se|im)[ _-]?\d+)"
)
GENERIC = re.compile(rf"{WORD}([ _-]+{WORD})*", re.IGNORECASE)
"""Names of folders and files that every patient's may have, of one such word or several (``MR_T1``); they do not tell
one case from another by themselves."""

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
    is a case, named after its place in the input. Where all of that is words that any patient's could have, such as
    ``dicom``, ``CT/image`` or ``MR_T1/image``, the name begins with the folder above, so that ``leg/CT/image`` and
    ``leg/MR_T1/image`` are ``leg_CT_image`` and ``leg_MR_T1_image``. In the layout ``<case>/<modality>.<extension>``
    images are named ``<case>``, or ``<case>_<modality>`` where a case has several; masks and labels are left out, and
    so are results of this program.

    Args:
        source: a file or a folder.
        series: SeriesInstanceUID or SeriesNumber of the only DICOM series that is wanted.
        apart: the folder of the results; nothing in it is looked for if it lies in the input, and no case is so named
            that its results would take the place of an input that lies in it.
    Raises:
        InputError: if there is no such input, nothing in it can be translated, or no single series is so numbered.
    """
    root = Path(os.path.abspath(source))
    if not root.exists():
        raise InputError(
            root,
            found="no such file or folder",
            wanted="an image, or a folder of them",
            remedy="check the spelling; write ./ before a name of digits and underscores",
        )
    home = root.parent if root.is_file() else root
    files, aside = files_of(root, apart)
    left_out = [LeftOut(_seen(home, path), reason) for path, reason in aside]
    found, others = _of_files(home, [path for path in files if extension(path)])
    left_out += others
    of_series, others = _of_series(home, files, series)
    left_out += others
    if series is not None:
        left_out += [LeftOut(str(scan.path), "not the DICOM series asked for") for scan in found]
        found = []
    left_out += [
        LeftOut(
            _seen(home, path),
            "latents of a CT, no image"
            if is_latent(path)
            else f"images that end in {path.suffix} are not read: convert it to .nii.gz or .mha",
        )
        for path in files
        if path.name.lower().endswith(OTHER_IMAGES) and not is_dicom(path)
    ]
    scans = sorted(_unique([*found, *of_series], _inputs_in(apart, root)), key=lambda scan: scan.case)
    if not scans:
        reasons = "; ".join(f"{each.where}: {each.reason}" for each in left_out[:LONGEST])
        raise InputError(
            root,
            found=reasons or (f"{len(files)} files, none of them an image" if root.is_dir() else "no image"),
            wanted=f"images ({' '.join((*VOLUMES, *PICTURES))}), or CT or MR series of DICOM",
            remedy="give the folder that holds them, at any depth, or convert the images",
        )
    return scans, left_out


def _seen(home: Path, path: Path) -> str:
    """A path as it is told, below the input."""
    return str(path.relative_to(home)) if path != home else str(path)


def _inputs_in(output: Path | None, root: Path) -> set[str]:
    """What of the folder of results holds the input, and may be no result; in lower case."""
    if output is None or not root.resolve().is_relative_to(output.resolve()):
        return set()
    return {part.lower() for part in root.resolve().relative_to(output.resolve()).parts[:1]}


def _of_files(home: Path, files: Sequence[Path]) -> tuple[list[Scan], list[LeftOut]]:
    """Scans of image files; those that are named after their modality are named after their folder."""
    left_out = [
        LeftOut(_seen(home, path), TOLD.get(_stem(path).lower(), f"a {_stem(path).lower()}, neither CT nor MR"))
        for path in files
        if _stem(path).lower() in set(MODALITIES) - MODALITY_OF.keys()
    ]
    scans: list[Scan] = []
    per_folder = {
        folder: sum(bool(extension(path)) and _stem(path).lower() in MODALITY_OF for path in visible(folder))
        for folder in {path.parent for path in files}
    }
    for path in files:
        stem = _stem(path).lower()
        if stem in MODALITY_OF:
            case = _place(home, path.parent)
            scans.append(Scan(f"{case}_{stem}" if per_folder[path.parent] > 1 else case, path, MODALITY_OF[stem]))
        elif stem not in MODALITIES:
            scans.append(Scan(_place(home, path.with_name(_stem(path))), path))
    return scans, left_out


def _of_series(home: Path, files: Sequence[Path], wanted: str | int | None) -> tuple[list[Scan], list[LeftOut]]:
    """Scans of the DICOM series among files; an unreadable file is one too, and fails as one."""
    everything = find_series(files)
    chosen = [each for each in everything if wanted is None or str(wanted) in (each.uid, str(each.number))]
    if wanted is not None and len({each.uid for each in chosen}) != 1:
        listed = "; ".join(f"{each.where}, {each.uid}" for each in everything)
        raise InputError(
            f"--series {wanted}",
            found=f"{len(chosen)} such series among {listed or 'none at all'}",
            wanted="the number or the UID of one series",
            remedy="give the UID, or leave --series out for all of them",
        )
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


def _place(home: Path, path: Path) -> str:
    """A path below the input as one word, after folders above it where all of it is generic."""
    names, above = list(path.relative_to(home).parts), [home, *home.parents]
    while all(GENERIC.fullmatch(name) for name in names) and above:
        names.insert(0, above.pop(0).name)
    return _tidy("_".join(filter(None, names)))


def _stem(path: Path) -> str:
    return path.name[: len(path.name) - len(extension(path))]


def _tidy(name: str) -> str:
    """A name that is a folder's on every system."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "case"


def _unique(scans: Sequence[Scan], reserved: Collection[str] = ()) -> list[Scan]:
    """The same with a different case each, also where upper and lower case are one; ends and numbers tell apart."""
    taken, unique = set(reserved), []
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
