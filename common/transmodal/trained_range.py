"""What a model has seen in training, in a few numbers, and in plain words how a new image differs from it.

A network translates whatever it is given. These numbers tell another body region, another contrast, another resolution
from what it was trained on; an image within the range may still be unlike the training in ways they do not measure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.data import MetaTensor
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from transmodal.data.neighbours import steps_inside
from transmodal.errors import InputError
from transmodal.files import json_text, write_atomically
from transmodal.transforms.intensity import IntensityScale

__all__ = ["MEASURES", "Measure", "Profile", "TrainedRange", "range_beside"]

VERSION = 2


class Measure(NamedTuple):
    """A number of a profile: its name for the reader, its unit, and how far outside of the training's is still near.

    Args:
        name, unit: for the reader; without a unit it is that of the intensities.
        factor: sizes are near within the bounds times and over this.
        margin: shares and intensities are near within so many widths of the training's range beyond its bounds,
        floor: and within this in any case, in the measure's unit.
    """

    name: str
    unit: str = ""
    factor: float = 1.0
    margin: float = 0.0
    floor: float = 0.0


MEASURES: Mapping[str, Measure] = {
    "slice_mm": Measure("slice spacing", "mm", factor=1.5),
    "pixel_mm": Measure("pixel size", "mm", factor=1.25),
    "area_cm2": Measure("body cross-section", "cm²", factor=1.5),
    "width_mm": Measure("body width", "mm", factor=1.35),
    "depth_mm": Measure("body depth", "mm", factor=1.35),
    "height_mm": Measure("body height", "mm", factor=1.35),
    "median": Measure("median intensity in the body", margin=0.5),
    "dark": Measure("intensity of the darkest tenth of the body", margin=0.5),
    "bright": Measure("intensity of the brightest tenth of the body", margin=0.5),
    "air": Measure("share of air in the body", "%", margin=0.5, floor=2),
    "fat": Measure("share of fat in the body", "%", margin=0.5, floor=2),
    "bone": Measure("share of bone in the body", "%", margin=0.75, floor=2),
    "rim": Measure("brightness of the outermost centimetre relative to the rest of the body", margin=0.2),
    "detail": Measure("mean step of intensity between neighbouring pixels", factor=1.5),
}
EXTENTS = {"R": "width_mm", "L": "width_mm", "A": "depth_mm", "P": "depth_mm", "S": "height_mm", "I": "height_mm"}
"""What the extent of the body towards a direction is called; slices show two of the three."""
RIM_MM = 10.0
AIR_BELOW, FAT, BONE_FROM = -400.0, (-150.0, -30.0), 200.0


@dataclass(frozen=True)
class Profile:
    """One preprocessed volume in named numbers, the keys of ``MEASURES``.

    Args:
        modality: of the volume.
        units: of its intensities.
        values: each measure's. Sizes are medians over the slices that show the body.
    """

    modality: str
    units: str
    values: Mapping[str, float]

    @classmethod
    def of(
        cls,
        image: Tensor | NDArray[Any],
        body: Tensor | NDArray[Any],
        modality: str,
        scale: IntensityScale,
        affine: Tensor | NDArray[Any] | None = None,
        axis: int = 2,
    ) -> Profile:
        """Measure a volume as the network gets it.

        Args:
            image: (1, H, W, D) in [-1, 1], preprocessed; the first channel of several is measured.
            body: its mask, (1, H, W, D).
            modality, scale: what it shows and how it was scaled. Intensities are told in the units of the scale; those
                in HU are also counted as air, fat and bone.
            affine: (4, 4), from voxels along H, W and D to mm to the right, anterior and superior; by default that of
                the image, a ``MetaTensor``.
            axis: that numbers the slices the network sees.
        """
        if affine is None:
            affine = image.affine if isinstance(image, MetaTensor) else torch.eye(4)
        axes = [axis, *(number for number in range(3) if number != axis)]
        placed = np.asarray(_array(affine), dtype=np.float64)[:, [*axes, 3]]
        step, rows, columns = np.linalg.norm(placed[:3, :3], axis=0)
        _, *directions = aff2axcodes(placed)  # type: ignore[no-untyped-call]
        volume = np.moveaxis(np.asarray(_array(image)[0], dtype=np.float32), axis, 0)
        inside = np.moveaxis(np.asarray(_array(body)[0]) > 0, axis, 0)
        if not inside.any():
            inside = np.ones_like(inside)
        physical = scale.restore(torch.from_numpy(volume)).double().numpy()
        values = {"slice_mm": step, "pixel_mm": max(rows, columns)}
        values |= _sizes(inside, (rows, columns), directions) | _intensities(physical, inside, scale.units)
        values |= {"rim": _rim(physical, inside, (rows, columns))}
        return cls(modality, scale.units, {name: round(float(value), 4) for name, value in values.items()})


@dataclass(frozen=True)
class TrainedRange:
    """The smallest and the largest value of each measure among the training volumes of each modality.

    Args:
        modalities: of each modality ``{"volumes": count, "units": …, "range": {measure: [smallest, largest]}}``.
    """

    modalities: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, profiles: Sequence[Profile]) -> TrainedRange:
        """The range of any number of volumes of any modalities."""
        modalities = {}
        for modality in dict.fromkeys(profile.modality for profile in profiles):
            of_it = [profile for profile in profiles if profile.modality == modality]
            names = dict.fromkeys(name for profile in of_it for name in profile.values)
            columns = {name: [found.values[name] for found in of_it if name in found.values] for name in names}
            modalities[modality] = {
                "volumes": len(of_it),
                "units": of_it[0].units,
                "range": {name: [min(column), max(column)] for name, column in columns.items()},
            }
        return cls(modalities)

    def warnings(self, profile: Profile) -> list[str]:
        """What lies clearly outside of the training, a sentence each; empty where nothing does."""
        known = self.modalities.get(profile.modality)
        if known is None:
            return [f"{profile.modality} was not in the training, only {', '.join(sorted(self.modalities))}"]
        found = []
        for name, (low, high) in known["range"].items():
            measure, value = MEASURES[name], profile.values.get(name)
            below, above = _widened(measure, low, high)
            if value is not None and not below <= value <= above:
                unit = measure.unit or profile.units
                had = f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}"
                found.append(f"{measure.name} {value:.3g} {unit}, training had {had} {unit}")
        return found

    def save(self, path: str | Path) -> None:
        """Write a JSON file, whole or not at all; one that says the same already is left alone."""
        named = {
            name: f"{measure.name}, {measure.unit or 'units of the modality'}" for name, measure in MEASURES.items()
        }
        content = {"version": VERSION, "measures": named, "modalities": self.modalities}
        text = json_text(content)
        if not Path(path).is_file() or Path(path).read_text(encoding="utf-8") != text:
            write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))

    @classmethod
    def load(cls, path: str | Path) -> TrainedRange:
        """Read a JSON file.

        Raises:
            InputError: if it is missing or holds something else.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content["version"] not in (1, VERSION):
                raise ValueError(f"version {content['version']}")
            unknown = {name for known in content["modalities"].values() for name in known["range"]} - {*MEASURES}
            if unknown:
                raise ValueError(f"the measures {', '.join(sorted(unknown))}")
            read = _of_version_1 if content["version"] == 1 else dict
            return cls({name: read(known) for name, known in content["modalities"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                path,
                found=f"no range of a training ({type(error).__name__}: {error})",
                wanted=f"a file of version {VERSION} as training writes it beside the weights",
                remedy="train again, or delete the file: nothing is then compared with the training",
            ) from error


def range_beside(weights: str | Path) -> Path:
    """The file that belongs to a file of weights: ``trained_range.json`` in the same folder."""
    return Path(weights).with_name("trained_range.json")


def _widened(measure: Measure, low: float, high: float) -> tuple[float, float]:
    """The bounds up to which a value is near the training's; of a size nothing but the factor, which is above 1."""
    if measure.factor > 1:
        return low / measure.factor, high * measure.factor
    slack = max(measure.margin * (high - low), measure.floor)
    return low - slack, high + slack


def _of_version_1(known: Mapping[str, Any]) -> dict[str, Any]:
    """A modality's range, with each extent of the body as wide as any.

    Version 1 called the extent along the first axis of a slice its width and the other its depth, whatever their
    directions.
    """
    old = [bound for name in ("width_mm", "depth_mm") for bound in known["range"].get(name, ())]
    either = {name: [min(old), max(old)] for name in EXTENTS.values()} if old else {}
    return {**known, "range": {**known["range"], **either}}


def _sizes(inside: NDArray[np.bool_], spacing: Sequence[float], directions: Sequence[str]) -> dict[str, float]:
    """Area and extents of the body in a typical slice.

    Args:
        inside: (slices, H, W).
        spacing: in mm along H and W.
        directions: that H and W run to, as keys of ``EXTENTS``.
    """
    shown = inside[inside.any(axis=(1, 2))]
    sizes = {"area_cm2": float(np.median(shown.sum(axis=(1, 2)))) * spacing[0] * spacing[1] / 100}
    for across, step, direction in zip((1, 0), spacing, directions, strict=True):
        extent = [np.ptp(np.flatnonzero(image.any(axis=across))) + 1 for image in shown]
        sizes[EXTENTS[direction]] = float(np.median(extent)) * step
    return sizes


def _intensities(values: NDArray[np.float64], inside: NDArray[np.bool_], units: str) -> dict[str, float]:
    """Of (slices, H, W) in physical units, where ``inside``."""
    body = values[inside]
    if units == "HU":
        shares = {"air": body < AIR_BELOW, "fat": (body >= FAT[0]) & (body <= FAT[1]), "bone": body >= BONE_FROM}
        found = {name: 100 * float(share.mean()) for name, share in shares.items()}
    else:
        found = {"dark": float(np.quantile(body, 0.1)), "bright": float(np.quantile(body, 0.9))}
    steps = np.append(steps_inside(values, inside, axes=(1, 2)), 0.0)
    return {"median": float(np.median(body)), **found, "detail": float(steps.mean())}


def _rim(values: NDArray[np.float64], inside: NDArray[np.bool_], spacing: tuple[float, float]) -> float:
    """How much brighter the body is at its surface, as with fat below the skin, in at most 24 slices."""
    shown = np.flatnonzero(inside.any(axis=(1, 2)))
    shown = shown[:: max(1, len(shown) // 24)]
    depth = np.stack(
        [ndimage.distance_transform_edt(np.pad(inside[n], 1), sampling=spacing)[1:-1, 1:-1] for n in shown]
    )
    outer, inner = (values[shown][part] for part in ((depth > 0) & (depth <= RIM_MM), depth > RIM_MM))
    return float(np.median(outer) - np.median(inner)) if len(outer) and len(inner) else 0.0


def _array(image: Tensor | NDArray[Any]) -> NDArray[Any]:
    return image.detach().as_subclass(Tensor).cpu().numpy() if isinstance(image, Tensor) else image
