"""The factorised 3D U-Net: sizes it takes, what reaches what, dropped conditions, gradients and refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from xray2ctpa_bundle.conditioning import Condition
from xray2ctpa_bundle.unet3d import FactorisedUNet

from transmodal.errors import InputError

TINY: dict[str, Any] = {"dim": 8, "dim_mults": (1, 2), "condition_dim": 6, "heads": 2, "head_dim": 4, "norm_groups": 4}
TIMESTEPS = torch.tensor([3, 700])


@pytest.fixture
def network() -> FactorisedUNet:
    return FactorisedUNet(plane_channels=3, **TINY).eval()


@pytest.fixture
def condition() -> Condition:
    return Condition(torch.randn(2, 6), torch.randn(2, 9, 5), torch.randn(2, 3, 8, 8))


@pytest.fixture
def noisy() -> Tensor:
    return torch.randn(2, 4, 5, 4, 6)


@pytest.mark.parametrize("size", [(1, 2, 2), (5, 4, 6), (12, 8, 2)])
@torch.no_grad()
def test_any_number_of_frames_goes(network: FactorisedUNet, condition: Condition, size: tuple[int, int, int]) -> None:
    noisy = torch.randn(2, 4, *size)
    found = network(condition, noisy, TIMESTEPS)
    assert found.shape == noisy.shape
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("part", Condition._fields)
@torch.no_grad()
def test_embedding_and_plane_matter_and_tokens_do_not(
    network: FactorisedUNet, condition: Condition, noisy: Tensor, part: str
) -> None:
    changed = condition._replace(**{part: torch.randn_like(getattr(condition, part))})
    same = torch.equal(network(changed, noisy, TIMESTEPS), network(condition, noisy, TIMESTEPS))
    assert same == (part == "tokens")


@torch.no_grad()
def test_the_time_step_matters(network: FactorisedUNet, condition: Condition, noisy: Tensor) -> None:
    difference = network(condition, noisy, TIMESTEPS) - network(condition, noisy, torch.tensor([3, 701]))
    assert difference[0].abs().max() == 0
    assert difference[1].abs().max() > 0


@torch.no_grad()
def test_a_dropped_sample_knows_nothing_of_its_radiograph(
    network: FactorisedUNet, condition: Condition, noisy: Tensor
) -> None:
    other = Condition(*(torch.randn_like(part) for part in condition))
    drop = torch.tensor([True, False])
    first, second = network(condition, noisy, TIMESTEPS, drop), network(other, noisy, TIMESTEPS, drop)
    assert_close(first[0], second[0], rtol=0, atol=1e-6)
    assert (first[1] - second[1]).abs().max() > 1e-3


@torch.no_grad()
def test_nothing_dropped_is_as_without_the_mask(network: FactorisedUNet, condition: Condition, noisy: Tensor) -> None:
    found = network(condition, noisy, TIMESTEPS, torch.tensor([False, False]))
    assert torch.equal(found, network(condition, noisy, TIMESTEPS))


def test_every_weight_learns_from_a_batch_of_both_kinds(
    network: FactorisedUNet, condition: Condition, noisy: Tensor
) -> None:
    network(condition, noisy, TIMESTEPS, torch.tensor([True, False])).square().mean().backward()
    idle = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or parameter.grad.abs().max() == 0
    ]
    assert idle == []


def test_the_null_condition_learns_from_dropped_samples_alone(
    network: FactorisedUNet, condition: Condition, noisy: Tensor
) -> None:
    network(condition, noisy, TIMESTEPS, torch.tensor([False, False])).square().mean().backward()
    assert network.null_embedding.grad is not None
    assert network.null_embedding.grad.abs().max() == 0


@torch.no_grad()
def test_samples_of_a_batch_do_not_meet(network: FactorisedUNet, condition: Condition, noisy: Tensor) -> None:
    together = network(condition, noisy, TIMESTEPS)
    alone = network(Condition(*(part[1:] for part in condition)), noisy[1:], TIMESTEPS[1:])
    assert_close(together[1:], alone, rtol=0, atol=1e-5)


@torch.no_grad()
def test_bfloat16_predicts_in_float32_what_float32_does(
    network: FactorisedUNet, condition: Condition, noisy: Tensor
) -> None:
    exact = network(condition, noisy, TIMESTEPS)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(condition, noisy, TIMESTEPS)
    assert found.dtype is torch.float32
    assert ((found - exact).norm() / exact.norm()).item() < 0.03


@torch.no_grad()
def test_the_network_compiles_to_torchscript(network: FactorisedUNet, condition: Condition, noisy: Tensor) -> None:
    given = condition, noisy, TIMESTEPS, torch.tensor([True, False])
    assert_close(torch.jit.script(network)(*given), network(*given), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(3, 3, 4), (3, 4, 5)])
def test_frames_that_cannot_be_halved_are_refused(
    network: FactorisedUNet, condition: Condition, size: tuple[int, int, int]
) -> None:
    with pytest.raises(InputError, match=rf"noisy: found frames of {size[1]} × {size[2]}; wanted multiples of 2"):
        network(condition, torch.zeros(2, 4, *size), TIMESTEPS)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"dim_mults": ()}, r"dim and dim_mults: found dim 8 and levels of \[\] channels"),
        ({"dim": 7}, "dim and dim_mults: found dim 7"),
        ({"dim": 2}, "dim and dim_mults: found dim 2"),
        ({"norm_groups": 3}, r"norm_groups: found 3 groups for \[8, 16\] channels"),
        ({"norm_groups": 0}, "norm_groups: found 0 groups"),
        ({"head_dim": 3}, "found head_dim 3"),
        ({"plane_channels": -1}, "plane_channels -1"),
    ],
)
def test_widths_that_do_not_go_together_are_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        FactorisedUNet(**{**TINY, **changes})
