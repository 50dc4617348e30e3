"""Sizes of latents."""

from __future__ import annotations

import pytest
from xray2ctpa_bundle.latent_size import latent_size_of

from transmodal.errors import InputError


def test_every_axis_is_divided_by_its_own_factor() -> None:
    assert latent_size_of((64, 256, 128), (1, 8, 4)) == (64, 32, 32)


@pytest.mark.parametrize("size", [(64, 256), (64, 250, 256), (0, 256, 256)])
def test_a_size_that_is_not_divisible_is_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"size of a volume for the autoencoder: found .* voxels; wanted .* 1, 8, 8"):
        latent_size_of(size, (1, 8, 8))
