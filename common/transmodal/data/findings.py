"""Which cases have a finding, such as an embolism: from a table, or from masks that are empty or not."""

from __future__ import annotations

import csv
import functools
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from monai.transforms import LoadImage

from transmodal.data.cases import find_cases
from transmodal.data.checks import check_path
from transmodal.data.layout import Case
from transmodal.errors import InputError

__all__ = ["TABLE", "find_table", "with_findings"]

logger = logging.getLogger(__name__)

TABLE = "labels.csv"
"""The table beside the cases: a column ``case`` and one of 0 and 1 for each finding."""
VALUES = {"0": "0", "0.0": "0", "false": "0", "1": "1", "1.0": "1", "true": "1"}


def find_table(dataset_dir: str | Path, table: str | Path | None = None) -> Path | None:
    """Where the findings of a data set are told: ``table`` if given, else the data set's ``labels.csv``, if any."""
    if table is not None:
        return Path(os.path.abspath(table))
    beside = Path(os.path.abspath(dataset_dir)) / TABLE
    return beside if beside.is_file() else None


def with_findings(
    cases: Sequence[Case],
    table: str | Path | None = None,
    column: str = "embolism",
    lesion: str = "lesion",
    required: bool = True,
) -> list[Case]:
    """Add to each case record whether it has a finding, ``"1"`` or ``"0"`` under the name of the ``column``.

    Args:
        cases: case records.
        table: a CSV file with the columns ``case`` and ``column``; or another data set, whose ``labels.csv`` or masks
            tell of cases of the same name, as those of the true CT do of generated ones. It may tell of more cases.
        column: name of the finding.
        lesion: modality of masks that are empty in cases without the finding; a case may have both mask and row.
        required: refuse a case of which neither tells; else it stays as it is.
    Returns:
        The records, in their order.
    Raises:
        InputError: if the table is missing, lacks a column, has another value than 0 and 1 or two for one case; if
            cases have no row and no mask (all are named); or if the mask of a case contradicts its row.
    """
    told, masks, where = _told(table, column, lesion)
    found, unknown, contradicted = [], [], []
    for case in cases:
        name, mask = case["case"], case.get(lesion) or masks.get(case["case"])
        seen = None if mask is None else _is_marked(mask)
        value = told.get(name, seen)
        if value is None:
            unknown.append(name)
        elif seen is not None and seen != value:
            contradicted.append(f"{name} ({mask} is {'not ' * (seen == '1')}empty, the table says {value})")
        found.append(case if value is None else {**case, column: value})
    if contradicted:
        raise InputError(
            where,
            found=f"cases whose mask and row contradict each other: {_some(contradicted)}",
            wanted=f"a mask that is empty where '{column}' is 0, and only there",
            remedy="correct the table, or take the wrong masks out of the data set",
        )
    if unknown and required:
        raise InputError(
            where,
            found=f"nothing about '{column}' of {len(unknown)} of {len(cases)} cases: {_some(unknown)}",
            wanted=f"for each case a row in {TABLE} (case,{column}), or a file {lesion}.* that is empty without it",
            remedy="complete the table, give another one by --labels, or take these cases out of the data set",
        )
    logger.info("%s: %d of %d cases", column, sum(case.get(column) == "1" for case in found), len(found))
    return found


def _told(table: str | Path | None, column: str, lesion: str) -> tuple[dict[str, str], dict[str, str], str]:
    """What a table says by case, the masks of another data set by case, and where both come from."""
    if table is None:
        return {}, {}, "the labels"
    path = Path(table)
    if not path.is_dir():
        return _read(path, column), {}, str(path)
    beside = find_table(path)
    if beside is not None:
        return _read(beside, column), {}, str(beside)
    return {}, {case["case"]: case[lesion] for case in find_cases(path, [lesion])}, str(path)


def _read(path: Path, column: str) -> dict[str, str]:
    """A table's values by case."""
    wanted = f"a CSV file with the columns case and {column}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "bytes that are not UTF-8"
        remedy = "check the path (in the bundle: --labels), and save the table as UTF-8"
        raise InputError(path, found=f"no table that can be read ({reason})", wanted=wanted, remedy=remedy) from error
    reader = csv.DictReader(text.splitlines())
    columns = [name.strip() for name in reader.fieldnames or []]
    if missing := [name for name in ("case", column) if name not in columns]:
        raise InputError(
            path,
            found=f"the columns {', '.join(columns) or 'of an empty file'}, without {' and '.join(missing)}",
            wanted=wanted,
            remedy="name the columns in the first line, separated by commas",
        )
    reader.fieldnames = columns
    values: dict[str, str] = {}
    for row in reader:
        case, value = _cell(row, "case"), VALUES.get(_cell(row, column).lower())
        if not case or value is None or values.setdefault(case, value) != value:
            told = f"'{_cell(row, column)}' for '{case}'"
            raise InputError(
                path,
                found=f"{told} in line {reader.line_num}{', and the other value before' if value else ''}",
                wanted=f"0 or 1 in the column {column}, the same wherever a case is named",
                remedy=f"correct line {reader.line_num}",
            )
    return values


def _cell(row: Mapping[str, str | None], name: str) -> str:
    return (row.get(name) or "").strip()


def _is_marked(path: str) -> str:
    """``"1"`` if a mask has a voxel that is not zero."""
    check_path(path)
    values = torch.as_tensor(np.asarray(_reader()(path)))
    return "1" if bool(values.nan_to_num().any()) else "0"


@functools.cache
def _reader() -> LoadImage:
    """One for all masks, because every new one announces which decoders are absent."""
    return LoadImage(image_only=True)


def _some(names: Sequence[str], limit: int = 8) -> str:
    return ", ".join(names[:limit]) + (" …" if len(names) > limit else "")
