"""Smooth random fields in millimetres."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import default_rng

from transmodal.phantom.grid import Grid
from transmodal.phantom.noise import FoldNoise, SmoothNoise, smooth_noise

CUBE = Grid((48, 48, 48), (2.0, 2.0, 2.0))


def test_the_field_has_zero_mean_and_unit_variance() -> None:
    field = smooth_noise(default_rng(0), 4.0, CUBE)
    assert abs(field.mean()) < 0.05
    assert field.std() == pytest.approx(1.0, abs=0.1)


def test_the_same_place_has_the_same_value_on_every_grid() -> None:
    noise = SmoothNoise(default_rng(0), 7.0)
    fine = noise.on(Grid((9, 9, 9), (1.0, 1.0, 1.0)))
    coarse = noise.on(Grid((5, 5, 5), (2.0, 2.0, 2.0)))
    np.testing.assert_allclose(fine[::2, ::2, ::2], coarse, atol=1e-5)


def test_arbitrary_points_agree_with_the_grid() -> None:
    grid = Grid((5, 6, 7), (3.0, 2.0, 4.0))
    noise = SmoothNoise(default_rng(0), (5.0, 9.0, 6.0))
    np.testing.assert_allclose(noise.at(grid.x, grid.y, grid.z), noise.on(grid), atol=1e-4)


def test_the_field_is_smooth_below_its_scale() -> None:
    field = smooth_noise(default_rng(0), 20.0, CUBE)
    assert np.abs(np.diff(field, axis=0)).max() < 0.5  # 2 mm are a tenth of the scale


def test_zero_surfaces_of_folds_are_half_a_wavelength_apart() -> None:
    wavelength = 24.0
    folds = FoldNoise(default_rng(0), wavelength).at(np.linspace(-60, 60, 241)[:, None], np.linspace(-55, 55, 40), 0.0)
    crossings = np.count_nonzero(np.diff(np.sign(folds), axis=0), axis=0).mean()
    # A line crosses the zero surfaces of an isotropic random wave every sqrt(3) half wavelengths (Rice, 1945).
    assert 120 / crossings == pytest.approx(3**0.5 * wavelength / 2, rel=0.15)
