"""One call from a folder or a list to the cases that train, validate and test, the same again when a run is resumed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist

from transmodal.data.cases import discover_cases
from transmodal.data.layout import SECTIONS, Case, case_files
from transmodal.data.sections import find_list, read_made, read_sections, write_sections
from transmodal.data.splits import Share, split_cases
from transmodal.errors import InputError

__all__ = ["read_datalist"]

Sections = dict[str, list[Case]]


def read_datalist(
    dataset_dir: str | Path,
    datalist: str | Path | None = None,
    require: Sequence[str] = ("ct", "mr"),
    validation: Share = 0.15,
    test: Share = 0.15,
    seed: int = 0,
    record_to: str | Path | None = None,
) -> Sections:
    """The cases of each section: from a list if there is one, else discovered and split.

    Args:
        dataset_dir: the data set (see :func:`~transmodal.data.find_cases`); it is only read.
        datalist: a data list that takes the place of ``dataset_dir/dataset.json``, wherever it lies.
        require: modalities the training section must have. A case may lack some of them (unpaired training; see
            :func:`~transmodal.data.as_records`); one without any is left out.
        validation, test, seed: of :func:`~transmodal.data.split_cases`, where there is no list; complete cases are held
            out before those that lack a required modality.
        record_to: file the split is written to, with absolute paths and how it was made. If it exists its split is used
            again, so a resumed training keeps it.
    Returns:
        Case records of ``training``, ``validation`` and ``test``.
    Raises:
        InputError: if the data are unusable as such, the training section lacks a modality, or ``record_to`` was made
            from other cases or in another way.
    """
    listed = find_list(dataset_dir, datalist)
    if listed is not None:
        sections = {key: _with_any(cases, require) for key, cases in read_sections(listed, require).items()}
        made: dict[str, Any] = {"datalist": str(listed)}
    else:
        cases = _with_any(discover_cases(dataset_dir), require)
        sections = split_cases(cases, validation, test, seed, pairs=require)
        shares = {"validation": _plain(validation), "test": _plain(test)}
        made = {"dataset_dir": os.path.abspath(dataset_dir), **shares, "seed": seed}
    _check_required(sections["training"], require, listed or dataset_dir)
    if record_to is not None and Path(os.path.abspath(record_to)) != listed:
        sections = _as_recorded(Path(os.path.abspath(record_to)), sections, made)
        if idist.get_rank() == 0:
            write_sections(record_to, sections, made)
    return sections


def _with_any(cases: Sequence[Case], require: Sequence[str]) -> list[Case]:
    return [case for case in cases if not require or any(name in case for name in require)]


def _plain(share: Share) -> float | list[str]:
    return share if isinstance(share, float | int) else list(share)


def _check_required(training: Sequence[Case], require: Sequence[str], where: str | Path) -> None:
    absent = [name for name in require if not any(name in case for case in training)]
    if absent:
        raise InputError(
            where,
            found=f"{len(training)} training cases, none with {' or '.join(absent)}",
            wanted=f"training cases with {', '.join(require)}",
            remedy="add cases, or choose the modalities there are (in the bundles: --source and --target)",
        )


def _as_recorded(record: Path, sections: Sections, made: Mapping[str, Any]) -> Sections:
    """The recorded split, if one was made in the same way from the same cases; else an error that says what changed."""
    if not record.is_file():
        return sections
    recorded = read_sections(record, [name for case in _all(sections) for name in case_files(case)], exist=False)
    now, then = ({case["case"]: case for case in _all(split)} for split in (sections, recorded))
    changes = _changes(now, then)
    places = ("dataset_dir", "datalist")  # these may move
    old, new = (
        {key: value for key, value in given.items() if key not in places} for given in (read_made(record), made)
    )
    if old != new:
        changes.append(f"it was made with {old}, now {new} is asked for")
    if "datalist" in made and not changes and _names(sections) != _names(recorded):
        changes.append(f"{made['datalist']} assigns the cases differently")
    if changes:
        raise InputError(
            record,
            found=f"the split of an earlier run that no longer fits: {'; '.join(changes)}",
            wanted="the cases and the settings it was made with, so that no test case slips into training",
            remedy="undo the change, choose another output folder, or remove this file and train from the start",
        )
    return {section: [now[case["case"]] for case in recorded[section]] for section in SECTIONS}


def _changes(now: Mapping[str, Case], then: Mapping[str, Case]) -> list[str]:
    added, gone = sorted(now.keys() - then.keys()), sorted(then.keys() - now.keys())
    differ = sorted(name for name in now.keys() & then.keys() if now[name].keys() != then[name].keys())
    told = (("new cases", added), ("cases gone", gone), ("cases with other modalities", differ))
    return [f"{what}: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" for what, names in told if names]


def _all(sections: Mapping[str, Sequence[Case]]) -> list[Case]:
    return [case for section in SECTIONS for case in sections[section]]


def _names(sections: Mapping[str, Sequence[Case]]) -> list[list[str]]:
    return [[case["case"] for case in sections[section]] for section in SECTIONS]
