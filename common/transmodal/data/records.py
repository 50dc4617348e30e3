"""From case records (modalities) to batch records (MONAI's keys ``image``, ``label``, ``mask``)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from transmodal.data.layout import Case, case_files
from transmodal.errors import InputError

__all__ = ["Record", "as_records"]

logger = logging.getLogger(__name__)

Record = dict[str, str | list[str]]
"""A batch record: ``case``, and a path (or one path per channel) for each MONAI key."""

PAIRED: Mapping[str, str | Sequence[str]] = {"image": "mr", "label": "ct", "mask": "mask"}


def as_records(
    cases: Sequence[Case],
    keys: Mapping[str, str | Sequence[str] | None] = PAIRED,
    optional: Sequence[str] = ("mask",),
    skip_incomplete: bool = False,
    remedy: str = "check the names of the files, or choose the modalities there are",
) -> list[Record]:
    """Give the files of each case the keys that transforms and engines use.

    Args:
        cases: case records.
        keys: modality of each key; several modalities become a list of paths, which MONAI stacks as channels in this
            order. A key whose modality is null is ignored, such as ``body_image`` where masks are found automatically.
        optional: keys a case may lack. With ``image`` and ``label`` among them a case may have only one of the two
            (unpaired training); a case left with nothing but other optional keys is dropped.
        skip_incomplete: leave out cases that lack a required modality instead of refusing them.
        remedy: what the error advises where no case is left; an empty text allows that.
    Returns:
        A record for each case, in their order.
    Raises:
        InputError: if cases lack a required modality (all of them named), or none is left, as of an empty section.
    """
    used = {key: wanted for key, wanted in keys.items() if wanted is not None}
    records: list[Record] = []
    incomplete: list[str] = []
    for case in cases:
        lacking = {key: [name for name in _names(wanted) if name not in case] for key, wanted in used.items()}
        required = sorted({name for key, names in lacking.items() if key not in optional for name in names})
        if required:
            incomplete.append(f"{_folder(case)} (has {' '.join(case_files(case))}; lacks {' '.join(required)})")
            continue
        present: Record = {key: _paths(case, wanted) for key, wanted in used.items() if not lacking[key]}
        images = {"image", "label"} & used.keys()
        if images & present.keys() or not images:
            records.append({"case": case["case"], **present})
    if incomplete and not skip_incomplete:
        raise InputError(
            incomplete[0].split(" (")[0] if len(incomplete) == 1 else f"{len(incomplete)} cases",
            found="; ".join(incomplete),
            wanted=_wanted(used, optional),
            remedy="add the missing files, take these cases out of the data set, or choose other modalities",
        )
    if incomplete and records:
        logger.info("%d case(s) left out, first %s", len(incomplete), incomplete[0])
    if not records and remedy:
        first = f"; the first has {' '.join(case_files(cases[0]))} ({_folder(cases[0])})" if cases else ""
        raise InputError(
            f"{len(cases)} case{'s' * (len(cases) != 1)}",
            found=f"no case with what is needed{first}",
            wanted=_wanted(used, optional),
            remedy=remedy,
        )
    return records


def _names(wanted: str | Sequence[str]) -> tuple[str, ...]:
    return (wanted,) if isinstance(wanted, str) else tuple(wanted)


def _paths(case: Case, wanted: str | Sequence[str]) -> str | list[str]:
    return case[wanted] if isinstance(wanted, str) else [case[name] for name in wanted]


def _wanted(keys: Mapping[str, str | Sequence[str]], optional: Sequence[str]) -> str:
    required = [key for key in keys if key not in optional]
    either = [] if {"image", "label"} & {*required} else [key for key in ("image", "label") if key in keys]
    groups = (" or ", either), (" and ", required)
    names = [word.join(dict.fromkeys(name for key in group for name in _names(keys[key]))) for word, group in groups]
    return f"in each case {', and '.join(filter(None, names))}"


def _folder(case: Case) -> str:
    return str(Path(next(iter(case_files(case).values()))).parent)
