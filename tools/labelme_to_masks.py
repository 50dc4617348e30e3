"""Turn annotations drawn with labelme, or a VOC folder, into masks: beside the images in our layout, or as VOC."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fire

from annotation.conversion import Layout, convert
from annotation.dataset import CaseLayout
from annotation.labels import body_labels, read_labels
from annotation.source import LabelmeFiles, Source
from annotation.voc import VOCFolder, VOCLayout, is_voc
from datalist import HELD_OUT, check_flags, make_split
from intake.grey import check_pictures_of
from intake.pictures import EACH_ITS_OWN, patient_pattern
from intake.report import errors_text
from transmodal.errors import InputError

LAYOUTS = ("cases", "voc")


def main(
    annotations: str | None = None,
    output: str | None = None,
    to: str = "cases",
    labels: Any = None,
    modality: str | None = None,
    window: Any = None,
    body: Any = None,
    patient: str | None = None,
    validation: Any = None,
    test: Any = None,
    lists: Any = None,
    seed: int = 0,
    overlays: bool = True,
    empty_masks: bool = False,
    objects: bool = True,
    npy: bool = True,
    **unknown: Any,
) -> None:
    """Convert annotations into masks; exit status 1 and nothing written on any error, with all faulty files named.

    --to cases writes OUTPUT/<case>/mr.png (or ct.nii.gz in Hounsfield units), OUTPUT/<case>/mask.nii.gz with 1 in the
    body, OUTPUT/<case>/overlay.png to look at, and OUTPUT/dataset.json, split by patient.
    --to voc writes JPEGImages, SegmentationClass (palette PNG), SegmentationClassNpy, SegmentationClassVisualization,
    the same three of SegmentationObject, and class_names.txt.

    For example: tools/labelme_to_masks.py json_files --output data/mr --modality mr --patient '^p[0-9]+'
                 tools/labelme_to_masks.py json_files --output data/ct --modality ct --window=-1000,1040
                 tools/labelme_to_masks.py json_files --output voc --to voc --labels labels.txt
                 tools/labelme_to_masks.py voc --output data/mr --modality mr

    Args:
        annotations: labelme's JSON files (a file, or a folder with others within it), or a VOC folder.
        output: a new folder.
        to: cases or voc.
        labels: the classes in the order of their numbers, as a file with a name per line or as a,b,c. __ignore__ and
            _background_ come first if they are there. By default all labels in the files, in the order of the alphabet,
            or the class_names.txt of a VOC folder.
        modality: what the pictures are, mr or ct; for --to cases.
        window: LOW,HIGH, the Hounsfield units of black and white in CT pictures.
        body: which labels are the body, as a,b; by default all but _background_ and __ignore__.
        patient: regular expression that finds the patient in a picture's name, so that patients are not split.
        validation: fraction of the patients, or names of cases: a,b,c; 0.15 by default.
        test: fraction of the patients, or names of cases; 0.15 by default.
        lists: published lists instead: files TRAIN,VALIDATION,TEST with an id per line, or FILE.json:NAME.
        seed: another number makes another split.
        overlays: also write the pictures to look at.
        empty_masks: also write masks without body, which the bundles refuse; by default such cases get none.
        objects: for --to voc: also write SegmentationObject.
        npy: for --to voc: also write the arrays.
    """
    of_cases = {"modality": modality, "window": window, "body": body, "patient": patient}
    of_cases |= {"validation": validation, "test": test, "lists": lists}
    switches = {"overlays": overlays, "empty_masks": empty_masks, "objects": objects, "npy": npy}
    try:
        check_flags(main, unknown, {f"--{name}": value for name, value in switches.items()})
        _check_target(to, of_cases, {"objects": objects, "npy": npy})
        _run(annotations, output, to, labels, of_cases | {"seed": seed}, switches)
    except InputError as error:
        sys.exit(str(error))


def _run(
    annotations: Any, output: Any, to: str, labels: Any, wishes: Mapping[str, Any], switches: Mapping[str, bool]
) -> None:
    """Find the annotations and write them in the layout that was asked for; see :func:`main`."""
    place = _given("--output", output, "a new folder")
    source = _source(_given("ANNOTATIONS", annotations, "a folder of labelme files, or a VOC folder"), labels)
    if to == "voc":
        layout: Layout = VOCLayout(source.labels, switches["objects"], switches["npy"], switches["overlays"])
    else:
        layout = _cases(source, {"from": str(annotations)}, wishes, switches["overlays"], switches["empty_masks"])
    _convert(source, layout, place)


def _source(place: Path, labels: Any) -> Source:
    """The annotations in a place, of the kind that lies there."""
    given = None if labels is None else read_labels(labels)
    return VOCFolder(place, given) if is_voc(place) else LabelmeFiles(place, given)


def _cases(
    source: Source, made: Mapping[str, Any], wishes: Mapping[str, Any], overlays: bool, empty_masks: bool
) -> CaseLayout:
    """Our layout as it was asked for."""
    split = make_split(wishes["lists"], (wishes["validation"], wishes["test"], wishes["seed"]), HELD_OUT)
    pattern = patient_pattern(wishes["patient"])
    source.warnings += [EACH_ITS_OWN] * (pattern is None)
    body = () if source.errors else body_labels(wishes["body"], source.labels)  # errors end it before any is needed
    kept = {name: wishes[name] for name in ("modality", "window", "patient") if wishes[name] is not None}
    return CaseLayout(
        modality=wishes["modality"],
        body=[source.labels.number(name) for name in body],
        split=split,
        made=dict(made) | kept | {"body": body},
        window=wishes["window"],
        patient=pattern,
        overlays=overlays,
        empty_masks=empty_masks,
    )


def _convert(source: Source, layout: Layout, place: Path) -> None:
    """Convert, and tell what was seen or all that is wrong."""
    summary, errors = convert(source, layout, place)
    warnings = dict.fromkeys([*source.warnings, *summary.warnings, *layout.warnings])
    if warnings:
        print("\n".join([*(f"warning: {text}" for text in warnings), ""]))
    if errors:
        print(errors_text(errors), file=sys.stderr)
        sys.exit(1)
    print(f"{summary.table()}\n\nwrote {place}")


def _given(name: str, value: Any, wanted: str) -> Path:
    if value is None:
        raise InputError(name, found="none", wanted=wanted, remedy="name it; --help tells more")
    return Path(os.path.abspath(str(value)))


def _check_target(to: Any, of_cases: Mapping[str, Any], of_voc: Mapping[str, bool]) -> None:
    """Refuse an unknown layout, and flags that mean nothing for the one that was asked for."""
    if to not in LAYOUTS:
        raise InputError("--to", found=str(to), wanted=" or ".join(LAYOUTS), remedy="correct it")
    if to == "cases" and of_cases["modality"] is None:
        remedy = "add --modality mr or --modality ct; or --to voc, which needs none"
        raise InputError("--modality", found="none", wanted="what the pictures are", remedy=remedy)
    if to == "cases":
        check_pictures_of({"pictures": str(of_cases["modality"])}, of_cases["window"])
    if of_cases["window"] is not None and of_cases["modality"] not in (None, "ct"):
        found = f"it with --modality {of_cases['modality']}"
        raise InputError("--window", found=found, wanted="it with ct only", remedy="leave it out")
    given = [name for name, value in of_cases.items() if value is not None]
    idle = given if to == "voc" else [name for name, value in of_voc.items() if not value]
    if idle:
        raise InputError(
            ", ".join(f"--{name}" for name in idle),
            found=f"it with --to {to}",
            wanted="flags that mean something there",
            remedy="leave it out",
        )


if __name__ == "__main__":
    fire.Fire(main)
