"""Check a data set image by image, split it by patient, write the split if asked; convert other layouts."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fire

from intake.conversion import convert
from intake.formats import LAYOUTS, make_format
from intake.report import errors_text, report
from intake.survey import Survey, survey
from transmodal.data import read_sections, split_cases, write_sections
from transmodal.data.cases import discover_cases
from transmodal.data.layout import LABELS, SECTIONS, Case, case_files
from transmodal.data.sections import LIST_NAME
from transmodal.errors import InputError

Sections = dict[str, list[Case]]
HELD_OUT = 0.15


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
    made: dict[str, Any] = dict(zip(("validation", "test"), _shares(validation, test, HELD_OUT), strict=True))
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
    source: Path,
    name: str,
    output: str | None,
    modalities: dict[str, str],
    held_out: tuple[Any, Any, int],
    **options: Any,
) -> None:
    """Convert a data set of another layout; see :func:`main`."""
    options = {option: value for option, value in options.items() if value is not None}
    form = make_format(name, modalities, options)
    if output is None:
        raise InputError("--output", found="none", wanted="a new folder for the data set", remedy="add --output DIR")
    made = {"from": name, "source": str(source), "modalities": form.modalities, **options}
    place = Path(os.path.abspath(str(output)))
    validation, test, seed = held_out
    sections, errors = convert(source, form, place, made, *_shares(validation, test, form.held_out), seed)
    if errors:
        print(errors_text(errors), file=sys.stderr)
        sys.exit(1)
    if form.warnings:
        print("\n".join([*(f"warning: {text}" for text in form.warnings), ""]))
    see(sections, check=True)
    print(f"\nwrote {place} with its {LIST_NAME}")


def split_and_check(source: Path, output: str | None, held_out: tuple[Any, Any, int], check: bool, force: bool) -> None:
    """Check a data set of our own layout and write its list; see :func:`main`."""
    sections, made = read_or_split(source, *held_out)
    place = None if output is None else Path(os.path.abspath(str(output)))
    if place is not None:
        check_place(place, sections, force)
    see(sections, check)
    if place is not None:
        written = write_sections(place, sections, made, relative=True)
        print(f"\n{'wrote' if written else 'unchanged:'} {place}")
    elif source.suffix != ".json":
        print(f"\nnothing written; add --output {LIST_NAME}")


def main(
    dataset_dir: str,
    *classes: str,
    validation: Any = None,
    test: Any = None,
    seed: int = 0,
    output: str | None = None,
    check: bool = True,
    force: bool = False,
    a: str | None = None,
    b: str | None = None,
    window: Any = None,
    patient: str | None = None,
    paired: bool | None = None,
    slice_thickness: float | None = None,
    **other: Any,
) -> None:
    """Check a data set image by image and split it by patient; exit status 1 on any error.

    Nothing is written without --output. A dataset.json in the data set's folder overrides every later split.

    With --from, convert another layout into a new folder: pictures-ab, pictures-classes, pictures-patients or mat;
    --from help describes each.

    For example: tools/datalist.py data/pelvis --validation STS_012,STS_034 --test 0.2 --output dataset.json
                 tools/datalist.py pictures --from pictures-ab --a ct --b mr --window=-1000,1040 --output data/slices
                 tools/datalist.py ixi --from mat --output data/ixi

    Args:
        dataset_dir: folder of cases, as <case>/<modality>.<extension>; or a dataset.json, which is checked as it is.
        classes: CLASS=MODALITY, for pictures-classes, pictures-patients and mat.
        validation: fraction of the patients, or names of cases: a,b,c; 0.15 by default, and nothing for mat.
        test: fraction of the patients, or names of cases; default as for validation.
        seed: another number makes another split.
        output: file to write the split into, nothing by default; with --from, the new folder.
        check: read every image; False only makes the list.
        force: replace an output that is different.
        a: modality of domain A of pictures-ab.
        b: modality of domain B of pictures-ab.
        window: LOW,HIGH, the Hounsfield units of black and white in CT pictures, or of 0 and 1 in CT.mat.
        patient: regular expression that finds the patient in a picture's name, so that patients are not split.
        paired: for mat: index i of every contrast is one slice, in all sections.
        slice_thickness: for pictures-patients: distance of the slices in mm, 1 by default.
    """
    source = Path(os.path.abspath(str(dataset_dir)))
    try:
        _check_flags(other, {"--check": check, "--force": force})
        if other.get("from") == "help":
            print(LAYOUTS)
        elif "from" in other:
            options = {"window": window, "patient": patient, "paired": paired, "slice_thickness": slice_thickness}
            held_out = (validation, test, seed)
            convert_layout(source, other["from"], output, _modalities(classes, a, b), held_out, **options)
        else:
            split_and_check(source, output, (validation, test, seed), check, force)
    except InputError as error:
        sys.exit(str(error))


def _shares(validation: Any, test: Any, default: float) -> tuple[float | list[str], float | list[str]]:
    validation, test = (default if value is None else value for value in (validation, test))
    return share(validation, "--validation"), share(test, "--test")


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
