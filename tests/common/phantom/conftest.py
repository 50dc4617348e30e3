"""Small phantoms, each drawn once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from monai.data import MetaTensor

from transmodal.phantom import Region, make_case

Case = dict[str, MetaTensor]
SHAPE = (64, 64, 24)


@pytest.fixture(scope="session")
def small_case() -> Callable[..., Case]:
    """``small_case(region, seed, *modalities)``, on 64 x 64 x 24 voxels over the whole region."""

    @cache
    def draw(region: Region, seed: int, *modalities: str) -> Case:
        return make_case(region, seed, shape=SHAPE, modalities=modalities)

    return draw
