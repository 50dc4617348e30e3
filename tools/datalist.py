"""Check a data set image by image, split it by patient, write the split if asked; convert other layouts."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fire

from intake.conversion import convert
from intake.formats import FORMATS
from intake.report import errors_text, report
from intake.survey import Survey, survey
from transmodal.data import read_sections, split_cases, write_sections
from transmodal.data.cases import discover_cases
from transmodal.data.layout import LABELS, SECTIONS, Case, case_files
from transmodal.data.sections import LIST_NAME
from transmodal.errors import InputError

Sections = dict[str, list[Case]]


def share(value: Any, name: str) -> float | list[str]:
    """A fraction, or names of cases, as they arrive from the command line.

    Raises:
        InputError: if it is neither.
    """
    if isinstance(value, bool) or (isinstance(value, int | float) and not 0 <= value < 1):
        wanted = "a fraction in [0, 1), or names of cases such as STS_012,STS_034"
        raise InputError(name, found=str(value), wanted=wanted, remedy='quote names that are numbers: \'"007","008"\'')
    if isinstance(value, int | float):
        return value
    names = value.split(",") if isinstance(value, str) else value
    return [str(each).strip() for each in names]


def read_or_split(dataset_dir: Path, validation: Any, test: Any, seed: int) -> tuple[Sections, dict[str, Any]]:
    """The sections of a data list, or those made of the cases in a folder, and how they were made."""
    if dataset_dir.suffix == ".json":
        return read_sections(dataset_dir), {"datalist": str(dataset_dir)}
    cases = discover_cases(dataset_dir)
    made: dict[str, Any] = {"validation": share(validation, "--validation"), "test": share(test, "--test")}
    images = {name for case in cases for name in case_files(case)} - set(LABELS)
    return split_cases(cases, **made, seed=seed, pairs=sorted(images)), made | {"seed": seed}


def check_place(place: Path, sections: Sections, force: bool) -> None:
    """Refuse to replace another data list.

    Raises:
        InputError: if there is one with other content, and ``force`` is not given.
    """
    if not place.exists() or force:
        return
    if read_sections(place, exist=False) != sections:
        raise InputError(
            place,
            found="a data list with other cases or another split",
            wanted="none, or the same",
            remedy=f"check it as it is with tools/datalist.py {place}; replace it with --force; or write elsewhere",
        )


def see(sections: Sections, check: bool) -> Survey | None:
    """The survey of all cases, told on the way out if it ends the program.

    Raises:
        SystemExit: with status 1 after printing the report and all errors, if there are any.
    """
    seen = survey([case for section in SECTIONS for case in sections[section]]) if check else None
    print(report(sections, seen))
    if seen is not None and seen.errors:
        print(f"\n{errors_text(seen.errors)}", file=sys.stderr)
        sys.exit(1)
    return seen


def convert_layout(
    source: Path, name: str, output: str | None, modalities: dict[str, str], shares: Sequence[Any], **options: Any
) -> None:
    """Convert a data set of another layout; see :func:`main`."""
    if name not in FORMATS:
        raise InputError("--from", found=name, wanted=f"one of {', '.join(FORMATS)}", remedy="correct the name")
    if output is None:
        raise InputError("--output", found="none", wanted="a new folder for the data set", remedy="add --output DIR")
    form = FORMATS[name](modalities, **options)
    made = {"from": name, "source": str(source), "modalities": modalities, **options}
    place = Path(os.path.abspath(str(output)))
    sections, errors = convert(source, form, place, made, *shares)
    if errors:
        print(errors_text(errors), file=sys.stderr)
        sys.exit(1)
    if options["patient"] is None:
        print("warning: each picture counts as a patient; --patient REGEX keeps slices of one patient together\n")
    see(sections, check=True)
    print(f"\nwrote {place} with its {LIST_NAME}")


def main(
    dataset_dir: str,
    *classes: str,
    validation: Any = 0.15,
    test: Any = 0.15,
    seed: int = 0,
    output: str | None = None,
    check: bool = True,
    force: bool = False,
    a: str | None = None,
    b: str | None = None,
    window: Any = None,
    patient: str | None = None,
    **other: Any,
) -> None:
    """Check a data set image by image and split it by patient; exit status 1 on any error.

    Nothing is written without --output. A dataset.json in the data set's folder overrides every later split.

    With --from, first convert another layout into a new folder; the original is only read:
      --from pictures-ab        trainA trainB testA testB, as for CycleGAN; name the modalities with --a and --b
      --from pictures-classes   train/CLASS test/CLASS, as for StarGAN; name the modalities as CLASS=MODALITY

    For example: tools/datalist.py data/pelvis --validation STS_012,STS_034 --test 0.2 --output dataset.json
                 tools/datalist.py pictures --from pictures-ab --a ct --b mr --window=-1000,1040 --output data/slices

    Args:
        dataset_dir: folder of cases, as <case>/<modality>.<extension>; or a dataset.json, which is checked as it is.
        classes: CLASS=MODALITY, for pictures-classes.
        validation: fraction of the patients, or names of cases: a,b,c.
        test: fraction of the patients, or names of cases.
        seed: another number makes another split.
        output: file to write the split into, nothing by default; with --from, the new folder.
        check: read every image; False only makes the list.
        force: replace an output that is different.
        a: modality of domain A of pictures-ab.
        b: modality of domain B of pictures-ab.
        window: LOW,HIGH, the Hounsfield units of black and white in CT pictures.
        patient: regular expression that finds the patient in a picture's name, so that patients are not split.
    """
    source = Path(os.path.abspath(str(dataset_dir)))
    try:
        _check_flags(other, {"--check": check, "--force": force})
        if "from" in other:
            shares = (share(validation, "--validation"), share(test, "--test"), seed)
            modalities = _modalities(classes, a, b)
            convert_layout(source, other["from"], output, modalities, shares, window=window, patient=patient)
            return
        sections, made = read_or_split(source, validation, test, seed)
        place = None if output is None else Path(os.path.abspath(str(output)))
        if place is not None:
            check_place(place, sections, force)
        see(sections, check)
        if place is not None:
            written = write_sections(place, sections, made, relative=True)
            print(f"\n{'wrote' if written else 'unchanged:'} {place}")
        elif source.suffix != ".json":
            print(f"\nnothing written; add --output {LIST_NAME}")
    except InputError as error:
        sys.exit(str(error))


def _check_flags(other: dict[str, Any], switches: dict[str, Any]) -> None:
    unknown = sorted(set(other) - {"from"})
    if unknown:
        names = ", ".join(f"--{name}" for name in unknown)
        raise InputError(names, found="an unknown flag", wanted="a flag of --help", remedy="correct or remove it")
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise InputError(name, found=repr(value), wanted="True or False", remedy="mind the capital letter")


def _modalities(classes: Sequence[str], a: str | None, b: str | None) -> dict[str, str]:
    named = {"A": a, "B": b} | dict(str(each).partition("=")[::2] for each in classes)
    return {domain: str(modality) for domain, modality in named.items() if modality is not None}


if __name__ == "__main__":
    fire.Fire(main)
