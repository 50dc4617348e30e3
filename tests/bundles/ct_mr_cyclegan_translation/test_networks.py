"""The two generators as one network: the direction is an argument, in Python and in TorchScript."""

from __future__ import annotations

import pytest
import torch
from cyclegan_bundle.networks import GreyImages, Translators
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.networks.nets import ResNetGenerator


class Shift(nn.Module):
    """Adds a constant, so that a result tells which network made it."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, image: Tensor) -> Tensor:
        return image + self.by


@pytest.fixture(params=[False, True], ids=["python", "scripted"])
def translators(request: pytest.FixtureRequest) -> nn.Module:
    network = Translators(ct=Shift(1.0), mr=Shift(-1.0))
    return torch.jit.script(network) if request.param else network


def test_the_target_chooses_the_generator_and_is_ct_by_default(translators: nn.Module) -> None:
    image = torch.zeros(1, 1, 2, 2)
    assert_close(translators(image), image + 1)
    assert_close(translators(image, target="ct"), image + 1)
    assert_close(translators(image, target="mr"), image - 1)


def test_an_unknown_target_is_refused(translators: nn.Module) -> None:
    with pytest.raises((ValueError, torch.jit.Error), match="found target 'pet'; wanted 'ct' or 'mr'"):
        translators(torch.zeros(1, 1, 2, 2), target="pet")


def test_one_state_dict_names_the_direction_first() -> None:
    network = Translators(ct=ResNetGenerator(channels=4, num_blocks=1), mr=ResNetGenerator(channels=4, num_blocks=1))
    assert {key.partition(".")[0] for key in network.state_dict()} == {"ct", "mr"}


@pytest.mark.parametrize("size", [(8, 12), (8, 12, 8)])
def test_grey_images_are_repeated_and_averaged(size: tuple[int, ...]) -> None:
    class PerChannel(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            assert image.shape[1] == 3
            return image * torch.tensor([1.0, 2.0, 6.0]).view(3, *[1] * len(size))

    image = torch.randn(2, 1, *size)
    assert_close(GreyImages(PerChannel(), channels=3)(image), 3 * image)


def test_generators_of_colour_script_too() -> None:
    colour = GreyImages(ResNetGenerator(in_channels=3, out_channels=3, channels=4, num_blocks=1))
    network, image = Translators(ct=colour, mr=colour).eval(), torch.randn(1, 1, 8, 8)
    assert_close(torch.jit.script(network)(image, "mr"), network(image, "mr"), rtol=0, atol=0)
