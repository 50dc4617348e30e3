"""Which images there are to be judged or learned from: a record for each case, with its finding where it is known."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transmodal.data import find_cases, with_findings
from transmodal.data.layout import SECTIONS, Case, case_files
from transmodal.data.sections import find_list, read_sections
from transmodal.errors import InputError

__all__ = ["finding_records", "positive_weight", "sections_of"]

logger = logging.getLogger(__name__)

Record = dict[str, Any]


def finding_records(
    cases: Sequence[Case],
    source: str = "ct",
    column: str = "embolism",
    table: str | Path | None = None,
    images_dir: str | Path | None = None,
    otherwise: str | None = None,
    labelled: bool = True,
) -> list[Record]:
    """A record for each case that has an image.

    Args:
        cases: case records.
        source: modality of the images.
        column, table: of :func:`transmodal.data.with_findings`.
        images_dir: a data set whose images take the place of those of the same case, such as what a translation made of
            the X-rays; split and findings remain those of ``cases``. Cases without such an image are left out.
        otherwise: modality from which the preprocessing makes an image that a case lacks, such as ``ct`` for ``xray``.
        labelled: add the finding as ``label``, 0 or 1.
    Returns:
        Records with ``case``, ``patient``, ``image`` (or, without one, the file under ``otherwise``) and ``label``.
    Raises:
        InputError: if no case has an image, or a finding is not known.
    """
    if images_dir is not None:
        cases = _replaced(cases, source, Path(images_dir))
    wanted = [source, *([otherwise] if otherwise else [])]
    usable = [case for case in cases if any(name in case for name in wanted)]
    if not usable:
        has = f"; the first has {' '.join(case_files(cases[0]))}" if cases else ""
        raise InputError(
            f"{len(cases)} case{'s' * (len(cases) != 1)}",
            found=f"none with {' or '.join(wanted)}{has}",
            wanted=f"cases with {' or '.join(wanted)}",
            remedy="check the names of the files, the section, and 'source' in the configuration",
        )
    if len(usable) < len(cases):
        logger.info("%d of %d cases left out, which have no %s", len(cases) - len(usable), len(cases), source)
    told = with_findings(usable, table, column) if labelled else usable
    return [_record(case, source, otherwise, column if labelled else None) for case in told]


def _record(case: Case, source: str, otherwise: str | None, column: str | None) -> Record:
    image = {"image": case[source]} if source in case else {str(otherwise): case[str(otherwise)]}
    label = {} if column is None else {"label": int(case[column])}
    return {"case": case["case"], "patient": case.get("patient", case["case"]), **image, **label}


def _replaced(cases: Sequence[Case], source: str, folder: Path) -> list[Case]:
    """The cases that have an image in another data set, with that image and without their own of any modality."""
    there = {case["case"]: case[source] for case in find_cases(folder, [source], modality=source)}
    kept = [
        {**{key: case[key] for key in ("case", "patient", "lesion") if key in case}, source: there[case["case"]]}
        for case in cases
        if case["case"] in there
    ]
    if not kept:
        raise InputError(
            folder,
            found=f"{len(there)} cases ({', '.join(list(there)[:5])}), none of those asked for",
            wanted=f"{source} of some of {', '.join(case['case'] for case in list(cases)[:5])} …",
            remedy="give the folder that was made from these very cases, whose names are those of its folders",
        )
    if len(kept) < len(cases):
        logger.info("%s has %d of %d cases", folder, len(kept), len(cases))
    return kept


def sections_of(
    dataset_dir: str | Path, datalist: str | Path | None = None, weights: str | Path | None = None
) -> dict[str, str]:
    """The section of each case, by case, as the data list and the split of the training have it.

    A training writes ``split.json`` into its ``output_dir``. It is looked for beside the weights and, as the default
    paths of ``train.json`` have it, in ``../output``. Where list and split differ, a case counts as training before
    validation, and as validation before test. Cases are told apart by name alone.

    Args:
        dataset_dir, datalist: of :func:`transmodal.data.sections.find_list`.
        weights: file of the network's weights.
    """
    found = (find_list(dataset_dir, datalist), recorded_split(weights))
    splits = [read_sections(path, exist=False) for path in found if path]
    return {case["case"]: name for name in reversed(SECTIONS) for split in splits for case in split[name]}


def recorded_split(weights: str | Path | None) -> Path | None:
    """The split that a training left where these weights lie, if any."""
    if weights is None:
        return None
    folder = Path(weights).absolute().parent
    places = (folder / "split.json", folder.parent / "output" / "split.json")
    return next((place for place in places if place.is_file()), None)


def positive_weight(records: Sequence[Record], given: float | None = None) -> float:
    """How much a positive case weighs in training: negatives per positive case, so that both kinds weigh alike.

    Args:
        records: of the training, with ``label``.
        given: this weight instead, whatever the cases are.
    Raises:
        InputError: if the weight is not positive; without one, if all cases are of one kind.
    """
    positive = sum(record["label"] for record in records)
    if given is None and not 0 < positive < len(records):
        raise InputError(
            f"{len(records)} training cases",
            found=f"{positive} with the finding",
            wanted="cases with it and cases without it",
            remedy="add cases of the other kind, or move some from validation and test to training",
        )
    weight = (len(records) - positive) / positive if given is None else given
    if isinstance(weight, bool | str) or not weight > 0:
        raise InputError(
            "configuration id 'pos_weight'",
            found=repr(weight),
            wanted="a positive number, or null to take it from the training cases",
            remedy="correct 'pos_weight'",
        )
    return float(weight)
