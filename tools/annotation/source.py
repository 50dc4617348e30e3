"""What every source of annotations gives, and the folder of labelme files as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from annotation.labels import Labels, found_labels
from annotation.picture import read_picture
from annotation.schema import Annotation, read_annotation
from annotation.shapes import rasterise
from transmodal.errors import InputError
from transmodal.files import visible


@dataclass(frozen=True)
class Annotated:
    """A picture and what was drawn on it.

    Attributes:
        name: of the picture, unique in its source.
        where: the annotation's file, for errors.
        picture: as it was shown, with any mode.
        classes: number of the class of each pixel, (row, column); -1 is ignored, 0 background.
        objects: number of the object of each pixel, (row, column); 0 where there is none. None if the source does not
            tell objects.
        drawn: whether anything was drawn at all.
    """

    name: str
    where: Path
    picture: Image.Image
    classes: NDArray[np.int32]
    objects: NDArray[np.int32] | None
    drawn: bool


class Source(Protocol):
    """Annotated pictures, read one at a time.

    Attributes:
        labels: the classes.
        names: of the pictures that can be read, in order.
        errors: what is wrong with others.
        warnings: what the user should know; complete when all have been read.
    """

    labels: Labels
    names: list[str]
    errors: list[InputError]
    warnings: list[str]

    def read(self, name: str) -> Annotated:
        """One of the pictures, with its annotation.

        Raises:
            InputError: if the picture or its annotation cannot be used.
        """
        ...


class LabelmeFiles:
    """A file of labelme, or a folder of them; files in folders within it are called ``<folder>_<file>``.

    All files are checked at once; their pictures are read later, one by one.

    Args:
        source: the file or folder.
        labels: the classes; without them, those that the files have, in the order of the alphabet.
    Raises:
        InputError: if there are no files, or two would get one name.
    """

    def __init__(self, source: Path, labels: Labels | None = None) -> None:
        self.errors: list[InputError] = []
        self.warnings: list[str] = []
        files = named_files(source)
        self.annotations = self._checked(files)
        used = {shape.label for each in self.annotations.values() for shape in each.shapes}
        self.labels = found_labels(used) if labels is None else labels
        self._check_labels()
        if labels is None:
            self._compare(used)
        self.names = [name for name, each in self.annotations.items() if not self._unknown(each)]

    def read(self, name: str) -> Annotated:
        """One of the pictures, with its shapes drawn."""
        annotation = self.annotations[name]
        picture, note = read_picture(annotation)
        raster = rasterise(annotation.shapes, self.labels, (picture.height, picture.width))
        self.warnings += [note] * bool(note)
        self.warnings += [f"{annotation.path}: shapes[{index}] marks no pixel of the picture" for index in raster.empty]
        return Annotated(name, annotation.path, picture, raster.classes, raster.objects, bool(annotation.shapes))

    def _checked(self, files: dict[str, Path]) -> dict[str, Annotation]:
        annotations = {}
        for name, path in tqdm(files.items(), desc="checking", unit="file", disable=None, leave=False):
            try:
                annotations[name] = read_annotation(path)
            except InputError as error:
                self.errors.append(error)
            except ExceptionGroup as group:
                self.errors += [error for error in group.exceptions if isinstance(error, InputError)]
        return annotations

    def _check_labels(self) -> None:
        """Name every shape of an unknown label, by file and label."""
        for annotation in self.annotations.values():
            for label in self._unknown(annotation):
                indices = [index for index, shape in enumerate(annotation.shapes) if shape.label == label]
                self.errors.append(
                    InputError(
                        f"{annotation.path}: {', '.join(f'shapes[{index}]' for index in indices)}",
                        found=f"the unknown label {label!r}",
                        wanted=f"one of {', '.join(self.labels.names[:20])}",
                        remedy="add it to --labels, or rename it in labelme",
                    )
                )

    def _unknown(self, annotation: Annotation) -> list[str]:
        return list(dict.fromkeys(shape.label for shape in annotation.shapes if shape.label not in self.labels))

    def _compare(self, used: set[str]) -> None:
        kinds: dict[str, list[str]] = {}
        for label in sorted(used):
            kinds.setdefault(label.strip().casefold(), []).append(label)
        for alike in (found for found in kinds.values() if len(found) > 1):
            self.warnings.append(
                f"{' and '.join(map(repr, alike))} are classes of their own; --labels would refuse one"
            )


def named_files(source: Path) -> dict[str, Path]:
    """The JSON files of a folder and the folders within it, by the name that each picture gets.

    Raises:
        InputError: if there are none, or two would get one name.
    """
    files = [source] if source.is_file() else sorted(_json_files(source))
    if not files:
        raise InputError(
            source,
            found="no file that ends in .json",
            wanted="annotations of labelme, or a VOC folder",
            remedy="give the folder that holds them; a VOC folder has JPEGImages and SegmentationClass",
        )
    names = [
        "_".join(path.relative_to(source).with_suffix("").parts) if path != source else path.stem for path in files
    ]
    check_names(names, files, source)
    return dict(zip(names, files, strict=True))


def check_names(names: Sequence[str], files: Sequence[Path], source: Path) -> None:
    """Refuse files that would get one name, also where capital letters do not count.

    Raises:
        InputError: naming them.
    """
    homes: dict[str, list[str]] = {}
    for name, path in zip(names, files, strict=True):
        homes.setdefault(name.casefold(), []).append(str(path.relative_to(source)) if path != source else path.name)
    twice = [" and ".join(paths) for paths in homes.values() if len(paths) > 1]
    if twice:
        raise InputError(
            source,
            found=f"files that would get one name: {'; '.join(twice[:10])}",
            wanted="a name for each picture",
            remedy="rename or remove some of them",
        )


def _json_files(folder: Path) -> list[Path]:
    found = []
    for entry in visible(folder):
        if entry.is_dir():
            found += _json_files(entry)
        elif entry.suffix.lower() == ".json":
            found.append(entry)
    return found
