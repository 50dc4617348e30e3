"""Which network a published checkpoint belongs to, and which files are refused."""

from __future__ import annotations

import pytest
import torch
from embolism_bundle.published import recognise
from torch import Tensor

from transmodal.checkpoints import match
from transmodal.errors import InputError
from transmodal.networks.nets import VolumeDenseNet121

SIZES = {"init_features": 4, "growth_rate": 3, "block_config": [2, 1]}


def published(prefix: str = "base_model.", channels: int = 4, logits: int = 1) -> dict[str, Tensor]:
    """A small network under the names of the published one."""
    state = VolumeDenseNet121(in_channels=channels, out_channels=logits, **SIZES).state_dict()
    renamed = {key.replace(".layers.", ".").replace("class_layers.out", "classifier"): state[key] for key in state}
    return {prefix + key: value for key, value in renamed.items()}


@pytest.mark.parametrize("prefix", ["base_model.", ""])
def test_widths_and_blocks_are_read_off_the_tensors(prefix: str) -> None:
    found = recognise(published(prefix), "model.pth.tar")
    assert {key: found.settings[key] for key in SIZES} == SIZES
    assert (found.settings["in_channels"], found.settings["first_stride"]) == (4, [1, 2, 2])
    assert found.title == "3D DenseNet of blocks of 2, 1 layers on 4 channels"


def test_the_definition_makes_a_network_that_takes_every_tensor() -> None:
    state = published()
    found = recognise(state, "model.pth.tar")
    settings = {key: value for key, value in found.definition.items() if key != "_target_"}
    network = VolumeDenseNet121(**settings)
    loaded, _ = match(state, network.state_dict(), found.key_map, where="model.pth.tar")
    network.load_state_dict(loaded)
    torch.testing.assert_close(network.class_layers.out.weight, state["base_model.classifier.weight"])


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"conv.weight": torch.zeros(1)}, "keys such as conv.weight"),
        (published(logits=2), "a DenseNet with 2 logits, as a fork"),
        (published() | {"base_model.features.conv0.weight": torch.zeros(4, 4, 7, 7)}, "a DenseNet of 2 dimensions"),
    ],
)
def test_another_network_is_refused(state: dict[str, Tensor], told: str) -> None:
    with pytest.raises(InputError, match=f"found {told}"):
        recognise(state, "model.pth.tar")
