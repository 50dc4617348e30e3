"""Windows and differences as a viewer shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from webpage.display import difference, read_volume, units_of, window_of, write_volume

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


def test_ct_begins_with_soft_tissue_whatever_its_values() -> None:
    assert window_of(np.array([-1000.0, 3000.0]), "ct") == (-160.0, 240.0)


def test_mr_begins_with_the_range_inside_the_mask() -> None:
    values = np.concatenate([np.zeros(1000), np.linspace(100, 200, 1001)])
    low, high = window_of(values, "mr", (values > 0).astype(np.uint8))
    assert 100 <= low < 110
    assert 190 < high <= 200


def test_without_a_mask_the_background_does_not_count() -> None:
    values = np.concatenate([np.zeros(10_000), np.linspace(100, 200, 1001)])
    assert window_of(values, "mr")[0] >= 100


def test_a_window_is_never_empty() -> None:
    low, high = window_of(np.full(10, 7.0), "mr")
    assert low < high


def test_a_difference_is_that_of_what_is_shown() -> None:
    source, translation = np.array([0.0, 50.0, 100.0, 500.0]), np.array([-160.0, 240.0, 40.0, -1000.0])
    apart = difference(source, translation, ((0.0, 100.0), (-160.0, 240.0)), np.array([1, 1, 1, 0]))
    np.testing.assert_allclose(apart, [0, 50, -50, 0])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([[[-1024.0, 3000.0]]], np.float32), np.int16),
        (np.array([[[0.5, 3.0]]], np.float32), np.float32),
        (np.array([[[0.0, 40000.0]]], np.float32), np.float32),
        (np.array([[[0, 1]]], np.uint8), np.int16),
    ],
)
def test_volumes_are_written_without_loss(tmp_path: Path, values: np.ndarray, kind: type) -> None:
    read, affine = read_volume(write_volume(tmp_path / "a.nii.gz", values, AFFINE))
    assert read.dtype == kind
    np.testing.assert_array_equal(read, values)
    np.testing.assert_array_equal(affine, AFFINE)


def test_units_are_those_of_the_modality() -> None:
    assert (units_of("ct"), units_of("t1"), units_of(None)) == ("HU", "a.u.", "")
