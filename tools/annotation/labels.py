"""The names of the classes and their numbers: ``__ignore__`` is -1, ``_background_`` 0, the others 1, 2, … in order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transmodal.errors import InputError

IGNORE, BACKGROUND = "__ignore__", "_background_"
IGNORED = -1
VOID = 255  # how a picture of indices, which has no negative numbers, tells what is ignored
WANTED = f"{IGNORE} (may be left out), {BACKGROUND} (may be left out), then each class, one name per line"


@dataclass(frozen=True)
class Labels:
    """The classes of an annotation; ``names[i]`` is that of class i, and ``names[0]`` the background."""

    names: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names besides the background."""
        return self.names[1:]

    @property
    def void(self) -> int | None:
        """The index that means ignored pixels; none where 255 is a class itself."""
        return VOID if len(self.names) <= VOID else None

    def __contains__(self, label: str) -> bool:
        return label == IGNORE or label in self.names

    def number(self, label: str) -> int:
        """The number of a label that is one of these."""
        return IGNORED if label == IGNORE else self.names.index(label)


def labels_of(names: Sequence[str], where: str | Path) -> Labels:
    """Labels of names in the order of their numbers; ``__ignore__`` and ``_background_`` are added if they are missing.

    Raises:
        InputError: with the line, if a name is blank, comes twice, or one of the two special names is not in its place.
    """
    lines = [name.strip() for name in names]
    rest = lines[1:] if lines[:1] == [IGNORE] else lines
    if rest[:1] != [BACKGROUND]:
        rest = [BACKGROUND, *rest]
    first = len(lines) - len(rest) + 1  # the line of rest[0]
    for index, name in enumerate(rest):
        found = "a blank line" if not name else f"{name!r} a second time" if name in rest[:index] else ""
        if name == IGNORE:
            found = f"{IGNORE} after other names"
        if found:
            raise InputError(f"{where}: line {first + index}", found=found, wanted=WANTED, remedy="correct the list")
    return Labels(tuple(rest))


def read_labels(given: Any) -> Labels:
    """Labels as the command line gives them: the path of a file with a name per line, or names separated by commas.

    Raises:
        InputError: if the file cannot be read, or :func:`labels_of` refuses its names.
    """
    if isinstance(given, str) and (os.path.exists(given) or given.endswith(".txt")):
        return read_names(Path(given))
    names = given.split(",") if isinstance(given, str) else given if isinstance(given, list | tuple) else [given]
    return labels_of([str(name) for name in names], "--labels")


def read_names(path: Path) -> Labels:
    """Labels of a file with a name per line, such as labelme's ``labels.txt`` or VOC's ``class_names.txt``."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise InputError(
            path, found=f"a file that cannot be read ({reason})", wanted=WANTED, remedy="check the path"
        ) from error
    return labels_of(lines, path)


def found_labels(used: Iterable[str]) -> Labels:
    """Labels of all names that were used, in the order of the alphabet."""
    return Labels((BACKGROUND, *sorted(set(used) - {IGNORE, BACKGROUND})))


def numbered_labels() -> Labels:
    """Labels of a folder that does not name its classes: they are called by their numbers, and 255 is ignored."""
    return Labels((BACKGROUND, *map(str, range(1, VOID))))


def body_labels(given: Any, labels: Labels) -> tuple[str, ...]:
    """The classes that make up the body: those that were asked for, by default all.

    Raises:
        InputError: if one of them is no class.
    """
    if given is None:
        return labels.classes
    names = given.split(",") if isinstance(given, str) else given if isinstance(given, list | tuple) else [given]
    chosen = tuple(str(name).strip() for name in names)
    strange = [name for name in chosen if name not in labels.classes]
    if strange:
        raise InputError(
            "--body",
            found=", ".join(map(repr, strange)),
            wanted=f"some of {', '.join(labels.classes[:20]) or 'the classes, of which there are none'}",
            remedy="correct the names",
        )
    return chosen
