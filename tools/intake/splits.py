"""Which case trains, validates or tests: as its source has it, drawn by chance, or as published lists say."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from transmodal.data import split_cases
from transmodal.data.layout import SECTIONS, Case
from transmodal.data.splits import Share
from transmodal.errors import InputError

Sections = dict[str, list[Case]]
WANTED = "three files with an id per line, TRAIN,VALIDATION,TEST, or FILE.json:NAME with ids of such sections"


class Split(Protocol):
    """A way to divide cases.

    Attributes:
        made: what it was asked for, for ``dataset.json``.
        warnings: what the user should know; complete when cases have been divided.
    """

    made: dict[str, Any]
    warnings: list[str]

    def divide(self, given: Mapping[str, Sequence[Case]], pairs: Sequence[str]) -> Sections:
        """Sections of these cases.

        Args:
            given: the cases by the sections their source has; all are for training where it has none.
            pairs: the modalities of a case that lacks nothing.
        Raises:
            InputError: if these cases cannot be divided so.
        """
        ...


class DrawnSplit:
    """The sections of the source stay; a validation or test section it does not have is drawn from its training.

    Args:
        validation, test, seed: of :func:`transmodal.data.split_cases`.
    """

    def __init__(self, validation: Share, test: Share, seed: int) -> None:
        self.validation, self.test, self.seed = validation, test, seed
        self.made: dict[str, Any] = {"validation": validation, "test": test, "seed": seed}
        self.warnings: list[str] = []

    def divide(self, given: Mapping[str, Sequence[Case]], pairs: Sequence[str]) -> Sections:
        """As the source has it, with what it lacks drawn from its training section."""
        validation, test = 0 if given["validation"] else self.validation, 0 if given["test"] else self.test
        drawn = split_cases(given["training"], validation, test, self.seed, pairs=pairs)
        return {section: drawn[section] or list(given[section]) for section in SECTIONS}


class ListedSplit:
    """Sections as lists of ids say, whatever the source has; cases in no list are left out, with a warning.

    An id means the case or the patient of that name; where there is none, the case whose name ends with it, or else
    contains it, as a whole word. Numbers count without leading zeros: 7 means ``isles_07``, and not ``isles_17``.

    Args:
        lists: what was asked for: three files TRAIN,VALIDATION,TEST with an id per line (a name may be left empty), or
            FILE.json:NAME, where NAME holds a list of ids for each section.
    Raises:
        InputError: if it is neither, a file cannot be read or has no ids, or an id is listed twice.
    """

    def __init__(self, lists: Any) -> None:
        self.text = ",".join(map(str, lists)) if isinstance(lists, tuple | list) else str(lists)
        self.made: dict[str, Any] = {"lists": self.text}
        self.warnings: list[str] = []
        self.ids = _read_json(*named) if (named := _named(self.text)) else _read_files(self.text)
        counts = Counter(each for ids in self.ids.values() for each in ids)
        twice = [each for each, count in counts.items() if count > 1]
        if twice or not counts:
            raise InputError(
                self.text,
                found=f"the ids {_some(twice)} more than once" if twice else "no ids",
                wanted="each id in one list, once",
                remedy="correct the lists",
            )

    def divide(self, given: Mapping[str, Sequence[Case]], pairs: Sequence[str]) -> Sections:
        """The cases that the ids of each list mean, in the order of their names."""
        cases = [case for section in SECTIONS for case in given[section]]
        meant = {each: _meant(each, cases) for ids in self.ids.values() for each in ids}
        self._check(meant, cases)
        sections = {
            section: sorted((case for each in ids for case in meant[each]), key=lambda case: case["case"])
            for section, ids in self.ids.items()
        }
        listed = {case["case"] for section in sections.values() for case in section}
        left_out = sorted(case["case"] for case in cases if case["case"] not in listed)
        if left_out:
            self.warnings.append(f"{len(left_out)} cases left out, because no list names them: {_some(left_out, 8)}")
        return sections

    def _check(self, meant: Mapping[str, Sequence[Case]], cases: Sequence[Case]) -> None:
        """Refuse ids that mean nothing, or several patients, and different ids that mean the same."""
        unknown = [each for each, found in meant.items() if not found]
        several = {each: found for each, found in meant.items() if len({_patient(case) for case in found}) > 1}
        homes: dict[str, list[str]] = {}
        for each, found in meant.items():
            for case in found:
                homes.setdefault(case["case"], []).append(each)
        shared = [f"{' and '.join(ids)} ({case})" for case, ids in homes.items() if len(ids) > 1]
        if unknown:
            wrong = f"{len(unknown)} of {len(meant)} ids that are the names of no cases: {_some(unknown)}"
        elif several:
            told = (f"{each} ({_some([case['case'] for case in found], 3)})" for each, found in several.items())
            wrong = f"ids that fit several cases: {_some(list(told))}"
        elif shared:
            wrong = f"ids that mean one case: {_some(shared)}"
        else:
            return
        raise InputError(
            self.text,
            found=wrong,
            wanted=f"an id for each case, of {_some(sorted(case['case'] for case in cases), 5)}",
            remedy="check that the lists belong to this data set, and correct or remove these ids",
        )


def _named(text: str) -> tuple[Path, str] | None:
    """File and name of FILE.json:NAME; the name is empty where it is missing."""
    if text.endswith(".json"):
        return Path(text), ""
    file, _, name = text.rpartition(":")
    return (Path(file), name) if file.endswith(".json") else None


def _read_json(path: Path, name: str) -> dict[str, list[str]]:
    try:
        splits = json.loads(_text(path))
    except ValueError as error:
        raise InputError(path, found=f"no JSON ({error})", wanted=WANTED, remedy="correct the file") from error
    known = {key: value for key, value in splits.items() if _has_ids(value)} if isinstance(splits, dict) else {}
    if name not in known:
        without = isinstance(splits, dict) and name in splits
        raise InputError(
            f"{path}:{name}",
            found="a split whose ids are not in the file" if without else "no such split",
            wanted=f"one of {', '.join(f'{path}:{each}' for each in known)}" if known else WANTED,
            remedy="give the lists as published: --lists TRAIN,VALIDATION,TEST" if without else "correct the name",
        )
    return {section: [str(each) for each in known[name].get(section, [])] for section in SECTIONS}


def _has_ids(split: Any) -> bool:
    lists = [split[section] for section in SECTIONS if section in split] if isinstance(split, dict) else []
    return bool(lists) and all(isinstance(each, list) for each in lists)


def _read_files(text: str) -> dict[str, list[str]]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != len(SECTIONS):
        raise InputError("--lists", found=text, wanted=WANTED, remedy="leave a name empty for a section without cases")
    return {
        section: [line.strip() for line in _text(Path(name)).splitlines() if line.strip()] if name else []
        for section, name in zip(SECTIONS, names, strict=True)
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise InputError(
            path, found=f"a file that cannot be read ({reason})", wanted=WANTED, remedy="check the path"
        ) from error


def _meant(each: str, cases: Sequence[Case]) -> list[Case]:
    """The cases an id means; the closest kind of likeness that there is decides."""
    number = each.isdecimal()
    core = f"0*{int(each)}" if number else re.escape(each)
    before, after = (r"(?<!\d)", r"(?!\d)") if number else (r"(?<![^\W_])", r"(?![^\W_])")
    whole, end, part = (re.compile(text) for text in (core, f"{before}{core}$", f"{before}{core}{after}"))
    kinds: tuple[Callable[[Case], Any], ...] = (
        lambda case: whole.fullmatch(case["case"]) or whole.fullmatch(_patient(case)),
        lambda case: end.search(case["case"]),
        lambda case: part.search(case["case"]),
    )
    return next((found for fits in kinds if (found := [case for case in cases if fits(case)])), [])


def _patient(case: Case) -> str:
    return case.get("patient", case["case"])


def _some(names: Sequence[str], limit: int = 20) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
