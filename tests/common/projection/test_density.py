"""From Hounsfield units to density."""

from __future__ import annotations

import torch

from transmodal.projection import attenuation, published_density


def test_water_attenuates_like_water_and_air_not_at_all() -> None:
    found = attenuation(torch.tensor([-3024.0, -1000.0, -500.0, 0.0, 1000.0]))
    assert found.tolist() == [0, 0, 0.5, 1, 2]


def test_the_published_rule_empties_lungs_and_scales_each_volume_by_its_extremes() -> None:
    hu = torch.tensor([[-1000.0, -800.0, -100.0, 0.0, 300.0], [-900.0, -850.0, -300.0, 0.0, -200.0]])
    found = published_density(hu.reshape(2, 1, 5, 1, 1)).reshape(2, 5)
    torch.testing.assert_close(found, torch.tensor([[0, 0, 0, 0.25, 1.0], [0, 0, 0, 1.0, 1 / 3]]))


def test_a_volume_without_tissue_has_no_density() -> None:
    assert not published_density(torch.full((1, 1, 2, 2, 2), -1000.0)).any()
