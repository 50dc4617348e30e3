"""From a source to a layout: all annotated pictures are published, or none; and what there was, as a table."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from annotation.labels import IGNORE, IGNORED, Labels
from annotation.source import Annotated, Source
from intake.conversion import publish, unfinished
from transmodal.errors import InputError

HEADINGS = ("class", "name", "pictures", "pixels", "share")


class Layout(Protocol):
    """A way to write annotated pictures into a folder.

    Attributes:
        warnings: what the user should know; complete when all is written.
    """

    @property
    def warnings(self) -> list[str]: ...

    def write(self, annotated: Annotated, folder: Path) -> None:
        """Write one of them.

        Raises:
            InputError: if it does not fit.
        """
        ...

    def finish(self, folder: Path) -> None:
        """Write what belongs to all of them together."""
        ...


@dataclass
class Summary:
    """What was seen: pixels and pictures of each class, and pictures without shapes."""

    labels: Labels
    pictures: int = 0
    pixels: Counter[int] = field(default_factory=Counter)
    occurrences: Counter[int] = field(default_factory=Counter)
    empty: list[str] = field(default_factory=list)

    def add(self, annotated: Annotated) -> None:
        """Count one picture."""
        numbers, counts = np.unique(annotated.classes, return_counts=True)
        found = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        self.pictures += 1
        self.pixels.update(found)
        self.occurrences.update(list(found))
        if not annotated.drawn:
            self.empty.append(annotated.name)

    def table(self) -> str:
        """Pixels per class, classes that never occur, and pictures without shapes."""
        whole = sum(self.pixels.values())
        rows = [HEADINGS]
        for number in sorted(self.pixels):
            name = IGNORE if number == IGNORED else self.labels.names[number]
            share = f"{self.pixels[number] / whole:.2%}"
            rows.append((str(number), name, str(self.occurrences[number]), f"{self.pixels[number]:,}", share))
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        never = [name for number, name in enumerate(self.labels.names) if number not in self.pixels]
        if never:
            lines.append(f"never: {_some(never)}")
        lines.append(f"{self.pictures} pictures; without shapes: {len(self.empty)}")
        return "\n".join(lines)

    @property
    def warnings(self) -> list[str]:
        """That pictures without shapes count as background."""
        if not self.empty:
            return []
        return [f"{len(self.empty)} pictures have no shapes and count as all background: {_some(self.empty)}"]


def convert(source: Source, layout: Layout, output: Path) -> tuple[Summary, list[str]]:
    """Write all annotated pictures into a new folder.

    Args:
        source: the pictures.
        layout: the way to write them.
        output: a folder that does not exist yet, or an empty one.
    Returns:
        What was seen, and the errors of all pictures; with errors nothing is published.
    Raises:
        InputError: if the output is not new, or the pictures cannot stand together.
    """
    new = unfinished(output)
    summary, errors = Summary(source.labels), list(source.errors)
    try:
        new.mkdir(parents=True)
        for name in tqdm(source.names, desc="converting", unit="picture", disable=None, leave=False):
            try:
                annotated = source.read(name)
                layout.write(annotated, new)
                summary.add(annotated)
            except InputError as error:
                errors.append(error)
        if not errors:
            layout.finish(new)
            publish(new, output)
        return summary, [str(error) for error in errors]
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _some(names: Sequence[str], limit: int = 12) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
