"""The file ``dataset.json``: which cases train, validate and test (a MONAI datalist with modalities as keys)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transmodal.data.layout import KINDS, LATENT, SECTIONS, Case, case_files, extension, is_lone_dicom
from transmodal.errors import InputError
from transmodal.files import write_atomically

__all__ = [
    "LIST_NAME",
    "check_sections",
    "find_list",
    "format_sections",
    "read_made",
    "read_sections",
    "write_sections",
]

LIST_NAME = "dataset.json"
WANTED = '{"training": [{"ct": "STS_004/ct.mha", "mr": …}, …], "validation": […], "test": […]}'


def find_list(dataset_dir: str | Path, datalist: str | Path | None = None) -> Path | None:
    """The data list that overrides discovery: ``datalist``, or the data set itself, or its ``dataset.json``; if any."""
    if datalist is not None:
        return Path(os.path.abspath(datalist))
    root = Path(os.path.abspath(dataset_dir))
    listed = root if root.suffix == ".json" else root / LIST_NAME
    return listed if listed.is_file() else None


def read_sections(path: str | Path, modalities: Sequence[str] = (), exist: bool = True) -> dict[str, list[Case]]:
    """Read the case records of each section.

    Args:
        path: the JSON file. Relative paths in it are relative to its folder. ``case`` is optional and defaults to the
            folder of a file that is named after its modality, else to the file's own name; ``patient`` defaults to the
            case.
        modalities: names that records may have besides the known ones.
        exist: refuse records whose files are missing.
    Returns:
        A list for each of ``training``, ``validation`` and ``test``, empty where the file has none.
    Raises:
        InputError: with the line number if it is not JSON; if it has other sections or keys, a case twice, one patient
            in two sections, or names a file that is missing.
    """
    path = Path(os.path.abspath(path))
    content = _load(path)
    strange = [key for key, value in content.items() if isinstance(value, list) and key not in SECTIONS]
    if strange or not any(section in content for section in SECTIONS):
        listed = ", ".join(map(repr, strange or content)) or "nothing"
        raise InputError(
            path, found=f"the sections {listed}", wanted=f"sections {', '.join(SECTIONS)}", remedy="rename the sections"
        )
    known = (*KINDS, *modalities)
    sections: dict[str, list[Case]] = {section: [] for section in SECTIONS}
    for section in SECTIONS:
        records = content.get(section, [])
        if not isinstance(records, list):
            raise InputError(path, found=f"{section!r} is no list", wanted=WANTED, remedy="make it a list of records")
        for number, record in enumerate(records):
            sections[section].append(_case(record, path, f"{section}[{number}]", known))
    check_sections(sections, path)
    if exist:
        _check_files(sections, path)
    return sections


def check_sections(sections: Mapping[str, Sequence[Case]], where: str | Path) -> None:
    """Refuse a case that is listed twice, and a patient in two sections.

    Raises:
        InputError: naming every such case or patient.
    """
    cases = [case["case"] for section in sections.values() for case in section]
    twice = sorted({case for case in cases if cases.count(case) > 1}) if len(set(cases)) < len(cases) else []
    if twice:
        raise InputError(
            where,
            found=f"the cases {', '.join(twice)} more than once",
            wanted="each case once, because results are named by case",
            remedy="remove the repetitions, or give each record its own 'case' and one common 'patient'",
        )
    homes: dict[str, set[str]] = {}
    for section, records in sections.items():
        for case in records:
            homes.setdefault(case.get("patient", case["case"]), set()).add(section)
    leaks = [f"{patient} ({', '.join(sorted(found))})" for patient, found in sorted(homes.items()) if len(found) > 1]
    if leaks:
        raise InputError(
            where,
            found=f"patients in two sections: {'; '.join(leaks)}",
            wanted="all images of a patient in one section; otherwise the scores measure memory",
            remedy="move each patient's records into one section",
        )


def read_made(path: str | Path) -> dict[str, Any]:
    """How a split that was written by :func:`write_sections` was made; empty if the file does not say."""
    made = _load(Path(path)).get("made", {})
    return made if isinstance(made, dict) else {}


def write_sections(
    path: str | Path, sections: Mapping[str, Sequence[Case]], made: Mapping[str, Any], relative: bool = False
) -> bool:
    """Write a data list whole or not at all; a file that has the same text already is left alone.

    Args:
        path: destination; missing folders are made.
        sections: case records of each section.
        made: how the split was made (seed, fractions, origin), kept beside it under ``made``.
        relative: write files below the destination's folder relative to it, so that the folder can be moved.
    Returns:
        Whether the file was written.
    Raises:
        InputError: if the destination cannot be written.
    """
    path = Path(os.path.abspath(path))
    text = format_sections(sections, made, path.parent if relative else None)
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return False
        write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise InputError(
            path,
            found=f"a place that cannot be written ({error.strerror})",
            wanted="a folder with permission to write",
            remedy="choose another place for the data list (record_to, or --output of tools/datalist.py)",
        ) from error
    return True


def format_sections(sections: Mapping[str, Sequence[Case]], made: Mapping[str, Any], folder: Path | None = None) -> str:
    """JSON text of a data list, one record per line; paths below ``folder`` are written relative to it."""
    blocks = [f'  "made": {json.dumps(dict(made), ensure_ascii=False)}']
    for section in SECTIONS:
        records = [_relative(case, folder) if folder else case for case in sections.get(section, [])]
        lines = ",\n".join(f"    {json.dumps(record, ensure_ascii=False)}" for record in records)
        blocks.append(f'  "{section}": [\n{lines}\n  ]' if records else f'  "{section}": []')
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        found = f"no file that can be read ({error.strerror})"
        raise InputError(
            path, found=found, wanted="a JSON data list", remedy="check the spelling of the path"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(path, found="bytes that are not UTF-8", wanted=WANTED, remedy="save it as UTF-8") from error
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, column {error.colno}"
        raise InputError(
            path, found=f"no valid JSON at {line} ({error.msg})", wanted=WANTED, remedy=f"correct {line}"
        ) from error
    if not isinstance(content, dict):
        raise InputError(path, found=f"a JSON {type(content).__name__}", wanted=WANTED, remedy="name the sections")
    return content


def _case(record: Any, path: Path, place: str, known: Sequence[str]) -> Case:
    """One record with absolute paths and a case name."""
    if not isinstance(record, dict) or not all(isinstance(value, str) and value for value in record.values()):
        raise InputError(
            path,
            found=f"{place} is {str(record)[:80]}",
            wanted="an object of non-empty strings",
            remedy=f"mend {place}",
        )
    strange = [key for key in record if key not in (*known, "case", "patient")]
    files = {key: os.path.normpath(path.parent / value) for key, value in case_files(record).items()}
    if strange or not files:
        found = f"the unknown keys {', '.join(map(repr, strange))}" if strange else "no image"
        raise InputError(
            path,
            found=f"{found} in {place}",
            wanted=f"modalities ({' '.join(known)}) with paths, 'case' and 'patient'",
            remedy=f"rename or remove keys of {place}",
        )
    name, first = next(iter(files.items()))
    whole = name == LATENT or is_lone_dicom(Path(first), name)
    suffix = Path(first).suffix if whole else extension(Path(first))
    stem = Path(first).name[: len(Path(first).name) - len(suffix)]
    names = {"case": record.get("case") or (Path(first).parent.name if stem.lower() == name else stem)}
    return names | ({"patient": record["patient"]} if "patient" in record else {}) | files


def _check_files(sections: Mapping[str, Sequence[Case]], path: Path) -> None:
    cases = [case for section in sections.values() for case in section]
    missing = [file for case in cases for file in case_files(case).values() if not os.path.exists(file)]
    if missing:
        raise InputError(
            path,
            found=f"{len(missing)} files that do not exist: {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}",
            wanted="existing files, absolute or relative to the folder of the list",
            remedy="correct the paths, or make the list again with tools/datalist.py",
        )


def _relative(case: Case, folder: Path) -> Case:
    below = {key: Path(file) for key, file in case_files(case).items() if Path(file).is_relative_to(folder)}
    return case | {key: file.relative_to(folder).as_posix() for key, file in below.items()}
