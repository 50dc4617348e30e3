"""One job, in a process of its own: a translation, and what the page shows and hands out of it."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from translating import provenance
from translating.inputs import Scan
from translating.model import Model, model_of
from translating.models import Models
from translating.pipeline import Pipeline, Wishes
from translating.staging import MASK
from transmodal.data import deviation_of
from transmodal.data.layout import MODALITY_OF
from transmodal.dicom import find_series
from transmodal.errors import InputError
from transmodal.files import sha256_of
from transmodal.modality import ModalityClassifier
from webpage import direct, export
from webpage.display import difference, read_volume, units_of, window_of, write_volume
from webpage.examined import stem_of
from webpage.progress import ProgressFile

__all__ = ["DRAWN", "translate"]

DRAWN = ("seed", "num_samples")
"""Options that the pipeline of scans has a name of its own for."""


def translate(job: Mapping[str, Any], upload: Mapping[str, Any], folder: str, files: str, views: str) -> dict[str, Any]:
    """Do a job.

    Args:
        job: bundle (its folder), source, target, options, device, classifier (a file of weights or None).
        upload: what the preflight found.
        folder: of the job.
        files: folder of what was uploaded.
        views: folder of what the upload shows.
    Returns:
        ``files`` (names to paths below the folder), ``windows``, ``warnings``, ``units`` and ``measures``.
    Raises:
        InputError: for whatever reason there is no translation.
    """
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    place, listener = Path(folder), ProgressFile(Path(folder) / "progress.json")
    listener.stage("starting")
    options = {key: value for key, value in job["options"].items() if key not in DRAWN}
    ids = {**options, **({"device": job["device"]} if job["device"] else {})}
    model = model_of(job["bundle"], ids=ids)
    if upload["kind"] == "volume":
        made, told = _scan(model, job, upload, Path(files), place, listener)
    else:
        made, told = direct.run(model, job, upload, Path(files), place, listener)
    listener.stage("writing")
    export.complete(made, Path(files), Path(views), job, upload)
    shown = _shown(made, Path(views), job, upload, place)
    listener.stage("done")
    return {**shown, "warnings": told, "units": units_of(job["target"])}


def _scan(
    model: Model, job: Mapping[str, Any], upload: Mapping[str, Any], files: Path, place: Path, listener: ProgressFile
) -> tuple[Path, list[str]]:
    """Translate a scan as tools/translate.py does; the folder of its case, and what to be wary of."""
    path, series = files / upload["paths"]["image"], None
    if upload["series"]:
        stacks = [each for each in find_series(path) if each.uid == upload["series"]]
        series = max(stacks, key=lambda stack: len(stack.files))
    scan = Scan("scan", path, series=series)
    named = series is None and stem_of(path) in MODALITY_OF
    stated = job["source"] if named or job["source"] != upload["modality"] else None
    weights = Path(job["classifier"]) if job["classifier"] else None
    wishes = Wishes(
        stated=stated,
        target=job["target"],
        seed=job["options"].get("seed"),
        samples=job["options"].get("num_samples"),
        classifier=None if weights is None else ModalityClassifier.load(weights),
        classifier_sha256=None if weights is None else sha256_of(weights),
        command={"bundle": model.bundle.name, "source": job["source"], "target": job["target"], **job["options"]},
    )
    outcome = Pipeline(Models([model]), wishes, place / "result", listener)(scan)
    if outcome.status != "translated":
        if outcome.traceback:  # goes with the job's folder, so it is told where those of other jobs are
            print(Path(outcome.traceback).read_text(encoding="utf-8"), file=sys.__stderr__, flush=True)
        text = outcome.text.replace(str(path), upload["name"])
        raise _failure(text, upload["name"])
    told = [text.replace("--from says", "what was chosen says") for text in outcome.warnings]
    return place / "result" / scan.case, [*told, *outcome.notes]


def _failure(text: str, name: str) -> InputError:
    """The error that an outcome tells as text, in its parts again where it has them."""
    parts = re.fullmatch(
        r"(?P<where>.*?): found (?P<found>.*); wanted (?P<wanted>.*)\.\n  What to do: (?P<remedy>.*)", text, re.DOTALL
    )
    if parts:
        return InputError(**parts.groupdict())
    return InputError(name, found=text, wanted="a translation", remedy="choose another scan or bundle")


def _shown(
    made: Path, views: Path, job: Mapping[str, Any], upload: Mapping[str, Any], place: Path
) -> dict[str, dict[str, Any]]:
    """Names of the files that the page shows to paths below ``place``, and the windows to show them in."""
    target = job["target"]
    volume = made / f"{target}.nii.gz"
    files = {"translation": volume, "provenance": made / provenance.FILE}
    optional = {"mask": made / MASK, "uncertainty": deviation_of(volume), "qc": made / "qc.png"}
    optional |= {name: made / f"{name}.png" for name in ("radiograph", "drr")}
    files |= {name: path for name, path in optional.items() if path.is_file()}
    values, affine = read_volume(volume)
    mask = read_volume(files["mask"])[0] if "mask" in files else None
    windows: dict[str, Any] = {"translation": window_of(values, target, mask)}
    if "uncertainty" in files:
        deviation = read_volume(files["uncertainty"])[0]
        windows["uncertainty"] = (0.0, max(float(np.percentile(deviation, 99.5)), 1e-3))
    if upload["kind"] != "radiograph":
        files["source"] = _linked(views / upload["files"]["source"], place / "source.nii.gz")
        source = read_volume(files["source"])[0]
        windows["source"] = window_of(source, job["source"].partition("+")[0], mask)
        if source.shape == values.shape:
            apart = difference(source, values, (windows["source"], windows["translation"]), mask)
            files["difference"] = write_volume(place / "difference.nii.gz", np.rint(apart), affine)
            windows["difference"] = (-100.0, 100.0)
    measures = direct.measures_of(made) if upload["kind"] == "radiograph" else {}
    return {
        "files": {name: path.relative_to(place).as_posix() for name, path in files.items()},
        "windows": {name: [*window] for name, window in windows.items()},
        "measures": measures,
    }


def _linked(source: Path, target: Path) -> Path:
    """A file that stays when the upload goes."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target
