"""The time-conditional critic: what it reads, how it treats a batch, that R1 can be minimised through all of it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from transmodal.losses import r1_penalty
from transmodal.networks.blocks import FIRDownsample
from transmodal.networks.nets import TimeDiscriminator
from transmodal.networks.nets.time_discriminator import DownBlock, minibatch_deviation


def critic(std_group: int = 4) -> TimeDiscriminator:
    """Three halvings, with weights of a trained network's size where those at the start are about zero."""
    network = TimeDiscriminator(channels=4, multipliers=(2, 4, 4), time_dim=8, std_group=std_group)
    for block in network.blocks:
        torch.nn.init.normal_(block.conv2.weight, std=0.2)
    return network


def inputs(batch: int, height: int = 8, width: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(batch, 1, height, width), torch.arange(batch) % 4, torch.randn(batch, 1, height, width)


@pytest.mark.parametrize("batch", range(1, 9))
def test_a_batch_of_any_size_gets_a_logit_each(batch: int) -> None:
    """The published code fails at 5, 6 and 7."""
    logits = critic()(*inputs(batch))
    assert logits.shape == (batch,)
    assert logits.isfinite().all()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 24), (13, 9), (31, 16)])
def test_features_are_halved_by_each_block(height: int, width: int) -> None:
    features = critic().features(*inputs(2, height, width))
    assert [tuple(feature.shape) for feature in features] == [
        (2, channels, height // scale, width // scale) for channels, scale in ((8, 2), (16, 4), (16, 8))
    ]


def test_the_last_features_hold_all_that_the_logits_need() -> None:
    network, given = critic(), inputs(4)
    assert torch.equal(network.judge(network.features(*given)[-1]), network(*given))


def test_features_come_with_the_logits_of_one_forward_call() -> None:
    """A wrapper for several processes passes on ``forward`` alone."""
    network, given = critic(), inputs(4)
    logits, features = network(*given, return_features=True)
    assert torch.equal(logits, network(*given))
    for found, expected in zip(features, network.features(*given), strict=True):
        assert torch.equal(found, expected)


def test_a_block_that_has_learnt_nothing_halves_its_input_unrectified() -> None:
    block, features = DownBlock(3, 5, time_dim=4), torch.randn(2, 3, 8, 10)
    torch.nn.init.zeros_(block.conv2.weight)
    halved = torch.einsum("oi, bihw -> bohw", block.shortcut.weight[:, :, 0, 0], FIRDownsample()(features))
    assert_close(block(features, torch.randn(2, 4)), halved / math.sqrt(2))


@pytest.mark.parametrize("size", [(7, 8), (64, 7)])
def test_an_image_that_cannot_be_halved_so_often_is_refused(size: tuple[int, int]) -> None:
    message = rf"found images of size \[{size[0]}, {size[1]}\]; wanted at least 8 on each side.*3 times. .*`patch`"
    with pytest.raises(ValueError, match=message):
        critic()(*inputs(1, *size))


def test_the_default_needs_64_pixels() -> None:
    with torch.device("meta"):
        network = TimeDiscriminator()
        with pytest.raises(ValueError, match=r"found images of size \[63, 64\]; wanted at least 64"):
            network(*inputs(1, 63, 64))
        assert network(*inputs(1, 64, 64)).shape == (1,)


def test_timestep_and_both_images_are_read_each_in_its_place() -> None:
    network, (x_t, t, x_next) = critic(std_group=1), inputs(2)
    logits = network(x_t, t, x_next)
    for other in (network(x_t, t + 1, x_next), network(x_t, t, x_next + 0.1), network(x_next, t, x_t)):
        assert ((other - logits).abs() > 1e-4).all()


def test_a_sample_s_logit_depends_on_its_batch_through_the_deviation() -> None:
    network, (x_t, t, x_next) = critic(), inputs(4)
    together, alone = network(x_t, t, x_next)[0], network(x_t[:1], t[:1], x_next[:1])[0]
    assert (together - alone).abs() > 1e-4


def test_groups_of_one_make_samples_independent() -> None:
    network, (x_t, t, x_next) = critic(std_group=1), inputs(4)
    alone = [network(x_t[one], t[one], x_next[one]) for one in (slice(i, i + 1) for i in range(4))]
    assert_close(network(x_t, t, x_next), torch.cat(alone))


@pytest.mark.parametrize(("batch", "group"), [(2, 2), (3, 3), (4, 4), (6, 3), (8, 4), (9, 3), (10, 2)])
def test_the_deviation_is_over_the_largest_group_that_divides_the_batch(batch: int, group: int) -> None:
    features = torch.randn(batch, 3, 2, 5)
    found, stride = minibatch_deviation(features, 4), batch // group
    assert found.shape == (batch, 1, 2, 5)
    for sample in range(batch):
        members = features[sample % stride :: stride]
        assert len(members) == group
        expected = (members.var(dim=0, correction=0) + 1e-8).sqrt().mean()
        assert_close(found[sample], expected.expand(1, 2, 5))


@pytest.mark.parametrize(("batch", "largest_group"), [(1, 4), (5, 4), (7, 4), (4, 1)])
def test_the_deviation_of_groups_of_one_is_a_constant(batch: int, largest_group: int) -> None:
    found = minibatch_deviation(torch.randn(batch, 3, 2, 2), largest_group)
    assert_close(found, torch.full((batch, 1, 2, 2), math.sqrt(1e-8)))


def test_the_deviation_of_equal_samples_can_be_differentiated_twice() -> None:
    features = torch.ones(4, 3, 2, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(minibatch_deviation(features).sum(), features, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum() + gradient.sum(), features)
    assert gradient.isfinite().all()
    assert second.isfinite().all()


def test_coarse_features_keep_their_dtype_and_are_measured_in_full_precision() -> None:
    """Half precision rounds 1e-8 to 0, and the root of 0 has no derivative."""
    features = torch.ones(4, 3, 2, 2, dtype=torch.float16, requires_grad=True)
    found = minibatch_deviation(features)
    (gradient,) = torch.autograd.grad(found.sum(), features)
    assert found.dtype == torch.float16
    assert_close(found, torch.full_like(found, 1e-4))
    assert gradient.isfinite().all()


@pytest.mark.parametrize("weight", ["stem", "blocks.1.conv1", "blocks.2.time_projection", "final_conv", "head"])
def test_the_penalty_has_the_gradient_of_its_finite_differences(weight: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through both derivatives of the resampling filter and of the minibatch deviation.

    A smooth activation stands in: the slope of a leaky rectifier jumps, and finite differences see the jumps.
    """
    monkeypatch.setattr("transmodal.networks.nets.time_discriminator.activation", torch.nn.functional.silu)
    network, (x_t, t, x_next) = critic(), inputs(4, 16, 16)
    x_t.requires_grad_()
    parameter = network.get_parameter(f"{weight}.weight")

    def penalty() -> Tensor:
        return r1_penalty(network(x_t, t, x_next), x_t)

    (gradient,) = torch.autograd.grad(penalty(), parameter)
    direction, step = gradient / gradient.norm(), 1e-3
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            parameter += sign * step * direction
        values.append(penalty().item())
        with torch.no_grad():
            parameter -= sign * step * direction
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(gradient.norm().item(), rel=0.02)


def test_the_penalty_is_differentiated_under_autocast_too() -> None:
    network, (x_t, t, x_next) = critic(), inputs(4, 16, 16)
    x_t.requires_grad_()

    def gradient(amp: bool) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):
            penalty = r1_penalty(network(x_t, t, x_next), x_t)
        assert penalty.dtype == torch.float32
        found = torch.autograd.grad(penalty, list(network.parameters()), allow_unused=True)
        return torch.cat([value.flatten() for value in found if value is not None])

    plain, coarse = gradient(amp=False), gradient(amp=True)
    assert torch.cosine_similarity(plain, coarse, dim=0) > 0.98
    assert coarse.norm() / plain.norm() == pytest.approx(1.0, abs=0.1)


def test_published_initial_values_are_uniform_by_the_number_of_outputs() -> None:
    network = TimeDiscriminator(channels=8, multipliers=(4, 8), time_dim=32)
    block = network.blocks[1]
    for layer, fan_out, scale in (
        (network.time_embedding.linear1, 32, 1),
        (network.stem, 16, 1),
        (block.conv1, 64 * 9, 1),
        (block.conv2, 64 * 9, 1e-10),
        (block.time_projection, 64, 1),
        (block.shortcut, 64, 1),
        (network.final_conv, 64 * 9, 1),
        (network.head, 1, 1),
    ):
        bound = math.sqrt(3 * scale / fan_out)
        assert 0.8 * bound < layer.weight.abs().max() <= bound * (1 + 1e-6)
        assert layer.bias is None or not layer.bias.any()


def test_weights_have_the_documented_names() -> None:
    names = set(TimeDiscriminator(channels=2, multipliers=(1,), time_dim=4).state_dict())
    layers = ["time_embedding.linear1", "time_embedding.linear2", "stem", "final_conv", "head"]
    layers += [f"blocks.0.{child}" for child in ("conv1", "conv2", "time_projection")]
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")} | {
        "blocks.0.shortcut.weight"
    }


def test_a_group_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found std_group 0; wanted 1 or more. Give 1"):
        TimeDiscriminator(std_group=0)
