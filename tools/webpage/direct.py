"""Bundles that do not work on the grid of one scan: those of radiographs, and of several contrasts of a case."""

from __future__ import annotations

import csv
import math
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigWorkflow
from monai.data import MetaTensor
from numpy.typing import NDArray
from PIL import Image

from translating import provenance
from translating.listening import Listener, watch
from translating.model import Model
from translating.picture import DISPLAY
from transmodal.data.layout import extension
from transmodal.errors import InputError
from transmodal.files import sha256_of
from transmodal.transforms import radiograph_of
from webpage.display import read_volume

__all__ = ["measures_of", "run"]

CASE = "scan"
CONSISTENCY = "consistency.csv"


def run(
    model: Model, job: Mapping[str, Any], upload: Mapping[str, Any], files: Path, place: Path, listener: Listener
) -> tuple[Path, list[str]]:
    """Run a bundle's own inference on what was uploaded.

    Returns:
        The folder of the case, with its volume, for a radiograph also both radiographs as pictures, and the record; and
        what to be wary of.
    Raises:
        InputError: whatever the bundle refuses, or if it writes no volume.
    """
    listener.stage("reading")
    data, output, target = place / "data", place / "result", job["target"]
    staged = _stage(data / CASE, files, upload)
    drawn = {key: job["options"][key] for key in ("seed", "num_samples") if key in job["options"]}
    source = "xray" if upload["kind"] == "radiograph" else job["source"].partition("+")[0]
    ids = {"dataset_dir": str(data), "output_dir": str(output), "source": source, "target": target, **drawn}
    begun = datetime.now().astimezone()
    made = output / CASE
    with model.opened(**ids) as workflow:
        listener.stage("translating")
        watch(workflow, listener)
        workflow.run()
        listener.stage("checking")
        if not (made / f"{target}.nii.gz").is_file():
            raise InputError(
                model.bundle.name,
                found=f"a bundle that wrote no <case>/{target}.nii.gz",
                wanted="a bundle that writes in the layout of the data",
                remedy="choose another bundle",
            )
        if upload["kind"] == "radiograph":
            _draw_radiographs(workflow, made / f"{target}.nii.gz", made)
        effective = provenance.effective(workflow.parser)
    if (output / CONSISTENCY).is_file():
        shutil.move(output / CONSISTENCY, made / CONSISTENCY)
    told = [text["text"] for text in upload["checks"] if text["level"] == "warning"]
    provenance.write(made, _record(model, job, upload, staged, told, begun, effective))
    shutil.rmtree(data)
    return made, told


def _stage(case: Path, files: Path, upload: Mapping[str, Any]) -> list[Path]:
    """The uploaded files under the names of the data layout; the files themselves."""
    case.mkdir(parents=True)
    staged = []
    for name, text in upload["paths"].items():
        path = files / text
        modality = "xray" if upload["kind"] == "radiograph" else name
        suffix = "" if path.is_dir() else extension(path) or ".dcm"
        target = case / f"{modality}{suffix}"
        try:
            target.symlink_to(path)
        except OSError:  # a system on which not everybody may link
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, target)
        staged += sorted(path.iterdir()) if path.is_dir() else [path]
    return staged


def _record(
    model: Model,
    job: Mapping[str, Any],
    upload: Mapping[str, Any],
    files: list[Path],
    told: list[str],
    begun: datetime,
    effective: Mapping[str, Any],
) -> dict[str, Any]:
    """Where the translation comes from, as tools/translate.py tells it."""
    options, target = job["options"], job["target"]
    return {
        "case": CASE,
        "mark": provenance.MARK,
        "input": upload["name"],
        "modality": {"found": upload["modality"], "by": "upload", "probability": None, "reason": "as it was uploaded"},
        "series": None,
        "request": {
            "inputs": {file.name: sha256_of(file) for file in files},
            "source": job["source"],
            "target": target,
            "model": model.identity(),
            "seed": options.get("seed"),
            "samples": options.get("num_samples"),
        },
        "units": DISPLAY[target].units,
        "versions": provenance.versions(),
        "command": {"bundle": model.bundle.name, "source": job["source"], "target": target, **options},
        "started": begun.isoformat(timespec="seconds"),
        "effective": dict(effective),
        "warnings": told,
        "seconds": round((datetime.now().astimezone() - begun).total_seconds(), 1),
    }


def _draw_radiographs(workflow: ConfigWorkflow, volume: Path, made: Path) -> None:
    """The given radiograph as the network saw it, and that of the volume, on one scale and of one size.

    The second is brought to the scale of the first by the same percentiles, for a projection has no scale of its own;
    that of a volume without any density is black.
    """
    parser = workflow.parser
    given = parser.get_parsed_content("dataset")[0]["image"]
    values, affine = read_volume(volume)
    voxels = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None]
    image = MetaTensor(voxels, affine=torch.from_numpy(affine))
    projected = radiograph_of(image, parser.get_parsed_content("projector")).as_tensor()
    empty = bool(projected.max() == projected.min())
    scaled = (
        torch.full_like(projected, -1) if empty else parser.get_parsed_content("intensity")["xray"].scale(projected)
    )
    for name, picture in (("radiograph", given), ("drr", scaled)):
        _write_picture(made / f"{name}.png", np.asarray(picture)[0])


def _write_picture(path: Path, values: NDArray[Any]) -> None:
    """A picture in [-1, 1] as grey levels."""
    grey = np.rint((np.clip(values, -1, 1) + 1) * 127.5).astype(np.uint8)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    Image.fromarray(grey).save(partial, format="PNG")
    partial.rename(path)


def measures_of(made: Path) -> dict[str, float | None]:
    """How alike the radiographs are, as the bundle has measured it; None for what is undefined, nothing without."""
    path = made / CONSISTENCY
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    values = {name: float(value) if value else math.nan for name, value in row.items() if name != "case"}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
