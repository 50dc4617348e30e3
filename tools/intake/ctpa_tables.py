"""The CSV tables of X-ray2CTPA and its data sets: which scan and radiograph, which section, embolism or not."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from intake.conversion import SECTION_NAMES
from transmodal.errors import InputError
from transmodal.files import visible

NAME = re.compile(rf"(?:y_)?({'|'.join(SECTION_NAMES)})\.csv", re.IGNORECASE)
WANTED = (
    "tables y_train.csv y_valid.csv y_test.csv, or train.csv test.csv, with the columns CT_Accession_number, "
    "cxr_Accession_number and PE; StudyInstanceUID, SeriesInstanceUID and negative_exam_for_pe (RSPECT); "
    "or Subject ID and Modality (LIDC)"
)
Record = Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """One scan of a table.

    Args:
        section: where the study used it.
        case: its name, which its file of latents has too.
        patient: whose it is, as far as the table tells.
        xray: name of its radiograph, if the table has one.
        embolism: whether it shows one; None where that is not told.
    """

    section: str
    case: str
    patient: str
    xray: str | None
    embolism: int | None


def read_tables(source: Path, folder: str | None = None) -> list[Row]:
    """The scans of all tables, each once, in the order of the tables.

    Args:
        source: the data set; tables may lie at any depth.
        folder: where in it the tables lie, needed where several folders hold such tables, as of cross-validation.
    Raises:
        InputError: if there are no tables or several sets of them, one has other columns or values, or two of them
            disagree about a scan.
    """
    rows: dict[str, Row] = {}
    for section, path in _tables(source, folder):
        for row in _rows(section, path):
            other = rows.setdefault(row.case, row)
            if other != row:
                raise InputError(
                    path,
                    found=f"the scan {row.case} in another way than before: {_told(row)}, before {_told(other)}",
                    wanted="each scan in one table, with one radiograph and one label",
                    remedy="correct the tables",
                )
    return list(rows.values())


def _tables(source: Path, folder: str | None) -> list[tuple[str, Path]]:
    """Section and file of each table, training first."""
    home = source if folder is None else source / folder
    below = [home, *sorted(path for path in home.rglob("*") if path.is_dir())] if home.is_dir() else []
    sets = {
        place: found for place in below if (found := [path for path in visible(place) if NAME.fullmatch(path.name)])
    }
    if len(sets) != 1:
        names = [str(place.relative_to(source)) for place in sets]
        raise InputError(
            home,
            found=f"tables in {len(sets)} folders: {', '.join(names[:4])}{' …' * (len(names) > 4)}"
            if sets
            else "no tables",
            wanted=WANTED,
            remedy=f"choose one: --tables {names[0]}" if sets else "give the folder that holds latents and tables",
        )
    (found,) = sets.values()
    named = [(SECTION_NAMES[match[1].lower()], path) for path in found if (match := NAME.fullmatch(path.name))]
    order = list(dict.fromkeys(SECTION_NAMES.values()))
    return sorted(named, key=lambda each: order.index(each[0]))


def _rows(section: str, path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            records = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, found=f"no table ({error})", wanted=WANTED, remedy="export it again as CSV") from error
    kind = next((kind for needed, kind in KINDS.items() if set(needed) <= set(columns)), None)
    if kind is None:
        raise InputError(path, found=f"the columns {', '.join(columns)}", wanted=WANTED, remedy="rename the columns")
    for line, record in enumerate(records, start=2):
        row = kind(section, record, f"{path}, line {line}")
        if row is not None:
            yield row


def _ctpa(section: str, record: Record, where: str) -> Row:
    case, xray = _name(record["CT_Accession_number"]), _name(record.get("cxr_Accession_number", ""))
    return Row(section, case, xray or case, xray or None, _label(record["PE"], where))


def _rspect(section: str, record: Record, where: str) -> Row:
    study, series = (_name(record[key]) for key in ("StudyInstanceUID", "SeriesInstanceUID"))
    return Row(section, f"{study}_{series}", study, None, 1 - _label(record["negative_exam_for_pe"], where))


def _lidc(section: str, record: Record, where: str) -> Row | None:
    subject = _name(record["Subject ID"])
    return Row(section, subject, subject, subject, None) if record["Modality"].strip().upper() == "CT" else None


KINDS: Mapping[Sequence[str], Callable[[str, Record, str], Row | None]] = {
    ("CT_Accession_number", "PE"): _ctpa,
    ("StudyInstanceUID", "SeriesInstanceUID", "negative_exam_for_pe"): _rspect,
    ("Subject ID", "Modality"): _lidc,
}
"""How a row is read, by the columns that tell the data set."""


def _name(text: str | None) -> str:
    """A number as it was, where a program wrote it as 4015007794597.0 because others of the column are empty."""
    return re.sub(r"\.0$", "", (text or "").strip())


def _label(text: str | None, where: str) -> int:
    words = {"0": 0, "0.0": 0, "false": 0, "1": 1, "1.0": 1, "true": 1}
    label = words.get((text or "").strip().lower())
    if label is None:
        raise InputError(where, found=f"the label {text!r}", wanted="0 or 1", remedy="correct or remove the line")
    return label


def _told(row: Row) -> str:
    embolism = "unknown" if row.embolism is None else row.embolism
    return f"{row.section}, radiograph {row.xray or 'none'}, embolism {embolism}"
