"""SynDiff's four-step sampling against the published one: every state and every prediction, with its own noise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from syndiff_bundle.networks import DiffusiveTranslators
from torch import Tensor, nn
from torch.testing import assert_close

from tests.parity.fill import fill_keys
from tests.parity.published_names import ncsnpp_key_map
from transmodal.checkpoints import match
from transmodal.inferers import DDGANInferer, SliceWiseInferer
from transmodal.networks.nets import NCSNpp
from transmodal.schedulers import DDGANScheduler

ATTENTION = (False, False, True)
STEPS, SLICES = 4, 2


class PublishedNoise:
    """What the published loop drew, in its order: x_T, then z and the noise of the posterior at each step."""

    def __init__(self, golden: dict[str, Tensor], rows: Sequence[int]) -> None:
        draws = [golden["x_T"]]
        for z, noise in zip(golden["z"], golden["noise"], strict=True):
            draws += [z, noise]
        self.draws = [draw[list(rows)] for draw in draws]

    def normal(self, *shape: int) -> Tensor:
        return self.draws.pop(0)


class PublishedSampling(DDGANInferer):
    """The inferer with that noise; slices are numbered as the reference's rows."""

    golden: dict[str, Tensor]

    def noise(self, sample: int, numbers: Sequence[int], device: torch.device) -> PublishedNoise:
        return PublishedNoise(self.golden, numbers)


class Recording(nn.Module):
    """A network, and all it was given and gave back."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.noisy: list[Tensor] = []
        self.x0_pred: list[Tensor] = []

    def forward(self, **arguments: Any) -> Tensor:
        self.noisy.append(arguments["noisy"])
        self.x0_pred.append(self.network(**arguments))
        return self.x0_pred[-1]


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Tensor]:
    arrays = np.load(shared / "goldens/syndiff/sampling_small_golden.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


@pytest.fixture(scope="module")
def generator(shared: Path) -> DiffusiveTranslators:
    torch.set_num_threads(1)
    generator = NCSNpp(channels=16, channel_mult=(1, 2, 4), attention=ATTENTION, latent_dim=24, style_dim=32)
    keys = json.loads((shared / "goldens/syndiff/ncsnpp_small_64x64_keys.json").read_text())
    state, _ = match(fill_keys(keys), generator.state_dict(), ncsnpp_key_map(ATTENTION), where="ncsnpp_small_64x64")
    generator.load_state_dict(state)
    return DiffusiveTranslators(first=generator, second=nn.Identity(), latent_dim=24).eval()


@pytest.fixture(scope="module")
def inferer(golden: dict[str, Tensor]) -> PublishedSampling:
    inferer = PublishedSampling(DDGANScheduler(num_timesteps=STEPS), target="ct", latent_dim=24)
    inferer.golden = golden
    return inferer


def test_every_state_and_prediction_of_the_chain(
    golden: dict[str, Tensor], generator: DiffusiveTranslators, inferer: PublishedSampling
) -> None:
    network = Recording(generator)
    result = inferer(golden["source"], network)
    states = torch.stack([*network.noisy[1:], result])  # each step's x_t is what the next one gets
    assert_close(torch.stack(network.x0_pred), golden["x0_pred"], rtol=0, atol=1e-5)
    assert_close(states, golden["x_traj"], rtol=0, atol=1e-5)
    assert_close(result, golden["y"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, SLICES])
def test_slices_of_a_volume_are_sampled_as_published(
    golden: dict[str, Tensor], generator: DiffusiveTranslators, inferer: PublishedSampling, batch_size: int
) -> None:
    volume = golden["source"].movedim(0, -1)[None]
    translated = SliceWiseInferer(inferer, axis=2, batch_size=batch_size)(volume, generator)
    assert_close(translated[0].movedim(-1, 0), golden["y"], rtol=0, atol=1e-5)
