"""One StarGAN iteration against the published implementation: losses, gradients and the effect of both steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from stargan_bundle.networks import StarGANCritic, StarGANGenerator
from stargan_bundle.objective import StarGANObjective
from stargan_bundle.published import generator_names
from torch import Tensor, nn
from torch.testing import assert_close

from tests.parity.fill import fill
from tests.parity.test_stargan import critic_names
from transmodal.engines import AlternatingTrainer, Phase


class Given:
    """Draws of the reference's own α."""

    def __init__(self, alpha: Tensor) -> None:
        self.alpha = alpha

    def uniform(self, *shape: int) -> Tensor:
        assert self.alpha.shape[1:] == shape
        return self.alpha


def published_names(network: nn.Module, names: dict[str, str]) -> dict[str, str]:
    """Our keys to the published ones."""
    modules = {ours: published for published, ours in names.items()}
    return {key: f"{modules[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}" for key in network.state_dict()}


def filled(network: nn.Module, names: dict[str, str]) -> nn.Module:
    """The network with the reference's values, which are seeded by its published keys."""
    keys, state = published_names(network, names), network.state_dict()
    values = fill({keys[key]: value for key, value in state.items()})
    network.load_state_dict({key: values[keys[key]] for key in state})
    return network


class Step:
    """Networks, objective and engine after exactly one iteration on the reference's batch."""

    def __init__(self, shared: Path) -> None:
        arrays = np.load(shared / "goldens/gan/stargan_train_step_golden.npz")
        self.expected = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
        self.config = json.loads((shared / "goldens/gan/stargan_train_step_config.json").read_text())
        self.names = {"G": generator_names(6), "D": critic_names(4)}
        self.generator = filled(StarGANGenerator(channels=8, in_channels=3), self.names["G"])
        self.critic = filled(StarGANCritic(image_size=64, channels=8, depth=4, in_channels=3), self.names["D"])
        objective = StarGANObjective(
            self.generator, self.critic, draws=lambda batch, turn: Given(self.expected["alpha"])
        )
        image, domain, target = (self.expected[key] for key in ("x_real", "label_org", "label_trg"))
        self.batch = {"image": image, "domain": domain, "target": target}
        self.before = self.translations()
        adam = {"lr": 1e-4, "betas": (0.5, 0.999)}
        phases = [
            Phase(
                name="critics",
                terms=objective.discriminator_terms,
                optimizer=torch.optim.Adam(self.critic.parameters(), **adam),
            ),
            Phase(
                name="generator",
                terms=objective.generator_terms,
                optimizer=torch.optim.Adam(self.generator.parameters(), **adam),
            ),
        ]
        trainer = AlternatingTrainer("cpu", max_epochs=1, train_data_loader=[self.batch], phases=phases)
        trainer.run()
        self.losses = trainer.state.output

    @torch.no_grad()
    def translations(self) -> dict[str, Tensor]:
        fake = self.generator(self.batch["image"], self.batch["target"])
        return {"x_fake": fake, "x_rec": self.generator(fake, self.batch["domain"])}


@pytest.fixture(scope="module")
def step(shared: Path) -> Step:
    torch.set_num_threads(1)
    return Step(shared)


@pytest.mark.parametrize("name", ["x_fake", "x_rec"])
def test_translations_before_the_step(step: Step, name: str) -> None:
    assert_close(step.before[name], step.expected[f"{name}_before"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("ours", "published", "weight"),
    [
        ("critics/real", "D/loss_real", 1),
        ("critics/fake", "D/loss_fake", 1),
        ("critics/domain", "D/loss_cls", 1),
        ("critics/gradient_penalty", "D/loss_gp", 10),
        ("generator/adversarial", "G/loss_fake", 1),
        ("generator/domain", "G/loss_cls", 1),
        ("generator/reconstruction", "G/loss_rec", 10),
    ],
)
def test_every_loss_term(step: Step, ours: str, published: str, weight: float) -> None:
    assert step.losses[ours] == pytest.approx(weight * step.config["losses"][published], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("phase", "published"), [("critics", "D/total"), ("generator", "G/total")])
def test_each_player_minimises_the_sum(step: Step, phase: str, published: str) -> None:
    total = sum(value for name, value in step.losses.items() if name.startswith(f"{phase}/"))
    assert total == pytest.approx(step.config["losses"][published], rel=1e-5)


@pytest.mark.parametrize(("network", "published"), [("generator", "G"), ("critic", "D")])
def test_the_gradient_norm_of_every_parameter(step: Step, network: str, published: str) -> None:
    module = getattr(step, network)
    names = published_names(module, step.names[published])
    norms = {names[name]: float(parameter.grad.norm()) for name, parameter in module.named_parameters()}
    assert norms == pytest.approx(step.config[f"{published}_grad_norms"], rel=1e-4)


@torch.no_grad()
def test_outputs_after_the_step(step: Step) -> None:
    """Adam's first step is sign-like and amplifies rounding, hence the reference's own tolerance of 5e-4."""
    after = step.translations()["x_fake"]
    assert_close(after, step.expected["x_fake_after"], rtol=0, atol=5e-4)
    assert (after - step.before["x_fake"]).abs().max() > 5e-3
    scores, logits = step.critic(step.batch["image"])
    assert_close(scores, step.expected["out_src_real_after"], rtol=0, atol=5e-4)
    assert_close(logits, step.expected["out_cls_real_after"], rtol=0, atol=5e-4)
