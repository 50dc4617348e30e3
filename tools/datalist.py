"""Check a data set image by image, split it by patient, write the split if asked; convert other layouts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fire

from intake.conversion import convert
from intake.formats import LAYOUTS, make_format
from intake.report import errors_text, report
from intake.splits import DrawnSplit, ListedSplit, Sections, Split
from intake.survey import Survey, survey
from transmodal.data import read_sections, write_sections
from transmodal.data.cases import discover_cases
from transmodal.data.layout import LABELS, SECTIONS, case_files
from transmodal.data.sections import LIST_NAME
from transmodal.errors import InputError

HELD_OUT = 0.15
RARE = ("tables", "modality")
"""Flags of single layouts, which ``--from help`` describes."""


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


def make_split(lists: Any, held_out: tuple[Any, Any, int], default: float) -> Split:
    """How cases are divided: as lists say, or with shares held out.

    Args:
        lists: what ``--lists`` was given, if anything.
        held_out: what ``--validation``, ``--test`` and ``--seed`` were given.
        default: the share that is held out where nothing was given.
    Raises:
        InputError: if both were given, or one of them cannot be understood.
    """
    validation, test, seed = held_out
    if lists is None:
        return DrawnSplit(*_shares(validation, test, default), seed)
    if validation is not None or test is not None:
        raise InputError(
            "--lists", found="it with --validation or --test", wanted="one of the two", remedy="leave one of them out"
        )
    return ListedSplit(lists)


def read_or_split(dataset_dir: Path, lists: Any, held_out: tuple[Any, Any, int]) -> tuple[Sections, dict[str, Any]]:
    """The sections of a data list, or those made of the cases in a folder, and how they were made."""
    if dataset_dir.suffix == ".json":
        if lists is not None:
            remedy = "leave it out, or give the folder of the cases"
            raise InputError("--lists", found="it with a data list", wanted="it with a folder", remedy=remedy)
        return read_sections(dataset_dir), {"datalist": str(dataset_dir)}
    split = make_split(lists, held_out, HELD_OUT)
    cases = discover_cases(dataset_dir)
    images = {name for case in cases for name in case_files(case)} - set(LABELS)
    sections = split.divide({"training": cases, "validation": [], "test": []}, sorted(images))
    _warn(split.warnings)
    return sections, split.made


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
    dataset_dir: str | Path | None,
    name: str,
    output: str | None,
    modalities: dict[str, str],
    held_out: tuple[Any, Any, int],
    lists: Any = None,
    check: bool = True,
    **options: Any,
) -> None:
    """Convert a data set of another layout, or describe them all; see :func:`main`."""
    if name == "help":
        return print(LAYOUTS)
    source = _place(dataset_dir)
    options = {option: value for option, value in options.items() if value is not None}
    form = make_format(name, modalities, options)
    split = make_split(lists, held_out, form.held_out)
    if output is None:
        raise InputError("--output", found="none", wanted="a new folder for the data set", remedy="add --output DIR")
    made = {"from": name, "source": str(source), "modalities": form.modalities, **options}
    place = Path(os.path.abspath(str(output)))

    def look(sections: Sections) -> None:
        _warn([*form.warnings, *split.warnings])
        see(sections, check)

    errors = convert(source, form, place, made if lists is None else made | split.made, split, look)
    if errors:
        print(errors_text(errors), file=sys.stderr)
        sys.exit(1)
    print(f"\nwrote {place} with its {LIST_NAME}")


def split_and_check(
    source: Path, output: str | None, lists: Any, held_out: tuple[Any, Any, int], check: bool, force: bool
) -> None:
    """Check a data set of our own layout and write its list; see :func:`main`."""
    sections, made = read_or_split(source, lists, held_out)
    place = None if output is None else Path(os.path.abspath(str(output)))
    if place is not None:
        check_place(place, sections, force)
    see(sections, check)
    if place is not None:
        written = write_sections(place, sections, made, relative=True)
        print(f"\n{'wrote' if written else 'unchanged:'} {place}")
    elif source.suffix != ".json":
        print(f"\nnothing written; add --output {LIST_NAME}")


def check_flags(program: Callable[..., None], unknown: Collection[str], switches: Mapping[str, Any]) -> None:
    """Refuse flags that do not exist, which fire would tell of only after all is done, and words for True and False.

    Raises:
        InputError: naming them.
        SystemExit: with status 0 after printing the program's help, if one of them asks for it.
    """
    if "help" in unknown:  # which fire hands over, as any flag it does not know
        fire.Fire(program, command=["--", "--help"])
    if unknown:
        names = ", ".join(f"--{name}" for name in sorted(unknown))
        raise InputError(names, found="an unknown flag", wanted="a flag of --help", remedy="correct or remove it")
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise InputError(name, found=repr(value), wanted="True or False", remedy="mind the capital letter")


def main(
    dataset_dir: str | None = None,
    *classes: str,
    validation: Any = None,
    test: Any = None,
    lists: Any = None,
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
    slices_per_case: int | None = None,
    shape: Any = None,
    spacing: Any = None,
    first: float | None = None,
    **other: Any,
) -> None:
    """Check a data set image by image and split it by patient; exit status 1 on any error.

    Nothing is written without --output. A dataset.json in the data set's folder overrides every later split.
    With --from FORMAT, convert another layout into a new folder; --from help describes each, with flags and examples.

    For example: tools/datalist.py data/pelvis --validation STS_012,STS_034 --test 0.2 --output dataset.json

    Args:
        dataset_dir: folder of cases, as <case>/<modality>.<extension>; or a dataset.json, which is checked as it is.
        classes: CLASS=MODALITY, for pictures-classes, pictures-patients and mat.
        validation: fraction of the patients, or names of cases: a,b,c; 0.15 by default, and nothing for mat.
        test: fraction of the patients, or names of cases; default as for validation.
        lists: published lists instead: files TRAIN,VALIDATION,TEST with an id per line, or FILE.json:NAME.
        seed: another number makes another split.
        output: file to write the split into, nothing by default; with --from, the new folder.
        check: read every image; False only makes the list.
        force: replace an output that is different.
        a: modality of domain A of pictures-ab.
        b: modality of domain B of pictures-ab.
        window: LOW,HIGH, Hounsfield units of black and white in CT pictures, or of the ends of a normalised range.
        patient: regular expression that finds the patient in a picture's name, so that patients are not split.
        paired: for mat: index i of every contrast is one slice, in all sections.
        slice_thickness: for pictures-patients: distance of the slices in mm, 1 by default.
        slices_per_case: for npy: slices of each subject, 80 by default.
        shape: for raw: D,H,W of every volume.
        spacing: for raw: mm per voxel along D,H,W, 1 by default.
        first: for raw and planes: the first so many of the cases train, the others test; 0.7 as published.
    """
    held_out, options = (validation, test, seed), {"window": window, "patient": patient, "paired": paired}
    options |= {"slice_thickness": slice_thickness, "slices_per_case": slices_per_case}
    options |= {"shape": shape, "spacing": spacing, "first": first, **{flag: other.pop(flag, None) for flag in RARE}}
    with _ended_by_errors():
        check_flags(main, set(other) - {"from"}, {"--check": check, "--force": force})
        if "from" in other:
            modalities = _modalities(classes, a, b)
            convert_layout(dataset_dir, other["from"], output, modalities, held_out, lists, check, **options)
        else:
            split_and_check(_place(dataset_dir), output, lists, held_out, check, force)


@contextmanager
def _ended_by_errors() -> Iterator[None]:
    """An input that cannot be used ends the program with what is wrong with it."""
    try:
        yield
    except InputError as error:
        sys.exit(str(error))


def _place(dataset_dir: str | Path | None) -> Path:
    if dataset_dir is None:
        raise InputError("DATASET_DIR", found="none", wanted="a folder or a list", remedy="name it; --help tells more")
    return Path(os.path.abspath(str(dataset_dir)))


def _warn(warnings: Sequence[str]) -> None:
    if warnings:
        print("\n".join([*(f"warning: {text}" for text in warnings), ""]))


def _shares(validation: Any, test: Any, default: float) -> tuple[float | list[str], float | list[str]]:
    validation, test = (default if value is None else value for value in (validation, test))
    return share(validation, "--validation"), share(test, "--test")


def _modalities(classes: Sequence[str], a: str | None, b: str | None) -> dict[str, str]:
    named = {"A": a, "B": b} | dict(str(each).partition("=")[::2] for each in classes)
    return {domain: str(modality) for domain, modality in named.items() if modality is not None}


if __name__ == "__main__":
    fire.Fire(main)
