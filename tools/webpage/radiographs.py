"""Radiographs among uploads: read, shown, and told from what is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from transmodal.errors import InputError
from transmodal.transforms import RadiographLoadImaged
from webpage.examined import Examined, one_line

__all__ = ["examine_radiograph"]


def examine_radiograph(path: Path, views: Path, dicom: bool) -> Examined:
    """A radiograph, its picture written for the viewer; one that is no chest is shown with the reason."""
    sample = {"image": str(path), "case": "radiograph"}
    fault = None
    try:
        picture = RadiographLoadImaged("image")(sample)["image"]
    except InputError as error:
        picture, fault = RadiographLoadImaged("image", check_chest=False)(sample)["image"], error
    values = picture[0].numpy()
    shape, spacing = [*map(int, values.shape)], [round(float(size), 4) for size in picture.pixdim[:2]]
    examined = Examined("radiograph", "xray", path.name, shape, spacing, "")
    low, high = (float(value) for value in np.percentile(values, (0.5, 99.5)))
    grey = np.clip((values - low) * (255 / max(high - low, 1e-9)), 0, 255).astype(np.uint8)
    Image.fromarray(grey).save(views / "radiograph.png")
    examined.files, examined.windows = {"source": "radiograph.png"}, {"source": [0.0, 255.0]}
    examined.paths, examined.dicom = {"image": str(path)}, dicom
    examined.tell("ok", f"a picture of {shape[0]} × {shape[1]} pixels in grey")
    if fault is None:
        examined.tell("ok", "the plan of a chest from the front, bright where dense")
    else:
        examined.tell("error", one_line(fault).replace(str(path), path.name))
    if notes := picture.meta.get("notes"):
        examined.tell("warning", str(notes))
    return examined
