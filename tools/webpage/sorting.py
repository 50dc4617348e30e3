"""What was received, unpacked and under names that readers know; what is no image goes at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.misc import is_dicom

from transmodal.data.layout import PICTURES, extension
from transmodal.errors import InputError
from webpage.archives import is_archive, unpack

__all__ = ["Files"]


@dataclass
class Files:
    """What was received, under names that readers know."""

    dicom: list[Path] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @classmethod
    def sorted_out(cls, folder: Path, names: dict[str, str], max_bytes: int, max_files: int) -> Files:
        """Unpack archives and give each file its name, the one that it says it has where that is not taken.

        Raises:
            InputError: if there is no image, or there are both DICOM and other images.
        """
        found = cls()
        for stored in [stored for stored in names if is_archive(folder / stored)]:
            unpacked = unpack(folder / stored, folder, max_bytes, max_files)
            max_bytes -= sum((folder / name).stat().st_size for name in unpacked)
            (folder / stored).unlink()
            del names[stored]
            names |= unpacked
        taken = set(names)  # files that still wait for theirs
        for number, (stored, name) in enumerate(sorted(names.items())):
            path, lower = folder / stored, name.lower()
            image = bool(extension(Path(lower)))
            if not image and (lower == "dicomdir" or not (lower.endswith((".dcm", ".ima")) or is_dicom(path))):
                found.others.append(name)
                path.unlink()
                continue
            while name.lower() in taken:
                name = f"{number}_{name}"
            taken.add(name.lower())
            renamed = path.rename(folder / name)
            (found.images if image else found.dicom).append(renamed)
        if bool(found.images) == bool(found.dicom):
            raise InputError(
                "the upload",
                found="DICOM files and other images" if found.images else _listed(found.others),
                wanted=f"a NIfTI, MHA or NRRD file, DICOM files, a zip of them, or a radiograph ({' '.join(PICTURES)})",
                remedy="upload one scan at a time",
            )
        return found


def _listed(others: Sequence[str]) -> str:
    return f"no image among {', '.join(others[:5])}" if others else "nothing in it"
