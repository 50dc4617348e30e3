"""A radiograph of a region: attenuation along parallel rays from back to front, with quantum noise (Beer, Lambert)."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from transmodal.errors import InputError
from transmodal.phantom.anatomy import Region
from transmodal.phantom.grid import Array, Grid
from transmodal.phantom.tissues import PROPERTIES, Tissue

_WATER = 0.0193  # attenuation per mm at about 70 keV
_SLAB = 9.0  # mm along the rays; partial volume keeps what is thinner
_PHOTONS = 2.0e5  # per pixel without a patient


def radiograph(
    region: Region, spacing: float, anatomy: Generator, centre: tuple[float, float, float], noise: Generator
) -> Array:
    """Project the whole field of view of one patient, whatever grid his other images have.

    Args:
        region: the region to draw.
        spacing: pixel edge in mm.
        anatomy: the generator that draws the patient.
        centre: where the middle of the region lies in the patient, RAS mm.
        noise: source of the quantum noise.
    Returns:
        Line integral of attenuation, dimensionless, bright where dense; (columns, rows), columns run to the patient's
        left and rows to the feet, as a radiograph hangs.
    Raises:
        InputError: if ``spacing`` is not a positive number.
    """
    if isinstance(spacing, bool) or not isinstance(spacing, int | float) or not 0 < spacing < float("inf"):
        raise InputError(
            "phantom xray_spacing",
            found=repr(spacing),
            wanted="a positive number of mm",
            remedy="pass for example xray_spacing=2.5",
        )
    width, depth, height = region.field_of_view
    shape = (round(width / spacing) or 1, round(depth / _SLAB), round(height / spacing) or 1)
    grid = Grid(shape, (spacing, _SLAB, spacing), centre)
    attenuation = grid.zeros()
    for tissue, fraction in region.draw(grid, anatomy).fractions.items():
        if tissue is not Tissue.COUCH:  # radiographs are taken standing
            attenuation += np.float32(_WATER * max(0.0, 1 + PROPERTIES[tissue].hu / 1000)) * fraction
    path = attenuation.sum(axis=1, dtype=np.float32) * np.float32(grid.spacing[1])
    spread = np.exp(path / 2) / np.float32(_PHOTONS**0.5)
    path = path + spread * noise.standard_normal(path.shape, dtype=np.float32)
    return np.ascontiguousarray(np.maximum(path, 0)[:, ::-1])
