"""The radiograph of a CT on the scale of given ones, and of a CT that absorbs nothing."""

from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor
from torch.testing import assert_close
from xray2ctpa_bundle.projected import WindowedAttenuation, projected

from transmodal.errors import InputError
from transmodal.projection import ConeBeam, TrilinearProjector, attenuation, published_density
from transmodal.transforms import RadiographScale, radiograph_of

PROJECTOR = TrilinearProjector(ConeBeam.covering(384, pixels=8), step=16.0)
AFFINE = torch.diag(torch.tensor([24.0, 24.0, 24.0, 1.0], dtype=torch.float64))
SCALE = RadiographScale()


def volume() -> torch.Tensor:
    return torch.rand((1, 12, 16, 16), generator=torch.Generator().manual_seed(0)) * 1000 - 500


def test_it_is_the_projection_on_the_scale_of_radiographs() -> None:
    for density in ({}, {"density": published_density}):
        picture = radiograph_of(MetaTensor(volume(), affine=AFFINE), PROJECTOR, **density)
        assert_close(projected(volume(), AFFINE, PROJECTOR, SCALE, **density), SCALE.scale(picture.as_tensor()))


def test_a_ct_that_absorbs_nothing_is_black() -> None:
    air = torch.full((1, 12, 16, 16), -1000.0)
    assert_close(projected(air, AFFINE, PROJECTOR, SCALE), torch.full((1, 8, 8), -1.0))


def test_with_a_window_from_air_up_attenuation_is_clipped_above_alone() -> None:
    hu = torch.tensor([-1024.0, -1000.0, -990.0, -500.0, 0.0, 600.0, 2000.0])
    assert_close(WindowedAttenuation([-1000, 600])(hu), attenuation(hu.clamp(max=600)))


def test_the_lowest_value_of_a_window_absorbs_nothing_and_tissue_all_it_should() -> None:
    hu = torch.tensor([-1000.0, -200.0, -175.0, -150.0, 0.0, 500.0, 900.0])
    assert_close(WindowedAttenuation([-200, 500])(hu), torch.tensor([0.0, 0.0, 0.825 - 0.4, 0.85, 1.0, 1.5, 1.5]))


@pytest.mark.parametrize("window", [[500, -200], [0], "-200,500"])
def test_a_window_that_is_none_is_refused(window: object) -> None:
    with pytest.raises(InputError, match="WindowedAttenuation, window"):
        WindowedAttenuation(window)  # type: ignore[arg-type]
