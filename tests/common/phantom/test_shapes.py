"""Fractions of voxels that shapes fill."""

from __future__ import annotations

import math

import numpy as np
import pytest

from transmodal.phantom.grid import Grid
from transmodal.phantom.shapes import (
    Tubes,
    coverage,
    ellipsoid,
    gradient_length,
    sheet_coverage,
    smooth_intersection,
    smooth_step,
    smooth_union,
    tube_coverage,
    tube_distance,
)

GRID = Grid((40, 40, 20), (1.0, 1.0, 2.0))
WHOLE = np.zeros(GRID.shape, dtype=np.float32)


def test_coverage_adds_up_to_the_volume_of_a_sphere() -> None:
    sphere = ellipsoid(GRID.x, GRID.y, GRID.z, (0.3, -0.4, 0.2), (12, 12, 12))
    assert coverage(sphere).sum() * 2 == pytest.approx(4 / 3 * math.pi * 12**3, rel=0.01)


def test_coverage_does_not_depend_on_the_units_of_the_distance() -> None:
    sphere = ellipsoid(GRID.x, GRID.y, GRID.z, (0, 0, 0), (12, 12, 12))
    np.testing.assert_allclose(coverage(1000 * sphere), coverage(sphere), atol=1e-4)


def test_an_edge_has_partial_volume_one_voxel_wide() -> None:
    plane = GRID.x + WHOLE - 0.25
    edge = coverage(plane)[:, 0, 0]
    assert sorted(edge[(edge > 0) & (edge < 1)]) == pytest.approx([0.25], abs=1e-5)


def test_the_distance_to_an_ellipsoid_is_in_mm_near_its_surface() -> None:
    x, none = np.array([21.0], dtype=np.float32), np.zeros(1, dtype=np.float32)
    assert ellipsoid(x, none, none, (0, 0, 0), (20, 5, 9)).item() == pytest.approx(1.0, rel=0.06)


def test_gradients_are_per_mm() -> None:
    along_z = 3 * GRID.z + WHOLE
    assert np.allclose(gradient_length(along_z, GRID), 3)
    assert np.allclose(gradient_length(along_z, GRID, axes=(0, 1)), 0, atol=1e-5)


def test_a_sheet_thinner_than_a_voxel_fills_as_much_as_it_is_thick() -> None:
    filled = sheet_coverage(np.abs(GRID.x + WHOLE + 0.5), 0.2, GRID)
    assert filled.max() == pytest.approx(0.2)


def test_a_union_is_at_least_as_large_as_its_parts_and_an_intersection_at_most() -> None:
    a, b = GRID.x - 3 + WHOLE, GRID.y - 3 + WHOLE
    assert (smooth_union(a, b, 4.0) <= np.minimum(a, b) + 1e-5).all()
    assert (smooth_intersection(a, b, 4.0) >= np.maximum(a, b) - 1e-5).all()


def test_a_smooth_step_rises_or_falls_from_start_to_stop() -> None:
    values = np.array([0, 1, 2, 3], dtype=np.float32)
    np.testing.assert_allclose(smooth_step(values, 1, 3), [0, 0, 0.5, 1])
    np.testing.assert_allclose(smooth_step(values, 3, 1), [1, 1, 0.5, 0])


@pytest.mark.parametrize("radius", [4.0, 0.3])
def test_tubes_fill_their_volume_even_when_thinner_than_a_voxel(radius: float) -> None:
    filled = tube_coverage(Tubes.along([(0.2, 0.1, -50), (0.2, 0.1, 50)], radius), GRID)
    area = filled[:, :, 10].sum()
    assert area == pytest.approx(math.pi * radius**2, rel=0.15 if radius > 1 else 0.8)


def test_tubes_outside_the_grid_fill_nothing() -> None:
    assert not tube_coverage(Tubes.along([(99, 0, 0), (99, 9, 0)], 3.0), GRID).any()


def test_grown_tubes_keep_their_course() -> None:
    tubes = Tubes.along([(0, 0, 0), (0, 0, 9)], 2.0).grown(1.5)
    assert tubes.radius.tolist() == [3.5]
    assert tubes.stop.tolist() == [[0, 0, 9]]


def test_the_distance_to_a_tube_is_that_to_its_wall() -> None:
    x, none = np.array([5.0], dtype=np.float32), np.zeros(1, dtype=np.float32)
    chain = Tubes.along([(0, 0, -9), (0, 0, 0), (0, 9, 0)], (2.0, 1.0))
    assert tube_distance(chain, x, none, none).item() == pytest.approx(3.0)
