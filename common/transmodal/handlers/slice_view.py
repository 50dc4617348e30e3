"""Cut the slice of a case that is shown, in the orientation a radiologist expects.

Axial slices are seen from the feet: anterior up, the patient's right on the left. Coronal ones are seen from the front
and sagittal ones from the left, with anterior on the left; both have superior up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation
from numpy.typing import NDArray
from torch import Tensor

from transmodal.errors import InputError

__all__ = ["PLANES", "SOURCE_PERCENTILES", "Image", "SliceView", "Window", "mid_body_view"]

Window = tuple[float, float]
Image = NDArray[np.float32]

MARGIN = 10.0  # mm around the body
SOURCE_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Plane:
    """How a plane is cut from a volume whose axes go to the right, to anterior and to superior.

    ``rows``, ``columns`` and ``normal`` are the world axes (0, 1, 2) along which a slice's rows, its columns and the
    slices follow each other, ``flipped`` those of them that run the other way in display, and ``sides`` what lies on
    the left and on the right.
    """

    rows: int
    columns: int
    normal: int
    flipped: tuple[int, ...]
    sides: tuple[str, str]


PLANES = {
    "axial": Plane(rows=1, columns=0, normal=2, flipped=(0, 1), sides=("R", "L")),
    "coronal": Plane(rows=2, columns=0, normal=1, flipped=(0, 2), sides=("R", "L")),
    "sagittal": Plane(rows=2, columns=1, normal=0, flipped=(1, 2), sides=("A", "P")),
}


@dataclass(frozen=True)
class SliceView:
    """One case's slice as it is displayed.

    ``spacing`` is in mm per row and column, ``source_window`` the source's percentiles inside the body of the volume,
    ``note`` a short text for the error panel, ``regions`` masks that are outlined on all panels, and ``deviation`` the
    predicted standard deviation in the units of the translation. ``sides`` says what lies on the left and the right.
    """

    case: str
    source: Image
    translated: Image
    target: Image | None
    body: NDArray[np.bool_]
    spacing: tuple[float, float]
    source_window: Window
    note: str = ""
    regions: tuple[NDArray[np.bool_], ...] = ()
    deviation: Image | None = None
    sides: tuple[str, str] = ("R", "L")

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top in mm, as matplotlib wants them."""
        rows, columns = self.source.shape
        return 0.0, columns * self.spacing[1], rows * self.spacing[0], 0.0

    @property
    def shape_ratio(self) -> float:
        """Height by width, kept within what a row of panels can show."""
        _, width, height, _ = self.extent
        return min(max(height / width, 0.45), 1.35)

    @property
    def error(self) -> Image | None:
        """Translation minus target inside the body, NaN outside; None without a target."""
        return None if self.target is None else np.where(self.body, self.translated - self.target, np.nan)

    @property
    def uncertainty(self) -> Image | None:
        """The predicted deviation inside the body, NaN outside; None without one."""
        return None if self.deviation is None else np.where(self.body, self.deviation, np.nan)


def mid_body_view(
    case: str,
    source: Tensor,
    translated: Tensor,
    target: Tensor | None = None,
    mask: Tensor | None = None,
    affine: Tensor | None = None,
    note: str = "",
    regions: Sequence[Tensor] = (),
    deviation: Tensor | None = None,
    plane: str = "axial",
) -> SliceView:
    """Cut the slice through the middle of the body, or where the first region is largest, cropped to the body.

    Args:
        case: name of the row.
        source, translated, target: (C, H, W[, D]) on one grid; the first channel is shown.
        mask: body, (1, H, W[, D]); the whole volume without it.
        affine: 4 × 4, voxel indices to mm in RAS (first axis to the patient's right); identity without it.
        note: short text for the error panel.
        regions: masks to outline, (1, H, W[, D]).
        deviation: predicted standard deviation of the translation, (1, H, W[, D]).
        plane: a name in ``PLANES``: axial, coronal or sagittal.
    Raises:
        InputError: if the grids differ, or there is no such plane.
    """
    cut = _plane(plane)
    images = {"source": source, "translated": translated, "target": target, "mask": mask, "deviation": deviation}
    images |= {f"region {number}": region for number, region in enumerate(regions, 1)}
    _check_one_grid(case, images)
    matrix = np.eye(4) if affine is None else np.asarray(affine, dtype=np.float64)
    volume = _upright(source, matrix, cut)
    filled = mask is not None and bool((mask > 0).any())
    body = _upright(mask, matrix, cut) > 0 if mask is not None and filled else np.ones_like(volume, dtype=bool)
    outlined = [_upright(region, matrix, cut) != 0 for region in regions]
    marked = bool(outlined) and outlined[0].any()
    depth = int(outlined[0].sum(axis=(0, 1)).argmax()) if marked else _middle(body)
    rows, columns = _crop(body[:, :, depth], spacing := _display_spacing(matrix, cut))
    shown = (rows, columns, depth)
    low, high = np.nanpercentile(volume[body], SOURCE_PERCENTILES)
    return SliceView(
        case=case,
        source=volume[shown],
        translated=_upright(translated, matrix, cut)[shown],
        target=None if target is None else _upright(target, matrix, cut)[shown],
        body=body[shown],
        spacing=spacing,
        source_window=(float(low), float(high)),
        note=note,
        regions=tuple(region[shown] for region in outlined),
        deviation=None if deviation is None else _upright(deviation, matrix, cut)[shown],
        sides=cut.sides,
    )


def _check_one_grid(case: str, images: Mapping[str, Tensor | None]) -> None:
    shapes = {name: tuple(image.shape[1:]) for name, image in images.items() if image is not None}
    if len(set(shapes.values())) > 1:
        raise InputError(
            f"figure of case {case}",
            found=", ".join(f"{name} {shape}" for name, shape in shapes.items()),
            wanted="images on one grid",
            remedy="bring the prediction back to the native grid before drawing it",
        )


def _plane(name: str) -> Plane:
    if name not in PLANES:
        raise InputError(
            "figure, plane", found=repr(name), wanted=f"one of {', '.join(PLANES)}", remedy="correct the name"
        )
    return PLANES[name]


def _upright(image: Tensor, affine: NDArray[np.float64], plane: Plane) -> Image:
    """First channel in display order (rows, columns, slices), float32."""
    array = np.asarray(image.detach().cpu().float())[0]
    array = array[..., None] if array.ndim == 2 else array
    right_anterior_superior = apply_orientation(array, _orientation(affine))  # type: ignore[no-untyped-call]
    displayed: Image = np.flip(right_anterior_superior, plane.flipped).transpose(
        plane.rows, plane.columns, plane.normal
    )
    return displayed


def _display_spacing(affine: NDArray[np.float64], plane: Plane) -> tuple[float, float]:
    """Millimetres per displayed row and column."""
    axes = _orientation(affine)[:, 0].tolist()
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    return float(sizes[axes.index(plane.rows)]), float(sizes[axes.index(plane.columns)])


def _orientation(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each voxel axis the world axis nearest to it (0, 1, 2) and its direction (1 or -1)."""
    orientation: NDArray[np.float64] = io_orientation(affine)  # type: ignore[no-untyped-call]
    return orientation


def _middle(body: NDArray[np.bool_]) -> int:
    """The slice that halves the body's extent; where it is empty there, the nearest that is not."""
    filled = np.flatnonzero(body.any(axis=(0, 1)))
    return int(filled[np.abs(filled - (filled[0] + filled[-1]) / 2).argmin()])


def _crop(body: NDArray[np.bool_], spacing: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns of the body of a slice, with a margin; all of them where it has none."""
    if not body.any():
        return slice(None), slice(None)
    sides = []
    for axis, size in enumerate(spacing):
        within, margin = np.flatnonzero(body.any(axis=1 - axis)), round(MARGIN / size)
        sides.append(slice(max(int(within[0]) - margin, 0), int(within[-1]) + 1 + margin))
    return sides[0], sides[1]
