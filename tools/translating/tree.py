"""Every file of an input, once, however folders are linked; results of this program are passed over."""

from __future__ import annotations

import json
from pathlib import Path

from transmodal.files import visible

__all__ = ["OURS", "files_of", "is_result"]

RECORD = "provenance.json"
OURS = "a result of this program (synthetic)"


def files_of(root: Path, apart: Path | None = None) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The files of an input by their paths below it, in their order, but hidden ones.

    Folders that are linked are followed, each real folder once; one that lies in the input itself is not read again
    by a link to it.

    Args:
        root: a file or a folder.
        apart: a folder in which nothing is looked for if it lies below the root, such as that of the results.
    Returns:
        The files; and what was not looked at, with the reason.
    Raises:
        InputError: if a folder may not be read.
    """
    if root.is_file():
        return ([], [(root, OURS)]) if is_result(root.parent) else ([root], [])
    inner = apart.resolve() if apart and apart.resolve().is_relative_to(root.resolve()) else None
    files, left_out, seen = list[Path](), list[tuple[Path, str]](), set[Path]()
    waiting, links = [root], list[Path]()
    while waiting or links:
        folder = waiting.pop() if waiting else links.pop(0)
        real = folder.resolve()
        if inner is not None and real.is_relative_to(inner):
            continue
        if real in seen:
            left_out.append((folder, "a link to a folder that is read anyway"))
        elif is_result(folder):
            left_out.append((folder, OURS))
        else:
            for entry in visible(folder):
                if entry.is_dir():
                    (links if entry.is_symlink() else waiting).append(entry)
                elif entry.is_file():
                    files.append(entry)
                elif entry.is_symlink():
                    left_out.append((entry, "a link that leads nowhere"))
        seen.add(real)
    return sorted(files), sorted(left_out)


def is_result(folder: Path) -> bool:
    """Whether a folder holds a case as this program writes it, told by its record."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and "synthetic" in str(record.get("mark")) and {"request", "outputs"} <= {*record}
