"""Which cases an inference or an evaluation runs on: all of a data set, or one section of its list."""

from __future__ import annotations

from pathlib import Path

from transmodal.data.cases import find_cases
from transmodal.data.layout import SECTIONS, Case
from transmodal.data.sections import find_list, read_sections
from transmodal.errors import InputError

__all__ = ["select_cases"]


def select_cases(
    dataset_dir: str | Path,
    datalist: str | Path | None = None,
    section: str | None = None,
    modality: str | None = None,
    optional: bool = False,
) -> list[Case]:
    """The cases to run on, in the order of their names.

    Args:
        dataset_dir: a data set as for :func:`~transmodal.data.find_cases`; a single file or DICOM folder is one case.
        datalist: a list that takes the place of ``dataset_dir/dataset.json``, such as the one a training wrote.
        section: ``"training"``, ``"validation"`` or ``"test"`` of that list; all cases without it.
        modality: what a single file is, where its name does not tell.
        optional: return nothing, instead of an error, for a section of a data set without a list.
    Raises:
        InputError: if there is no such data set, or a section is asked for and there is no list, or it is empty.
    """
    listed = find_list(dataset_dir, datalist)
    if section is None and datalist is None:
        return find_cases(dataset_dir, modality=modality)
    if listed is None:
        if optional:
            return []
        raise InputError(
            dataset_dir,
            found=f"the section {section!r} asked for, but no list of sections",
            wanted="dataset.json in the data set, or --datalist",
            remedy="give --datalist the split.json of the training's output_dir, or leave --section out",
        )
    sections = read_sections(listed)
    if section is not None and section not in sections:
        raise InputError(
            "configuration id 'section'",
            found=repr(section),
            wanted=f"one of {', '.join(SECTIONS)}",
            remedy="correct --section, or leave it out for all cases",
        )
    cases = [case for name in SECTIONS if section in (None, name) for case in sections[name]]
    if not cases and not optional:
        raise InputError(
            listed,
            found=f"no cases in the section {section!r}",
            wanted="at least one",
            remedy="choose another --section, or add cases to this one",
        )
    return sorted(cases, key=lambda case: case["case"])
