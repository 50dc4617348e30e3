"""The network of SynDiff's inference: which generator makes what, and what it is shown."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from syndiff_bundle.networks import DiffusiveTranslators
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.networks.nets import NCSNpp


class Generator(nn.Module):
    """Keeps what it was shown and returns a constant in two channels."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, image: Tensor, timesteps: Tensor, latent: Tensor) -> Tensor:
        self.shown = (image, timesteps, latent)
        prediction = torch.full_like(image, self.value)
        prediction[:, 1] = 9
        return prediction


@pytest.fixture
def translators() -> DiffusiveTranslators:
    return DiffusiveTranslators(Generator(0.1), Generator(0.2), contrasts=("ct", "mr"), latent_dim=3)


@pytest.mark.parametrize(("target", "value"), [("ct", 0.1), ("mr", 0.2)])
def test_each_generator_makes_its_contrast_in_channel_0(
    translators: DiffusiveTranslators, target: str, value: float
) -> None:
    assert_close(translators(torch.zeros(2, 1, 4, 6), target=target), torch.full((2, 1, 4, 6), value))


def test_other_contrasts_have_other_names() -> None:
    translators = DiffusiveTranslators(Generator(0.1), Generator(0.2), contrasts=("t1", "t2"), latent_dim=3)
    assert_close(translators(torch.zeros(1, 1, 4, 4), target="t2"), torch.full((1, 1, 4, 4), 0.2))


def test_a_generator_sees_noisy_target_then_source(translators: DiffusiveTranslators) -> None:
    source, noisy, latent = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4), torch.rand(2, 3)
    translators(source, noisy, torch.tensor([0, 2]), latent, target="mr")
    shown = translators.second.shown
    assert_close(shown[0], torch.cat([noisy, source], dim=1))
    assert shown[1].tolist() == [0, 2]
    assert_close(shown[2], latent)


def test_the_source_alone_is_the_first_step_without_randomness(translators: DiffusiveTranslators) -> None:
    source = torch.rand(2, 1, 4, 4)
    translators(source)
    image, timesteps, latent = translators.first.shown
    assert_close(image, torch.cat([torch.zeros_like(source), source], dim=1))
    assert timesteps.tolist() == [3, 3]
    assert_close(latent, torch.zeros(2, 3))


def test_an_unknown_target_is_refused(translators: DiffusiveTranslators) -> None:
    with pytest.raises(ValueError, match="found target 'pet'; wanted 'ct' or 'mr'"):
        translators(torch.zeros(1, 1, 4, 4), target="pet")


@pytest.mark.parametrize("contrasts", [("mr", "mr"), ("ct",), ("ct", "mr", "t1"), "ct", ("ct", ""), ("ct", 1)])
def test_contrasts_that_are_not_two_different_names_are_refused(contrasts: Any) -> None:
    with pytest.raises(InputError, match=r"DiffusiveTranslators, contrasts: found .*; wanted two different names"):
        DiffusiveTranslators(Generator(0.1), Generator(0.2), contrasts=contrasts)


def test_the_network_compiles_to_torchscript() -> None:
    small = {"channels": 8, "channel_mult": (1, 2), "attention": (False, True), "latent_dim": 4, "style_dim": 8}
    network = DiffusiveTranslators(NCSNpp(**small), NCSNpp(**small), latent_dim=4).eval()
    scripted = torch.jit.script(network)
    source = torch.rand(1, 1, 16, 20)
    assert_close(scripted(source, target="mr"), network(source, target="mr"))
