"""What is known of an upload, and the texts that go with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from transmodal.data.layout import extension
from transmodal.errors import InputError

__all__ = ["Examined", "Level", "one_line", "stem_of"]

Level = Literal["ok", "warning", "error"]


@dataclass
class Examined:
    """An upload that could be read, for JSON.

    Attributes:
        kind: what it is.
        modality: ``ct``, ``mr``, a contrast of it or ``xray``; None where nothing tells.
        name: what to call it.
        shape, spacing: voxels, and mm between them.
        units: of its values.
        dicom: whether it came as DICOM.
        series: Series Instance UID of the one that is translated.
        paths: modality, or ``image``, to the file or folder with what is translated, below the folder of the files.
        contrasts: of several volumes.
        checks: level and text of all that was looked at.
        files: names under which it is shown, to the files in the folder of views.
        windows: in which it is shown.
    """

    kind: Literal["volume", "radiograph", "volumes"]
    modality: str | None
    name: str
    shape: list[int]
    spacing: list[float]
    units: str
    dicom: bool = False
    series: str | None = None
    paths: dict[str, str] = field(default_factory=dict)
    contrasts: list[str] = field(default_factory=list)
    checks: list[dict[str, str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    windows: dict[str, list[float]] = field(default_factory=dict)

    def tell(self, level: Level, text: str) -> None:
        """Add a check."""
        self.checks.append({"level": level, "text": text})


def stem_of(path: Path) -> str:
    """The name of an image file without its extension, in lower case."""
    return path.name[: len(path.name) - len(extension(path))].lower()


def one_line(error: Exception) -> str:
    """An error as a page shows it."""
    text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
