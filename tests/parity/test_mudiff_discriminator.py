"""MU-Diff's critic against the published one: logits, the features that weigh its mutual term, gradients, R1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mudiff_bundle.objective import READ
from torch import Tensor
from torch.testing import assert_close

from tests.parity.time_critic import TIME, golden, time_critic
from transmodal.losses import r1_penalty
from transmodal.networks.nets import TimeDiscriminator

batches = pytest.mark.parametrize("batch", [2, 3, 8])


def small(shared: Path, gain: float = 1.0) -> TimeDiscriminator:
    keys = json.loads((shared / "goldens/mudiff/disc_config.json").read_text())["keys"]
    return time_critic(keys, gain, channels=16)


def published(shared: Path, batch: int) -> dict[str, Tensor]:
    arrays = golden(shared, "mudiff/disc").items()
    return {key.removeprefix(f"b{batch}_"): value for key, value in arrays if key.startswith(f"b{batch}_")}


def gradient(critic: TimeDiscriminator, x_t: Tensor, timesteps: Tensor, x_next: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(critic(x_t.requires_grad_(), timesteps, x_next).sum(), x_t)
    return found


@batches
@torch.no_grad()
def test_logits_and_features_of_one_forward_call(shared: Path, batch: int) -> None:
    expected = published(shared, batch)
    logits, features = small(shared)(expected["x"], expected["t"], expected["xt"], return_features=True)
    assert_close(features[READ], expected["feat"], rtol=0, atol=1e-5)
    assert_close(features[-1], expected["conv6_out"], rtol=0, atol=1e-5)
    assert_close(logits, expected["logit"], rtol=0, atol=1e-6)


@batches
def test_gradients_in_the_image(shared: Path, batch: int) -> None:
    expected = published(shared, batch)
    found = gradient(small(shared), expected["x"], expected["t"], expected["xt"])
    assert_close(found, expected["gradx"], rtol=0, atol=1e-4 * expected["gradx"].abs().max().item())


@torch.no_grad()
def test_logits_and_features_of_stronger_weights(shared: Path) -> None:
    expected = golden(shared, "mudiff/disc_gain2")
    critic = small(shared, gain=2.0)
    logits, features = critic(expected["x"], expected["t"], expected["xt"], return_features=True)
    assert_close(features[READ][:, :, ::2, ::2], expected["feat_stride2"], rtol=1e-5, atol=1e-5)
    assert_close(logits, expected["logit"], rtol=1e-5, atol=0)


def test_gradients_of_stronger_weights(shared: Path) -> None:
    expected = golden(shared, "mudiff/disc_gain2")
    found = gradient(small(shared, gain=2.0), expected["x"], expected["t"], expected["xt"])
    assert_close(found, expected["gradx"], rtol=0, atol=1e-4 * expected["gradx"].abs().max().item())


def test_the_penalty_has_the_published_gradient_in_every_weight(shared: Path) -> None:
    given = golden(shared, "mudiff/disc_gain2")
    expected = json.loads((shared / "goldens/mudiff/disc_gain2_golden.json").read_text())
    critic = small(shared, gain=2.0)
    x_t = given["x"].requires_grad_()
    penalty = r1_penalty(critic(x_t, given["t"], given["xt"]), x_t)
    assert_close(penalty.item(), expected["r1_penalty_raw"], rtol=1e-4, atol=0)
    (0.5 * penalty).backward()
    norms = {TIME.name(key): norm for key, norm in expected["r1_only_grad_norms"].items()}
    assert norms.pop("head.bias") is None  # the gradient of the logits does not depend on it
    for name, norm in norms.items():
        weight_gradient = critic.get_parameter(name).grad
        assert weight_gradient is not None
        assert_close(weight_gradient.norm().item(), norm, rtol=1e-4, atol=1e-9, msg=name)


@pytest.mark.slow
@torch.no_grad()
def test_the_critic_of_full_size_at_256_pixels(shared: Path) -> None:
    expected = golden(shared, "mudiff/disc_readme")
    keys = json.loads((shared / "goldens/mudiff/disc_keys.json").read_text())
    logits, features = time_critic(keys)(expected["b1_x"], expected["b1_t"], expected["b1_xt"], return_features=True)
    assert tuple(features[READ].shape) == (1, 512, 32, 32)
    assert_close(features[READ][:, :, ::4, ::4], expected["b1_feat_stride4"], rtol=0, atol=1e-5)
    assert_close(logits, expected["b1_logit"], rtol=0, atol=1e-5)
