"""The U-Net with cross-attention: patches and plane matter, dropped conditions do not, and refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from xray2ctpa_bundle.conditioning import Condition
from xray2ctpa_bundle.modern import CrossAttentionUNet

from transmodal.errors import InputError

TINY: dict[str, Any] = {
    "num_channels": (8, 16),
    "attention": (False, True),
    "num_res_blocks": 1,
    "num_head_channels": 4,
    "token_dim": 5,
    "norm_groups": 4,
}
TIMESTEPS = torch.tensor([3, 700])


def awake(network: CrossAttentionUNet) -> CrossAttentionUNet:
    """With the layers that start as zero drawn at random, as if trained."""
    for parameter in network.parameters():
        if parameter.abs().max() == 0:
            nn.init.normal_(parameter, std=0.2)
    return network


@pytest.fixture
def network() -> CrossAttentionUNet:
    return awake(CrossAttentionUNet(plane_channels=3, **TINY)).eval()


@pytest.fixture
def condition() -> Condition:
    return Condition(torch.randn(2, 6), torch.randn(2, 9, 5), torch.randn(2, 3, 8, 8))


@pytest.fixture
def noisy() -> Tensor:
    return torch.randn(2, 4, 4, 4, 6)


@pytest.mark.parametrize("part", Condition._fields)
@torch.no_grad()
def test_tokens_and_plane_matter_and_the_embedding_does_not(
    network: CrossAttentionUNet, condition: Condition, noisy: Tensor, part: str
) -> None:
    changed = condition._replace(**{part: torch.randn_like(getattr(condition, part))})
    same = torch.equal(network(changed, noisy, TIMESTEPS), network(condition, noisy, TIMESTEPS))
    assert same == (part == "embedding")


@torch.no_grad()
def test_a_dropped_sample_knows_nothing_of_its_radiograph(
    network: CrossAttentionUNet, condition: Condition, noisy: Tensor
) -> None:
    other = Condition(*(torch.randn_like(part) for part in condition))
    drop = torch.tensor([True, False])
    first, second = network(condition, noisy, TIMESTEPS, drop), network(other, noisy, TIMESTEPS, drop)
    assert_close(first[0], second[0], rtol=0, atol=1e-6)
    assert (first[1] - second[1]).abs().max() > 1e-3


@torch.no_grad()
def test_one_null_token_stands_for_any_number_of_patches(
    network: CrossAttentionUNet, condition: Condition, noisy: Tensor
) -> None:
    drop = torch.tensor([True, True])
    few = condition._replace(tokens=condition.tokens[:, :2])
    assert_close(network(condition, noisy, TIMESTEPS, drop), network(few, noisy, TIMESTEPS, drop), rtol=0, atol=1e-5)


def test_every_weight_learns_from_a_batch_of_both_kinds(
    network: CrossAttentionUNet, condition: Condition, noisy: Tensor
) -> None:
    network(condition, noisy, TIMESTEPS, torch.tensor([True, False])).square().mean().backward()
    idle = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or parameter.grad.abs().max() == 0
    ]
    assert idle == []


@torch.no_grad()
def test_patches_reach_each_voxel_of_a_level_that_attends(condition: Condition, noisy: Tensor) -> None:
    network = awake(CrossAttentionUNet(**{**TINY, "attention": (True, False)})).eval()
    changed = condition._replace(tokens=condition.tokens + torch.randn(1, 9, 1) * (torch.arange(9) == 4)[None, :, None])
    difference = network(changed, noisy, TIMESTEPS) - network(condition, noisy, TIMESTEPS)
    assert bool((difference.abs().amax(dim=1) > 0).all())


@torch.no_grad()
def test_bfloat16_predicts_what_float32_does(network: CrossAttentionUNet, condition: Condition, noisy: Tensor) -> None:
    exact = network(condition, noisy, TIMESTEPS)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(condition, noisy, TIMESTEPS)
    assert found.dtype is torch.float32
    assert ((found - exact).norm() / exact.norm()).item() < 0.03


@pytest.mark.parametrize("size", [(3, 4, 4), (4, 5, 4), (4, 4, 7)])
def test_latents_that_cannot_be_halved_are_refused(
    network: CrossAttentionUNet, condition: Condition, size: tuple[int, int, int]
) -> None:
    with pytest.raises(InputError, match=rf"found latents of {' × '.join(map(str, size))}; wanted multiples of 2"):
        network(condition, torch.zeros(2, 4, *size), TIMESTEPS)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"attention": (True,)}, r"found levels of \[8, 16\] channels and \(True,\)"),
        ({"attention": "ft"}, "channels and 'ft'; wanted as many flags, true or false"),
        ({"num_channels": (), "attention": ()}, r"found levels of \[\] channels"),
        ({"norm_groups": 3}, r"norm_groups: found 3 groups for \[8, 16\] channels"),
        ({"num_head_channels": 5}, r"found num_head_channels 5 for levels of \[16, 16\] channels that attend"),
        ({"plane_channels": -1}, "plane_channels -1"),
    ],
)
def test_levels_that_do_not_go_together_are_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        CrossAttentionUNet(**{**TINY, **changes})
