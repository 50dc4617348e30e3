"""Patient-level splits that depend on the names of the cases and a seed, and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from transmodal.data.layout import LABELS, Case, case_files
from transmodal.errors import InputError

__all__ = ["Share", "split_cases"]

Share = float | Sequence[str]
"""A fraction of the patients, or the names of cases or patients."""


def split_cases(
    cases: Sequence[Case], validation: Share = 0.15, test: Share = 0.15, seed: int = 0, pairs: Sequence[str] = ()
) -> dict[str, list[Case]]:
    """Split cases into training, validation and test, all cases of a patient together.

    The result does not depend on the order of ``cases``. Modalities are spread evenly: of unpaired CT and MR each
    section gets its share of both.

    Args:
        cases: case records; the patient is ``patient`` where given, else ``case``.
        validation, test: fraction of all patients in [0, 1), at least one patient each when there are three (two
            patients make one for training and one for validation, a single one is for training); or the names of cases
            or patients, which bring along all cases of these patients.
        seed: of the shuffle.
        pairs: modalities of a pair. Where some patients have them all, only those are held out at random, because
            what is scored needs a reference; the others train.
    Returns:
        ``{"training": …, "validation": …, "test": …}``, each sorted by case.
    Raises:
        InputError: if a name is unknown or in both lists, a fraction is out of range, or nothing is left to train.
    """
    patients: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: case["case"]):
        patients.setdefault(case.get("patient", case["case"]), []).append(case)
    named = {"validation": _named(validation, patients, "validation"), "test": _named(test, patients, "test")}
    if sum(share for share in (validation, test) if isinstance(share, float | int)) >= 1:
        raise InputError(
            "the split",
            found=f"the fractions {validation} and {test}",
            wanted="a sum below 1",
            remedy="lower one of them, so that something is left to train",
        )
    both = sorted(named["validation"] & named["test"])
    if both:
        raise InputError(
            "the split",
            found=f"{', '.join(both)} named for validation and for test",
            wanted="each patient in one section",
            remedy="remove the name from one of the two lists",
        )
    free = sorted(set(patients) - named["validation"] - named["test"])
    paired = [patient for patient in free if any(all(name in case for name in pairs) for case in patients[patient])]
    order = _spread({patient: patients[patient] for patient in paired or free}, seed)
    spare = len(order) - (len(order) == len(free))  # training keeps one
    given = (("validation", validation), ("test", test))
    drawn = [(section, share) for section, share in given if isinstance(share, float | int) and share > 0]
    for section, share in drawn if spare > 0 else []:
        for_the_next = 1 if spare > 1 and section != drawn[-1][0] else 0
        count = min(spare - for_the_next, max(1, round(share * len(patients))))
        named[section], order, spare = set(order[:count]), order[count:], spare - count
    return _sections(patients, named)


def _sections(patients: dict[str, list[Case]], named: dict[str, set[str]]) -> dict[str, list[Case]]:
    named = {"training": set(patients) - named["validation"] - named["test"], **named}
    if patients and not named["training"]:
        raise InputError(
            "the split",
            found="all patients named for validation or test",
            wanted="at least one patient for training",
            remedy="name fewer patients",
        )
    return {
        section: sorted((case for name in names for case in patients[name]), key=lambda case: case["case"])
        for section, names in named.items()
    }


def _named(share: Share, patients: dict[str, list[Case]], section: str) -> set[str]:
    """The patients that a list of names means; none for a fraction."""
    if isinstance(share, bool | str) or (isinstance(share, float | int) and not 0 <= share < 1):
        raise InputError(
            f"the split's {section}",
            found=repr(share),
            wanted='a fraction of the patients in [0, 1), or a list of cases such as ["STS_012"]',
            remedy="correct the value",
        )
    if isinstance(share, float | int):
        return set()
    of_case = {case["case"]: patient for patient, cases in patients.items() for case in cases}
    unknown = [name for name in share if name not in of_case and name not in patients]
    if unknown:
        known = sorted(of_case)
        raise InputError(
            f"the split's {section}",
            found=f"the unknown cases {', '.join(map(str, unknown))}",
            wanted=f"some of {', '.join(known[:8])}{' …' if len(known) > 8 else ''}",
            remedy="correct the names; they are those of the case folders",
        )
    return {of_case.get(name, name) for name in share}


def _spread(patients: dict[str, list[Case]], seed: int) -> list[str]:
    """Shuffle, then order so that any first part holds each combination of modalities in proportion.

    The shuffle sorts by a hash, because no library promises that its generators shuffle alike in every version.
    """
    strata: dict[tuple[str, ...], list[str]] = {}
    for patient, cases in patients.items():
        images = {name for case in cases for name in case_files(case) if name not in LABELS}
        strata.setdefault(tuple(sorted(images)), []).append(patient)
    places: list[tuple[float, tuple[str, ...], str]] = []
    for stratum in sorted(strata):
        shuffled = sorted(strata[stratum], key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
        places += [((place + 0.5) / len(shuffled), stratum, name) for place, name in enumerate(shuffled)]
    return [name for *_, name in sorted(places)]
