"""Names of the published denoiser: each of ours once, whatever the levels, and which layers are adapted."""

from __future__ import annotations

import pytest
import torch
from xray2ctpa_bundle.lora import linear_layers
from xray2ctpa_bundle.published_names import adapted_layers, unet_names
from xray2ctpa_bundle.unet3d import FactorisedUNet

from tests.bundles.chest_xray_ctpa_translation.denoisers import FACTORISED


def network(num_levels: int) -> FactorisedUNet:
    with torch.device("meta"):
        return FactorisedUNet(**{**FACTORISED, "dim_mults": [2] * num_levels})


@pytest.mark.parametrize("num_levels", [1, 2, 5])
def test_every_tensor_of_the_network_has_one_published_name(num_levels: int) -> None:
    names = unet_names(num_levels)
    assert len(set(names.values())) == len(names)
    modules = set(names.values())
    for key in network(num_levels).state_dict():
        assert key in modules or key.rpartition(".")[0] in modules, key


@pytest.mark.parametrize("num_levels", [1, 2, 5])
def test_every_layer_that_is_adapted_has_its_place_in_published_files(num_levels: int) -> None:
    names = adapted_layers(num_levels)
    assert len(set(names)) == len(names)
    assert set(names) == set(linear_layers(network(num_levels)))


def test_on_the_way_up_the_published_numbers_run_from_the_coarsest_level() -> None:
    names = unet_names(4)
    assert names["ups.0.4"] == "up.3.step"
    assert names["downs.0.4"] == "down.0.step"
