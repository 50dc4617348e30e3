"""The geometry of a radiograph: a point source, a flat detector, and the patient between them at the isocentre.

Coordinates are those of the patient, RAS millimetres (x to the patient's right, y to the front, z to the head), counted
from the isocentre. The picture hangs as radiographs do: rows run from head to feet, columns from the patient's right to
his left, whichever side the source is on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from transmodal.errors import InputError

__all__ = ["ConeBeam"]

VIEWS = {"AP": 1.0, "PA": -1.0}
"""On which side of the patient the source is, along y: before him (front to back) or behind him (back to front)."""


class ConeBeam:
    """Where source and pixels of a cone-beam radiograph are. The defaults are the published set-up at 224 pixels.

    Args:
        source_to_detector, source_to_isocentre: distances in mm along the central ray.
        pixels: rows and columns of the detector, or one number for both.
        pixel_size: edge of its square pixels in mm, on the detector.
        rotation: turns source and detector about the isocentre, in degrees. Three angles about z, then about the x and
            then the y that have turned along (intrinsic ZXY): (90, 0, 0) takes the source of ``AP`` to his left.
        translation: moves source and detector, in mm along the axes that turn with them (x toward the first column of
            ``AP``, z toward the first row).
        view: ``"AP"`` with the source before the patient, ``"PA"`` with the source behind him, as standing chest
            radiographs are taken.
    Raises:
        InputError: if an argument is not as described.
    Source:
        V. Gopalakrishnan and P. Golland, Fast auto-differentiable digitally reconstructed radiographs for solving
        inverse problems in intraoperative imaging, CLIP 2022, for the parameters.
    """

    def __init__(
        self,
        source_to_detector: float = 1200.0,
        source_to_isocentre: float = 850.0,
        pixels: int | Sequence[int] = (224, 224),
        pixel_size: float = 512 / 224,
        rotation: Sequence[float] = (0.0, 0.0, 0.0),
        translation: Sequence[float] = (0.0, 0.0, 0.0),
        view: str = "AP",
    ) -> None:
        self.source_to_detector = _positive("source_to_detector", source_to_detector)
        self.source_to_isocentre = _positive("source_to_isocentre", source_to_isocentre)
        if self.source_to_isocentre >= self.source_to_detector:
            raise _refused(
                "source_to_isocentre", source_to_isocentre, f"less than source_to_detector, {source_to_detector:g} mm"
            )
        self.rows, self.columns = _pixels(pixels)
        self.pixel_size = _positive("pixel_size", pixel_size)
        self.rotation, self.translation = _three("rotation", rotation), _three("translation", translation)
        if view not in VIEWS:
            raise _refused("view", view, f"one of {', '.join(VIEWS)}")
        self.view = view

    @classmethod
    def covering(
        cls,
        width: float,
        pixels: int | Sequence[int] = (224, 224),
        source_to_detector: float = 1800.0,
        source_to_isocentre: float = 1600.0,
        rotation: Sequence[float] = (0.0, 0.0, 0.0),
        translation: Sequence[float] = (0.0, 0.0, 0.0),
        view: str = "PA",
    ) -> Self:
        """A picture so many millimetres wide at the isocentre, by default as of a standing chest radiograph.

        Args:
            width: what the columns cover in the plane of the isocentre, mm; pixels are square, so rows follow.
            pixels, source_to_detector, source_to_isocentre, rotation, translation, view: as those of the class.
        """
        _, columns = _pixels(pixels)
        at_isocentre = cls(source_to_detector, source_to_isocentre, pixels, _positive("width", width) / columns)
        size = at_isocentre.pixel_size * source_to_detector / source_to_isocentre
        return cls(source_to_detector, source_to_isocentre, pixels, size, rotation, translation, view)

    @property
    def pixel_at_isocentre(self) -> float:
        """Edge in mm of what a pixel sees in the plane of the isocentre."""
        return self.pixel_size * self.source_to_isocentre / self.source_to_detector

    @property
    def source(self) -> Tensor:
        """Where the source is, RAS mm, (3,), float64."""
        return self._placed(torch.tensor([0.0, VIEWS[self.view] * self.source_to_isocentre, 0.0], dtype=torch.float64))

    @property
    def detector(self) -> Tensor:
        """Where the middles of the pixels are, RAS mm, (rows, columns, 3), float64."""
        behind = VIEWS[self.view] * (self.source_to_isocentre - self.source_to_detector)
        z, x = (_middles(count) * self.pixel_size for count in (self.rows, self.columns))
        z, x = torch.meshgrid(z, x, indexing="ij")
        return self._placed(torch.stack([x, torch.full_like(x, behind), z], dim=-1))

    def _placed(self, points: Tensor) -> Tensor:
        """Points of the unturned set-up (..., 3) where rotation and translation take them."""
        z, x, y = (math.radians(angle) for angle in self.rotation)
        turn = _turn(0, 1, z) @ _turn(1, 2, x) @ _turn(2, 0, y)
        return (points + torch.tensor(self.translation, dtype=torch.float64)) @ turn.mT


def _middles(count: int) -> Tensor:
    """Middles of a row of pixels, in pixels from the centre, falling: to the feet and to the patient's left."""
    return (count - 1) / 2 - torch.arange(count, dtype=torch.float64)


def _turn(first: int, second: int, angle: float) -> Tensor:
    """Rotation by an angle in radians, from one axis toward another, (3, 3)."""
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[first, first] = matrix[second, second] = math.cos(angle)
    matrix[second, first], matrix[first, second] = math.sin(angle), -math.sin(angle)
    return matrix


def _positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise _refused(name, value, "a positive number of mm")
    return float(value)


def _three(name: str, values: Sequence[float]) -> tuple[float, float, float]:
    good = isinstance(values, list | tuple) and len(values) == 3
    if not good or not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        raise _refused(name, values, "three numbers")
    x, y, z = (float(value) for value in values)
    return x, y, z


def _pixels(values: int | Sequence[int]) -> tuple[int, int]:
    pair = [values, values] if isinstance(values, int) else list(values) if isinstance(values, list | tuple) else []
    if len(pair) != 2 or any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in pair):
        raise _refused("pixels", values, "rows and columns, positive whole numbers")
    return pair[0], pair[1]


def _refused(name: str, value: object, wanted: str) -> InputError:
    return InputError(
        f"ConeBeam, {name}",
        found=repr(value),
        wanted=wanted,
        remedy="see the class; a chest radiograph is ConeBeam.covering(384, pixels=224)",
    )
