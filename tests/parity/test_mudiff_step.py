"""One MU-Diff training iteration against the published implementation: losses, gradients, and what the step changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events
from mudiff_bundle.networks import ContrastAwareDenoiser, ContrastSpecificDenoiser
from mudiff_bundle.objective import MUDiffObjective
from mudiff_bundle.weighting import FrozenProjection
from torch import Tensor, nn
from torch.testing import assert_close

from tests.parity.fill import fill, fill_keys
from tests.parity.published_names import aware_names, specific_names
from tests.parity.time_critic import TIME
from transmodal.checkpoints import KeyMap, match
from transmodal.engines import CRITICS, AlternatingTrainer, Phase
from transmodal.engines.phases import Batch
from transmodal.networks.nets import TimeDiscriminator
from transmodal.published import TRANSPOSED
from transmodal.schedulers import DDGANScheduler

ATTENTION = (False, False, True)
WIDTHS = {"channels": 16, "attention": ATTENTION, "latent_dim": 100, "style_dim": 32}
SPECIFIC = KeyMap(specific_names(attention=ATTENTION), transposed=TRANSPOSED)
AWARE = KeyMap(aware_names(attention=ATTENTION), transposed=TRANSPOSED)
SOURCES, TARGET = ("c1", "c2", "c3"), "x0"


class Recorded:
    """The random numbers of one turn in the order in which the reference drew them."""

    def __init__(self, timesteps: Tensor, normals: Iterator[Tensor]) -> None:
        self.timesteps, self.normals = timesteps, normals

    def normal(self, *shape: int) -> Tensor:
        values = next(self.normals)
        assert tuple(values.shape[1:]) == shape
        return values

    def integers(self, high: int) -> Tensor:
        assert high == 4
        return self.timesteps


class Step:
    """Three small networks through exactly the iteration of the reference."""

    def __init__(self, shared: Path) -> None:
        goldens = shared / "goldens/mudiff"
        self.golden = json.loads((goldens / "train_step_golden.json").read_text())
        self.arrays = {k: torch.from_numpy(v) for k, v in np.load(goldens / "train_step_golden.npz").items()}
        specific = filled(ContrastSpecificDenoiser(**WIDTHS), goldens / "gen1_config.json", SPECIFIC)
        aware = filled(ContrastAwareDenoiser(**WIDTHS), goldens / "gen2_config.json", AWARE)
        critic = filled(TimeDiscriminator(channels=16), goldens / "disc_config.json", TIME)
        self.networks = {"specific": specific, "aware": aware, "critic": critic}
        self.objective = MUDiffObjective(
            **self.networks, scheduler=DDGANScheduler(num_timesteps=4), weighting=projection(), draws=self.draws
        )
        self.batch = {"image": torch.cat([self.arrays[name] for name in SOURCES], 1), "label": self.arrays[TARGET]}

    def run(self) -> Step:
        adam = {"betas": (0.5, 0.9)}
        generators = [*self.networks["specific"].parameters(), *self.networks["aware"].parameters()]
        trainer = AlternatingTrainer(
            device="cpu",
            max_epochs=1,
            train_data_loader=[self.batch],
            phases=[
                Phase(
                    name="critic",
                    terms=self.objective.discriminator_terms,
                    optimizer=torch.optim.Adam(self.networks["critic"].parameters(), lr=1e-4, **adam),
                ),
                Phase(
                    name="denoisers",
                    terms=self.objective.generator_terms,
                    optimizer=torch.optim.Adam(generators, lr=1.6e-4, **adam),
                ),
            ],
        )
        losses: dict[str, float] = {}
        trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: losses.update(engine.state.output))
        trainer.run()
        self.losses = losses
        return self

    def draws(self, batch: Batch, turn: int) -> Recorded:
        """``noise_order`` and ``inputs`` of the reference say which seed is which."""
        prefix, first, latent = ("D", 1070, 1080) if turn == CRITICS else ("G", 1074, 1081)
        image = tuple(self.arrays[TARGET].shape)
        noises = [normal(seed, image) for seed in range(first, first + 4)]
        noises.insert(2, normal(latent, (2, 100)))
        return Recorded(self.arrays[f"{prefix}_t"], iter(noises))


def normal(seed: int, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


def filled(network: nn.Module, keys: Path, key_map: KeyMap) -> nn.Module:
    state = fill_keys(json.loads(keys.read_text())["keys"])
    network.load_state_dict(match(state, network.state_dict(), key_map, where=keys)[0])
    return network


def projection() -> FrozenProjection:
    """Ours with the reference's weights, filled as `att_conv`."""
    weighting = FrozenProjection(channels=128)
    weighting.projection.load_state_dict(fill(weighting.projection.state_dict(), prefix="att_conv."))
    return weighting


def gradient_norm(network: nn.Module) -> float:
    return float(torch.cat([p.grad.flatten().double() for p in network.parameters() if p.grad is not None]).norm())


@pytest.fixture(scope="module")
def step(shared: Path) -> Step:
    torch.set_num_threads(1)
    return Step(shared).run()


@pytest.mark.parametrize(
    ("term", "published", "weight"),
    [
        ("critic/real", ["errD_real"], 1.0),
        ("critic/fake", ["errD_fake_g1", "errD_fake_g2"], 1.0),
        ("denoisers/adversarial", ["errG_adv"], 1.0),
        ("denoisers/l1", ["errG_L1_g1", "errG_L1_g2"], 0.5),
        ("denoisers/mutual", ["mask_loss_1", "mask_loss_2"], 0.1),
    ],
)
def test_terms(step: Step, term: str, published: list[str], weight: float) -> None:
    """The reference records them before their weight λ."""
    expected = weight * sum(step.golden[name] for name in published)
    assert step.losses[term] == pytest.approx(expected, rel=1e-6)


def test_the_penalty(step: Step) -> None:
    assert step.losses["critic/r1"] == pytest.approx(step.golden["r1_term"], rel=1e-5)


def test_the_denoisers_minimise_the_sum(step: Step) -> None:
    total = sum(value for name, value in step.losses.items() if name.startswith("denoisers/"))
    assert total == pytest.approx(step.golden["errG_total"], rel=1e-6)


@pytest.mark.parametrize(
    ("network", "published"),
    [("critic", "D_gradnorm_total"), ("specific", "G1_gradnorm"), ("aware", "G2_gradnorm")],
)
def test_gradient_norms(step: Step, network: str, published: str) -> None:
    assert gradient_norm(step.networks[network]) == pytest.approx(step.golden[published], rel=2e-6)


@pytest.mark.parametrize(("network", "published"), [("specific", "g1"), ("aware", "g2")])
def test_gradient_norms_of_single_weights(step: Step, network: str, published: str) -> None:
    key_map = {"specific": SPECIFIC, "aware": AWARE}[network]
    expected = step.golden["grad_samples"][published]
    assert len(expected) > 10
    for key, norm in expected.items():
        gradient = step.networks[network].get_parameter(key_map.name(key)).grad
        assert gradient is not None
        assert float(gradient.norm()) == pytest.approx(norm, rel=1e-5), key


def test_every_weight_of_both_denoisers_is_trained(step: Step) -> None:
    assert step.golden["no_grad_params_g1"] == step.golden["no_grad_params_g2"] == []
    for network in ("specific", "aware"):
        assert all(p.grad is not None for p in step.networks[network].parameters())


@pytest.mark.parametrize(("network", "published"), [("specific", "g1"), ("aware", "g2"), ("critic", "disc")])
def test_the_size_of_the_weights_after_the_step(step: Step, network: str, published: str) -> None:
    size = sum(float(p.detach().double().abs().sum()) for p in step.networks[network].parameters())
    assert size == pytest.approx(step.golden["abs_param_sum_after"][published], rel=1e-8)


@torch.no_grad()
def test_predictions_after_the_step(step: Step) -> None:
    """Adam's first step has the sign of each gradient, also where that is nothing but rounding."""
    given = (step.arrays["G_x_tp1"], step.batch["image"], step.arrays["G_t"], step.arrays["G_z"])
    first = step.networks["specific"](*given)
    second = step.networks["aware"](*given, first)
    assert_close(first, step.arrays["after_x0_g1"], rtol=0, atol=1e-4)
    assert_close(second, step.arrays["after_x0_g2"], rtol=0, atol=1e-4)
    assert (first - step.arrays["G_x0_g1"]).abs().max() > 0.05  # so far has the step moved it


def test_what_the_critic_and_the_weighting_see_in_the_denoisers_turn(shared: Path) -> None:
    """The critic of this turn has stepped already; its features barely differ."""
    step = Step(shared)
    seen: dict[str, list[Any]] = {"critic": [], "maps": []}
    step.networks["critic"].register_forward_hook(lambda module, given, made: seen["critic"].append(given))
    step.objective.weighting.register_forward_hook(lambda module, given, made: seen["maps"].append(made))
    step.run()
    real, *_, first, second = seen["critic"]
    for given, name, prefix in ((real, "D_x_t", "D"), (first, "G_xpos_g1", "G"), (second, "G_xpos_g2", "G")):
        x_t, timesteps, x_next = given
        assert_close(x_t.detach(), step.arrays[name], rtol=0, atol=1e-5)
        assert torch.equal(timesteps, step.arrays[f"{prefix}_t"])
        assert_close(x_next, step.arrays[f"{prefix}_x_tp1"], rtol=0, atol=1e-6)
    for found, name in zip(seen["maps"][0], ("att_map_g1", "att_map_g2"), strict=True):
        assert_close(found.detach(), step.arrays[name], rtol=0, atol=1e-5)


def test_the_gradient_of_each_term_of_the_critic(shared: Path) -> None:
    """The reference went backwards after each."""
    step = Step(shared)
    terms = step.objective.discriminator_terms(step.batch)
    for term, published in (
        ("real", "D_gradnorm_after_real"),
        ("r1", "D_gradnorm_after_r1"),
        ("fake", "D_gradnorm_total"),
    ):
        terms[term].backward(retain_graph=True)
        assert gradient_norm(step.networks["critic"]) == pytest.approx(step.golden[published], rel=2e-6)
