"""SynDiff's two critics against the published ones: same logits, features and gradients from the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from monai.networks.nets import PatchDiscriminator
from torch import Tensor
from torch.testing import assert_close

from tests.parity.fill import fill_keys, image
from tests.parity.time_critic import TIME, Keys, golden, time_critic
from transmodal.checkpoints import KeyMap, match
from transmodal.losses import r1_penalty
from transmodal.networks.nets import TimeDiscriminator
from transmodal.published import patch_discriminator_names

PATCH = KeyMap(patch_discriminator_names())
small_sizes = pytest.mark.parametrize("size", ["64x64", "64x80"])


def published_keys(shared: Path, name: str) -> Keys:
    keys: Keys = json.loads((shared / f"goldens/{name}_keys.json").read_text())
    return keys


def small(shared: Path, gain: float = 1.0) -> TimeDiscriminator:
    return time_critic(published_keys(shared, "syndiff/disc_diffusive_small"), gain, channels=8, time_dim=32)


def patch_critic(keys: Keys, channels: int) -> PatchDiscriminator:
    network = monai_patch_critic(channels)
    network.load_state_dict(match(fill_keys(keys), network.state_dict(), PATCH, where="critic")[0])
    return network


def monai_patch_critic(channels: int) -> PatchDiscriminator:
    """The 70 × 70 PatchGAN of MONAI as the bundle's training defines it; its last output is the map of logits."""
    norm = ("INSTANCE", {"affine": False})
    return PatchDiscriminator(2, channels=channels, in_channels=1, num_layers_d=3, norm=norm, bias=True)


@small_sizes
@pytest.mark.parametrize("batch", [4, 2, 1])
@torch.no_grad()
def test_logits_of_a_batch_are_the_published_ones(shared: Path, size: str, batch: int) -> None:
    expected = golden(shared, f"syndiff/disc_diffusive_small_{size}")
    x_t, t, x_next = (expected[key][:batch] for key in ("x", "t", "x_tp1"))
    assert_close(small(shared)(x_t, t, x_next)[:, None], expected[f"out{batch}"], rtol=0, atol=1e-6)


@small_sizes
def test_the_gradient_in_the_image_is_the_published_one(shared: Path, size: str) -> None:
    expected = golden(shared, f"syndiff/disc_diffusive_small_{size}")
    assert_gradient_is(expected, small(shared))


@small_sizes
def test_the_penalty_of_a_single_image_is_the_published_one(shared: Path, size: str) -> None:
    expected = golden(shared, f"syndiff/disc_diffusive_small_{size}")
    x_t = expected["x"][:1].requires_grad_()
    penalty = r1_penalty(small(shared)(x_t, expected["t"][:1], expected["x_tp1"][:1]), x_t)
    assert_close(penalty.double(), expected["r1_pen_b1"], rtol=1e-4, atol=0)


@torch.no_grad()
def test_features_of_stronger_weights_are_the_published_ones(shared: Path) -> None:
    expected = golden(shared, "syndiff/disc_diffusive_small_strong")
    critic = small(shared, gain=1.5)
    features = critic.features(expected["x"], expected["t"], expected["x_tp1"])
    assert_close(features[-1], expected["conv6"], rtol=0, atol=1e-5)
    moments = torch.tensor([[feature.mean(), feature.std()] for feature in features], dtype=torch.float64)
    assert_close(moments, torch.stack([expected["feat_mean"], expected["feat_std"]], dim=1), rtol=1e-5, atol=1e-6)
    assert_close(critic.judge(features[-1])[:, None], expected["out4"], rtol=0, atol=2e-5)
    alone = critic(expected["x"][:1], expected["t"][:1], expected["x_tp1"][:1])
    assert_close(alone[:, None], expected["out1"], rtol=0, atol=2e-5)


def test_the_gradient_of_stronger_weights_is_the_published_one(shared: Path) -> None:
    """Only a unit of the first block that rounds to exactly 0 may be on either side of its leaky rectifier."""
    compared = torch.ones(4, 1, 64, 80)
    compared[2, 0, 53:56, 7:10] = 0  # what that unit sees
    assert_gradient_is(golden(shared, "syndiff/disc_diffusive_small_strong"), small(shared, gain=1.5), compared)


def assert_gradient_is(expected: dict[str, Tensor], critic: TimeDiscriminator, compared: Tensor | float = 1.0) -> None:
    """Compare the gradient in x_t relative to its own size, which is small, and R1 with it."""
    x_t = expected["x"].requires_grad_()
    logits = critic(x_t, expected["t"], expected["x_tp1"])
    penalty = r1_penalty(logits, x_t)
    (gradient,) = torch.autograd.grad(logits.sum(), x_t)
    published = expected["grad_x"]
    assert_close(compared * gradient, compared * published, rtol=0, atol=1e-4 * published.abs().max().item())
    assert_close(penalty.double(), expected["r1_pen"], rtol=1e-4, atol=0)


def test_keys_shapes_and_number_of_weights_are_those_of_the_published_full_size(shared: Path) -> None:
    keys = published_keys(shared, "syndiff/disc_diffusive_large_ngf64")
    with torch.device("meta"):
        state = TimeDiscriminator().state_dict()
    assert {TIME.name(key): tuple(shape) for key, shape, _ in keys} == {
        key: tuple(value.shape) for key, value in state.items()
    }
    assert sum(value.numel() for value in state.values()) == 27_736_705


@pytest.mark.slow
@torch.no_grad()
def test_the_network_of_full_size_judges_as_published(shared: Path) -> None:
    expected = golden(shared, "syndiff/disc_diffusive_large_ngf64")
    critic = time_critic(published_keys(shared, "syndiff/disc_diffusive_large_ngf64"))
    shape = (2, 1, 256, 256)
    logits = critic(image(1012, shape), torch.tensor([3, 0]), image(1013, shape))
    assert_close(logits[:, None], expected["out256"], rtol=0, atol=1e-5)


@small_sizes
@torch.no_grad()
def test_the_patch_critic_judges_as_published(shared: Path, size: str) -> None:
    expected = golden(shared, f"syndiff/disc_nondiffusive_small_{size}")
    critic = patch_critic(published_keys(shared, "syndiff/disc_nondiffusive_small"), channels=8)
    assert_close(critic(expected["x"])[-1], expected["y"], rtol=0, atol=1e-6)


@torch.no_grad()
def test_the_patch_critic_of_full_width_judges_as_published(shared: Path) -> None:
    expected = golden(shared, "syndiff/disc_nondiffusive_ndf64")
    keys = published_keys(shared, "syndiff/disc_nondiffusive_ndf64")
    critic = patch_critic(keys, channels=64)
    assert sum(value.numel() for value in critic.parameters()) == 2_762_689
    assert len(critic.state_dict()) == len(keys)
    assert_close(critic(image(1019, (1, 1, 256, 256)))[-1], expected["y"], rtol=0, atol=1e-5)
