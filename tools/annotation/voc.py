"""The folder layout of PASCAL VOC as labelme's exporters write it, in its old and its present form.

Now: ``SegmentationClass/*.png`` holds indices and ``SegmentationClassNpy/*.npy`` the same as numbers. Until labelme 5.3
these were ``SegmentationClassPNG/*.png`` and ``SegmentationClass/*.npy``. Objects likewise, in ``SegmentationObject…``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.labels import IGNORED, VOID, Labels, numbered_labels, read_names
from annotation.overlay import overlay
from annotation.palette import read_indices, write_indices
from annotation.picture import displayed
from annotation.source import Annotated, check_names
from intake.grey import SUFFIXES
from transmodal.errors import InputError
from transmodal.files import visible

PICTURES, NAMES = "JPEGImages", "class_names.txt"
CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"
QUALITY = 95  # of JPEG files
LAYOUT = f"{PICTURES}/*.jpg and {CLASSES}/*.png (or {CLASSES}PNG/*.png, {CLASSES}/*.npy, {CLASSES}Npy/*.npy)"


def is_voc(folder: Path) -> bool:
    """Whether a folder has this layout."""
    return any((folder / name).is_dir() for name in (PICTURES, CLASSES, f"{CLASSES}PNG"))


class VOCFolder:
    """Annotated pictures from a folder of this layout; pictures without a mask are left out, with a warning.

    Args:
        source: the folder.
        labels: the classes; without them those of ``class_names.txt``, or else numbers.
    Raises:
        InputError: if there are no masks, files of one kind have one name, or the names of the classes are faulty.
    """

    def __init__(self, source: Path, labels: Labels | None = None) -> None:
        self.errors: list[InputError] = []
        self.warnings: list[str] = []
        listed = source / NAMES
        self.labels = labels or (read_names(listed) if listed.is_file() else numbered_labels())
        self.pictures = _by_name([source / PICTURES], SUFFIXES, source)
        self.indices = _by_name([source / CLASSES, source / f"{CLASSES}PNG"], (".png",), source)
        self.arrays = _by_name([source / CLASSES, source / f"{CLASSES}Npy"], (".npy",), source)
        self.object_indices = _by_name([source / OBJECTS, source / f"{OBJECTS}PNG"], (".png",), source)
        self.object_arrays = _by_name([source / OBJECTS, source / f"{OBJECTS}Npy"], (".npy",), source)
        self.names = sorted(self.indices | self.arrays)
        if not self.names:
            raise InputError(source, found="no masks", wanted=LAYOUT, remedy="give the folder that holds these folders")
        without = sorted(set(self.pictures) - set(self.names))
        if without:
            told = ", ".join(without[:8]) + (" …" if len(without) > 8 else "")
            self.warnings.append(f"{len(without)} pictures have no mask and are left out: {told}")

    def read(self, name: str) -> Annotated:
        """One of the pictures, with its mask."""
        where = self.indices.get(name) or self.arrays[name]
        classes = self._classes(name, where)
        if name not in self.pictures:
            wanted = f"a picture {PICTURES}/{name}.jpg"
            raise InputError(
                where, found="a mask without a picture", wanted=wanted, remedy="add it, or remove the mask"
            )
        picture = _opened(self.pictures[name])
        objects = self._numbers(name, self.object_indices, self.object_arrays)
        for values in (classes, objects):
            if values is not None and values.shape != (picture.height, picture.width):
                raise InputError(
                    where,
                    found=f"a mask of {values.shape[1]}×{values.shape[0]} pixels",
                    wanted=f"{picture.width}×{picture.height}, as {self.pictures[name].name} has",
                    remedy="export the mask again; never scale a picture of indices with interpolation",
                )
        if objects is not None:
            objects = np.where((classes > 0) & (objects != IGNORED), objects, 0).astype(np.int32)
        return Annotated(name, where, picture, classes, objects, bool((classes != 0).any()))

    def _classes(self, name: str, where: Path) -> NDArray[np.int32]:
        classes = self._numbers(name, self.indices, self.arrays)
        assert classes is not None  # names are those of the files
        strange = [int(number) for number in np.unique(classes) if not IGNORED <= number < len(self.labels.names)]
        if strange:
            raise InputError(
                where,
                found=f"the classes {', '.join(map(str, strange[:10]))}",
                wanted=f"numbers from {IGNORED} to {len(self.labels.names) - 1}, the classes that have names",
                remedy=f"complete {NAMES}, or give all names with --labels",
            )
        return classes

    def _numbers(self, name: str, indices: dict[str, Path], arrays: dict[str, Path]) -> NDArray[np.int32] | None:
        """The numbers of an index picture, an array, or both if they say the same; -1 for what is ignored."""
        read: list[NDArray[np.int32]] = []
        if name in indices:
            values, note = read_indices(indices[name])
            self.warnings += [note] * bool(note)
            read.append(values.astype(np.int32))
        if name in arrays:
            read.append(_array(arrays[name]))
        read = [np.where(values == self.labels.void, IGNORED, values).astype(np.int32) for values in read]
        if len(read) == 2 and not np.array_equal(read[0], read[1]):
            raise InputError(
                indices[name],
                found=f"another mask than in {arrays[name].parent.name}/{arrays[name].name}",
                wanted="the same numbers in both files",
                remedy="remove the one that is out of date",
            )
        return read[0] if read else None


class VOCLayout:
    """Writes annotated pictures into a folder of the present form.

    Args:
        labels: the classes.
        objects: write ``SegmentationObject…`` too, where the source tells objects.
        npy: write the arrays too.
        overlays: write pictures of the masks for a person to look at too.
    Attributes:
        warnings: none; every source fits or is refused.
    Raises:
        InputError: if there are more classes than a palette has colours.
    """

    def __init__(self, labels: Labels, objects: bool = True, npy: bool = True, overlays: bool = True) -> None:
        if len(labels.names) > 256:
            raise InputError(
                "--labels",
                found=f"{len(labels.classes)} classes",
                wanted="at most 255, because a palette has 256 colours",
                remedy="use --to cases, or fewer classes",
            )
        self.labels, self.objects, self.npy, self.overlays = labels, objects, npy, overlays
        self.warnings: list[str] = []

    def write(self, annotated: Annotated, folder: Path) -> None:
        """Write one picture with its masks below ``folder``.

        Raises:
            InputError: if its classes or objects do not fit into a palette.
        """
        shown = displayed(annotated.picture)
        shown.save(_place(folder, PICTURES, annotated.name, ".jpg"), quality=QUALITY)
        self._mask(CLASSES, annotated.classes, self.labels.void, dict(enumerate(self.labels.names)), annotated, folder)
        if self.objects and annotated.objects is not None:
            classes = annotated.classes
            objects = np.where(classes == IGNORED, 0, annotated.objects).astype(np.int32)
            whose = {int(number): self._name_of(classes[objects == number]) for number in np.unique(objects) if number}
            self._mask(OBJECTS, objects, None, whose, annotated, folder)

    def finish(self, folder: Path) -> None:
        """Write the names of the classes."""
        (folder / NAMES).write_text("\n".join(self.labels.names) + "\n", encoding="utf-8")

    def _mask(
        self,
        kind: str,
        numbers: NDArray[np.int32],
        void: int | None,
        names: dict[int, str],
        annotated: Annotated,
        folder: Path,
    ) -> None:
        if numbers.max() > VOID or (void is None and numbers.min() < 0):
            objects = kind == OBJECTS
            raise InputError(
                annotated.where,
                found=f"{numbers.max()} objects" if objects else f"ignored pixels beside a class {VOID}",
                wanted=f"at most {VOID} objects, because a palette has no more colours"
                if objects
                else f"one of the two, because the index {VOID} stands for both",
                remedy="leave out objects with --objects False" if objects else "use fewer classes",
            )
        indices = np.where(numbers == IGNORED, VOID, numbers).astype(np.uint8)
        write_indices(indices, _place(folder, kind, annotated.name, ".png"))
        if self.npy:
            np.save(_place(folder, f"{kind}Npy", annotated.name, ".npy"), numbers)
        if self.overlays:
            seen = overlay(displayed(annotated.picture), indices, names)
            seen.save(_place(folder, f"{kind}Visualization", annotated.name, ".jpg"), quality=QUALITY)

    def _name_of(self, classes: NDArray[np.int32]) -> str:
        return self.labels.names[int(classes[0])]


def _place(folder: Path, kind: str, name: str, suffix: str) -> Path:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    return folder / kind / f"{name}{suffix}"


def _by_name(folders: Sequence[Path], suffixes: Sequence[str], source: Path) -> dict[str, Path]:
    found = [
        path for folder in folders if folder.is_dir() for path in visible(folder) if path.suffix.lower() in suffixes
    ]
    check_names([path.stem for path in found], found, source)
    return {path.stem: path for path in found}


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as opened:
            opened.load()
            return opened.copy()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            path, found=f"no picture that can be read ({error})", wanted="a whole picture", remedy="export it again"
        ) from error


def _array(path: Path) -> NDArray[np.int32]:
    """Numbers of classes or objects from a .npy file, (row, column)."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        found = f"no array that can be read ({str(error).splitlines()[0][:100]})"
        raise InputError(path, found=found, wanted="a whole .npy file", remedy="export it again") from error
    fits = isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind in "iu" and values.size
    if not fits or not IGNORED <= values.min() <= values.max() <= np.iinfo(np.int32).max:
        raise InputError(
            path,
            found=f"{getattr(values, 'dtype', type(values).__name__)} of {getattr(values, 'ndim', 0)} dimensions",
            wanted=f"whole numbers from {IGNORED} on, (row, column)",
            remedy="export it again",
        )
    return np.asarray(values, np.int32)
