"""Other layouts, as one class each in a table, and the conversion that publishes all of a data set or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from intake.pictures import PicturesAB, PicturesByClass
from transmodal.data.layout import SECTIONS, Case
from transmodal.errors import InputError


@dataclass(frozen=True)
class Item:
    """One image to write as ``<case>/<modality><extension>``, and where it belongs."""

    section: str
    case: str
    patient: str | None
    modality: str
    extension: str
    write: Callable[[Path], None]


class Format(Protocol):
    """A layout that can be converted; ``title`` is its line in the help text."""

    title: str

    def items(self, source: Path) -> Iterator[Item]:
        """Every image of the source, sorted; ``write`` raises :class:`InputError` for one that cannot be used."""
        ...
