"""Layers of tissue and what is derived from them."""

from __future__ import annotations

import numpy as np
import pytest

from transmodal.errors import InputError
from transmodal.phantom import Chest, Head, Region, Thigh, Tissue, Trunk
from transmodal.phantom.anatomy import Anatomy, Layers
from transmodal.phantom.grid import Array, Grid

GRID = Grid((2, 2, 2), (1.0, 1.0, 1.0))


def filled(fraction: float) -> Array:
    return np.full(GRID.shape, fraction, dtype=np.float32)


def layered(*painted: tuple[Tissue, float]) -> Anatomy:
    layers = Layers(GRID)
    for tissue, fraction in painted:
        layers.paint(tissue, filled(fraction))
    return Anatomy(GRID, layers.fractions(), body=filled(1))


def test_what_is_painted_later_hides_what_is_below_in_proportion() -> None:
    fractions = layered((Tissue.FAT, 1.0), (Tissue.MUSCLE, 0.25)).fractions
    assert np.allclose(fractions[Tissue.FAT], 0.75)
    assert np.allclose(fractions[Tissue.MUSCLE], 0.25)


def test_air_fills_what_nothing_covers() -> None:
    assert np.allclose(layered((Tissue.FAT, 0.3)).fractions[Tissue.AIR], 0.7)


def test_the_label_is_the_tissue_that_fills_most() -> None:
    assert (layered((Tissue.FAT, 1.0), (Tissue.MUSCLE, 0.6)).labels() == Tissue.MUSCLE).all()


def test_a_lesion_may_consist_of_several_tissues() -> None:
    assert layered((Tissue.FAT, 1.0), (Tissue.LESION, 0.3), (Tissue.NECROSIS, 0.3)).lesion().all()
    assert not layered((Tissue.FAT, 1.0), (Tissue.LESION, 0.3)).lesion().any()


@pytest.mark.parametrize("kind", [Thigh, Trunk, Head, Chest])
@pytest.mark.parametrize("value", [-0.1, 1.5, "0.5", True, float("nan")])
def test_a_probability_is_a_number_from_0_to_1(kind: type[Region], value: float) -> None:
    with pytest.raises(InputError, match=r"phantom \w+_probability: found .*; wanted a number from 0 to 1"):
        kind(value)  # type: ignore[call-arg]


@pytest.mark.parametrize("region", [Thigh(1.0), Trunk(1.0), Head(1.0), Chest(1.0)], ids=lambda r: type(r).__name__)
def test_fractions_of_every_region_add_up_to_one(region: Region) -> None:
    grid = Grid((24, 24, 8), tuple(extent / n for extent, n in zip(region.field_of_view, (24, 24, 8), strict=True)))
    fractions = region.draw(grid, np.random.default_rng(0)).fractions.values()
    np.testing.assert_allclose(sum(fractions), 1, atol=1e-4)
    assert all(fraction.min() > -1e-5 and fraction.dtype == np.float32 for fraction in fractions)
