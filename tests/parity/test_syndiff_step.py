"""Two SynDiff training iterations against the published implementation: every loss, gradient norm and update norm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.networks.nets import PatchDiscriminator
from syndiff_bundle.objective import Contrast, SynDiffObjective
from syndiff_bundle.published import time_discriminator_names
from torch import Tensor, nn

from tests.parity.fill import fill_keys
from tests.parity.published_names import ncsnpp_key_map
from transmodal.checkpoints import KeyMap, match
from transmodal.engines import CRITICS, AlternatingTrainer, Phase
from transmodal.engines.phases import Batch
from transmodal.networks.nets import NCSNpp, ResNetGenerator, TimeDiscriminator
from transmodal.published import patch_discriminator_names, resnet_generator_names
from transmodal.schedulers import DDGANScheduler

NETWORKS = {
    "gen_diffusive_1": "G1",
    "gen_diffusive_2": "G2",
    "gen_non_diffusive_1to2": "G12",
    "gen_non_diffusive_2to1": "G21",
    "disc_diffusive_1": "D1",
    "disc_diffusive_2": "D2",
    "disc_non_diffusive_cycle1": "C1",
    "disc_non_diffusive_cycle2": "C2",
}
SCALED = ("gen_diffusive_2", "gen_non_diffusive_2to1", "disc_diffusive_2", "disc_non_diffusive_cycle2")
LOSSES = {
    "D_real": "critics/real",
    "D_fake": "critics/fake",
    "C_real": "critics/patch_real",
    "C_fake": "critics/patch_fake",
    "G_adv": "generators/adversarial",
    "G_cycle_adv": "generators/patch_adversarial",
}
WEIGHTED = {"G_cycle": "generators/cycle", "G_L1": "generators/l1"}
TOLERANCE = (1e-4, 1e-3)
"""Of the first and of the second iteration: Adam makes the second one sensitive to the smallest gradients."""


class Recorded:
    """The random numbers of one turn in the order in which the reference drew them."""

    def __init__(self, timesteps: Iterator[Tensor], normals: Iterator[Tensor]) -> None:
        self.timesteps, self.normals = timesteps, normals

    def normal(self, *shape: int) -> Tensor:
        values = next(self.normals)
        assert tuple(values.shape[1:]) == shape
        return values

    def integers(self, high: int) -> Tensor:
        return next(self.timesteps)


def recorded(config: dict, arrays: dict[str, Tensor], iteration: int, turn: int) -> Recorded:
    prefix = f"it{iteration}_{'D' if turn == CRITICS else 'G'}_"
    names = ["1_noise_xtp1", "1_noise_xt", "2_noise_xtp1", "2_noise_xt", "z1", "z2", "post1", "post2"]
    normals = []
    for name in names:
        seed, shape = config["noise"][prefix + name].removeprefix("rnd(").split(") shape ")
        values = np.random.RandomState(int(seed)).standard_normal(json.loads(shape)).astype(np.float32)
        normals.append(torch.from_numpy(values))
    return Recorded(iter([arrays[f"{prefix}t1"], arrays[f"{prefix}t2"]]), iter(normals))


class Steps:
    """Eight small networks through exactly the two iterations of the reference."""

    def __init__(self, shared: Path) -> None:
        goldens = shared / "goldens/syndiff"
        self.config = json.loads((goldens / "train_step_small_config.json").read_text())
        self.arrays = {k: torch.from_numpy(v) for k, v in np.load(goldens / "train_step_small_golden.npz").items()}
        self.networks = {name: self.filled(goldens, name) for name in NETWORKS}
        n = self.networks
        objective = SynDiffObjective(
            first=Contrast(
                generator=n["gen_diffusive_1"],
                estimator=n["gen_non_diffusive_2to1"],
                critic=n["disc_diffusive_1"],
                patch_critic=n["disc_non_diffusive_cycle1"],
            ),
            second=Contrast(
                generator=n["gen_diffusive_2"],
                estimator=n["gen_non_diffusive_1to2"],
                critic=n["disc_diffusive_2"],
                patch_critic=n["disc_non_diffusive_cycle2"],
            ),
            scheduler=DDGANScheduler(num_timesteps=4),
            latent_dim=24,
            draws=self.draws,
        )
        adam = {"betas": (0.5, 0.9)}
        generators = torch.optim.Adam(self.parameters("gen_"), lr=1.6e-4, **adam)
        critics = torch.optim.Adam(self.parameters("disc_"), lr=1e-4, **adam)
        batch = {"image": self.arrays["x1"], "label": self.arrays["x2"]}
        trainer = AlternatingTrainer(
            device="cpu",
            max_epochs=1,
            train_data_loader=[batch, batch],
            phases=[
                Phase(name="critics", terms=objective.discriminator_terms, optimizer=critics),
                Phase(name="generators", terms=objective.generator_terms, optimizer=generators),
            ],
            train_handlers=[self],
        )
        self.losses: list[dict[str, float]] = []
        self.gradients: list[dict[str, float]] = []
        self.updates: list[dict[str, float]] = []
        self.iteration = 0
        trainer.run()

    def attach(self, engine: AlternatingTrainer) -> None:
        engine.add_event_handler(Events.ITERATION_STARTED, self.begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.end)

    def begin(self, engine: AlternatingTrainer) -> None:
        self.before = {name: flat(network) for name, network in self.networks.items()}

    def end(self, engine: AlternatingTrainer) -> None:
        self.losses.append(dict(engine.state.output))
        self.gradients.append(
            {
                name: float(torch.cat([p.grad.flatten() for p in network.parameters()]).norm())
                for name, network in self.networks.items()
            }
        )
        after = {name: flat(network) for name, network in self.networks.items()}
        self.updates.append({name: float((after[name] - self.before[name]).norm()) for name in after})
        self.iteration += 1

    def draws(self, batch: Batch, turn: int) -> Recorded:
        return recorded(self.config, self.arrays, self.iteration, turn)

    def parameters(self, kind: str) -> list[nn.Parameter]:
        return [p for name, network in self.networks.items() if name.startswith(kind) for p in network.parameters()]

    def filled(self, goldens: Path, name: str) -> nn.Module:
        network, keys, key_map = small_network(name)
        state = fill_keys(json.loads((goldens / f"{keys}_keys.json").read_text()))
        if name in SCALED:
            state = {key: 0.9 * value for key, value in state.items()}
        network.load_state_dict(match(state, network.state_dict(), key_map, where=name)[0])
        return network


def small_network(name: str) -> tuple[nn.Module, str, KeyMap]:
    """The network behind a published name, its key list and its key map."""
    if name.startswith("gen_diffusive"):
        levels = {"channel_mult": (1, 2, 4), "num_res_blocks": 2, "attention": (False, False, True)}
        network = NCSNpp(channels=16, latent_dim=24, style_dim=32, **levels)
        return network, "ncsnpp_small_64x64", ncsnpp_key_map((False, False, True))
    if name.startswith("gen_non_diffusive"):
        return ResNetGenerator(channels=8, num_blocks=6), "resnet_gen_small", KeyMap(resnet_generator_names(6))
    if name.startswith("disc_diffusive"):
        return TimeDiscriminator(channels=8, time_dim=32), "disc_diffusive_small", KeyMap(time_discriminator_names())
    critic = {"spatial_dims": 2, "channels": 8, "in_channels": 1, "num_layers_d": 3, "bias": True}
    network = PatchDiscriminator(**critic, norm=("INSTANCE", {"affine": False}))
    return network, "disc_nondiffusive_small", KeyMap(patch_discriminator_names())


def flat(network: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


@pytest.fixture(scope="module")
def steps(shared: Path) -> Steps:
    torch.set_num_threads(1)
    return Steps(shared)


@pytest.mark.parametrize("iteration", [0, 1])
@pytest.mark.parametrize("published", LOSSES)
def test_losses(steps: Steps, published: str, iteration: int) -> None:
    expected = float(steps.arrays[f"rec_{published}"][iteration])
    assert steps.losses[iteration][LOSSES[published]] == pytest.approx(expected, rel=TOLERANCE[iteration])


@pytest.mark.parametrize("iteration", [0, 1])
@pytest.mark.parametrize("published", WEIGHTED)
def test_weighted_losses(steps: Steps, published: str, iteration: int) -> None:
    """The reference records them before the weight λ of 0.5."""
    expected = 0.5 * float(steps.arrays[f"rec_{published}"][iteration])
    assert steps.losses[iteration][WEIGHTED[published]] == pytest.approx(expected, rel=TOLERANCE[iteration])


def test_the_penalty_comes_in_the_first_iteration_only(steps: Steps) -> None:
    assert steps.losses[0]["critics/r1"] == pytest.approx(float(steps.arrays["rec_D_r1"][0]), rel=1e-4)
    assert "critics/r1" not in steps.losses[1]
    assert torch.isnan(steps.arrays["rec_D_r1"][1])


@pytest.mark.parametrize("iteration", [0, 1])
def test_the_generators_minimise_the_sum(steps: Steps, iteration: int) -> None:
    total = sum(value for name, value in steps.losses[iteration].items() if name.startswith("generators/"))
    assert total == pytest.approx(float(steps.arrays["rec_G_total"][iteration]), rel=TOLERANCE[iteration])


@pytest.mark.parametrize("iteration", [0, 1])
@pytest.mark.parametrize("network", NETWORKS)
def test_gradient_norms(steps: Steps, network: str, iteration: int) -> None:
    expected = float(steps.arrays[f"rec_gn_{NETWORKS[network]}"][iteration])
    assert steps.gradients[iteration][network] == pytest.approx(expected, rel=TOLERANCE[iteration])


@pytest.mark.parametrize("iteration", [0, 1])
@pytest.mark.parametrize("network", NETWORKS)
def test_update_norms(steps: Steps, network: str, iteration: int) -> None:
    """Adam's first step has the sign of each gradient, also where that is nothing but rounding: hence 1e-3 for both."""
    expected = float(steps.arrays[f"rec_delta_l2_{network}"][iteration])
    assert steps.updates[iteration][network] == pytest.approx(expected, rel=1e-3)
