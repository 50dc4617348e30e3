"""The table of tissues."""

from __future__ import annotations

import pytest

from transmodal.phantom import PROPERTIES, Tissue

# Ranges of CT numbers from radiology textbooks, HU.
RANGES = {
    Tissue.AIR: (-1000, -1000),
    Tissue.GAS: (-1000, -950),
    Tissue.LUNG: (-900, -700),
    Tissue.FAT: (-120, -80),
    Tissue.CSF: (0, 15),
    Tissue.WHITE_MATTER: (20, 32),
    Tissue.GREY_MATTER: (33, 45),
    Tissue.MUSCLE: (40, 65),
    Tissue.BLOOD: (35, 60),
    Tissue.TRABECULAR_BONE: (100, 300),
    Tissue.OPACIFIED_BLOOD: (250, 450),
    Tissue.CORTICAL_BONE: (1000, 1700),
}


def test_every_tissue_has_properties() -> None:
    assert set(PROPERTIES) == set(Tissue)


@pytest.mark.parametrize(("tissue", "bounds"), RANGES.items(), ids=lambda value: getattr(value, "name", ""))
def test_ct_numbers_lie_in_the_textbook_range(tissue: Tissue, bounds: tuple[float, float]) -> None:
    assert bounds[0] <= PROPERTIES[tissue].hu <= bounds[1]


def test_relaxation_is_possible() -> None:
    assert all(0 < properties.t2 <= properties.t1 for properties in PROPERTIES.values())
