"""One CycleGAN training step against the published implementation: losses, gradients and the step's effect.

The reference (one ``optimize_parameters()`` without an image pool) calls our source (CT) A and our target (MR) B.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cyclegan_bundle.objective import CycleGANObjective
from monai.losses import PatchAdversarialLoss
from monai.networks.nets import PatchDiscriminator
from torch import Tensor, nn
from torch.testing import assert_close

from tests.parity.fill import fill
from tests.parity.test_cyclegan import PATCH_DISCRIMINATOR
from transmodal.checkpoints import KeyMap
from transmodal.data.pool import ImagePool
from transmodal.engines import AlternatingTrainer, Phase
from transmodal.networks.nets import ResNetGenerator
from transmodal.published import resnet_generator_names

WEIGHTS = {"cycle": 10.0, "identity": 5.0}


def filled(network: nn.Module, key_map: KeyMap, prefix: str) -> nn.Module:
    """The network with the reference's values, which are seeded by its published keys."""
    ours_to_published = {}
    for ours, published in ((ours, published) for published, ours in key_map.names.items()):
        ours_to_published[ours] = published
    state = network.state_dict()
    published = {}
    for key, value in state.items():
        module = max((name for name in ours_to_published if key.startswith(name + ".")), key=len)
        published[ours_to_published[module] + key.removeprefix(module)] = value
    values = fill(published, prefix=prefix)
    network.load_state_dict(dict(zip(state, values.values(), strict=True)))
    return network


class Step:
    """Networks, objective and engine after exactly one iteration on the reference's batch."""

    def __init__(self, shared: Path) -> None:
        arrays = np.load(shared / "goldens/gan/cyclegan_train_step_golden.npz")
        self.expected = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
        self.config = json.loads((shared / "goldens/gan/cyclegan_train_step_config.json").read_text())
        generator = KeyMap(resnet_generator_names(9))
        critic = {"spatial_dims": 2, "channels": 8, "in_channels": 1, "num_layers_d": 3, "bias": True}
        norm = ("INSTANCE", {"affine": False})
        self.to_mr, self.to_ct = (filled(ResNetGenerator(channels=8), generator, f"G_{name}.") for name in "AB")
        self.mr_critic, self.ct_critic = (
            filled(PatchDiscriminator(**critic, norm=norm), PATCH_DISCRIMINATOR, f"D_{name}.") for name in "AB"
        )
        objective = CycleGANObjective(
            to_target=self.to_mr,
            to_source=self.to_ct,
            target_critic=self.mr_critic,
            source_critic=self.ct_critic,
            adversarial=PatchAdversarialLoss(criterion="least_squares", no_activation_leastsq=True),
            target_pool=ImagePool(0),
            source_pool=ImagePool(0),
        )
        self.batch = {"image": self.expected["real_A"], "label": self.expected["real_B"]}
        with torch.no_grad():
            self.before = self.translations()
        adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
        generators = torch.optim.Adam([*self.to_mr.parameters(), *self.to_ct.parameters()], **adam)
        critics = torch.optim.Adam([*self.mr_critic.parameters(), *self.ct_critic.parameters()], **adam)
        trainer = AlternatingTrainer(
            device="cpu",
            max_epochs=1,
            train_data_loader=[self.batch],
            phases=[
                Phase(name="generators", terms=objective.generator_terms, optimizer=generators),
                Phase(name="critics", terms=objective.discriminator_terms, optimizer=critics),
            ],
        )
        trainer.run()
        self.losses = trainer.state.output

    def translations(self) -> dict[str, Tensor]:
        fake_target, fake_source = self.to_mr(self.batch["image"]), self.to_ct(self.batch["label"])
        return {
            "fake_B": fake_target,
            "fake_A": fake_source,
            "rec_A": self.to_ct(fake_target),
            "rec_B": self.to_mr(fake_source),
        }


@pytest.fixture(scope="module")
def step(shared: Path) -> Step:
    torch.set_num_threads(1)
    return Step(shared)


@pytest.mark.parametrize("name", ["fake_B", "fake_A", "rec_A", "rec_B"])
def test_translations_before_the_step(step: Step, name: str) -> None:
    assert_close(step.before[name], step.expected[f"{name}_before"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("ours", "published"),
    [
        ("generators/adversarial_target", "G_A"),
        ("generators/adversarial_source", "G_B"),
        ("generators/cycle_source", "cycle_A"),
        ("generators/cycle_target", "cycle_B"),
        ("generators/identity_target", "idt_A"),
        ("generators/identity_source", "idt_B"),
        ("critics/target", "D_A"),
        ("critics/source", "D_B"),
    ],
)
def test_every_loss_term(step: Step, ours: str, published: str) -> None:
    assert step.losses[ours] == pytest.approx(step.config["losses"][published], rel=1e-5)


def test_the_generators_minimise_the_sum(step: Step) -> None:
    total = sum(value for name, value in step.losses.items() if name.startswith("generators/"))
    assert total == pytest.approx(step.config["losses"]["G"], rel=1e-5)


@pytest.mark.parametrize(
    ("network", "published"), [("to_mr", "G_A"), ("to_ct", "G_B"), ("mr_critic", "D_A"), ("ct_critic", "D_B")]
)
def test_gradient_norms(step: Step, network: str, published: str) -> None:
    gradients = [parameter.grad for parameter in getattr(step, network).parameters()]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    assert float(norm) == pytest.approx(step.config["grad_l2"][published], rel=1e-4)


@torch.no_grad()
def test_outputs_after_the_step(step: Step) -> None:
    """Adam's first step is sign-like and amplifies rounding, hence the reference's own tolerance of 1e-2."""
    after = step.translations()
    for name in ("fake_B", "fake_A"):
        assert_close(after[name], step.expected[f"{name}_after"], rtol=0, atol=1e-2)
        assert not torch.allclose(after[name], step.before[name], atol=1e-2)
    assert_close(step.mr_critic(step.batch["label"])[-1], step.expected["D_A_realB_after"], rtol=0, atol=1e-2)
    assert_close(step.ct_critic(step.batch["image"])[-1], step.expected["D_B_realA_after"], rtol=0, atol=1e-2)
