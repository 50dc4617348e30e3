"""The residual generator: shapes in two and three dimensions, the published layout, sizes it refuses, scripting."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from transmodal.networks.nets import ResNetGenerator

TINY = {"channels": 4, "num_blocks": 2}


@pytest.mark.parametrize(("spatial_dims", "size"), [(2, (16, 12)), (3, (16, 12, 8))])
def test_the_translation_keeps_the_size_in_any_dimension(spatial_dims: int, size: tuple[int, ...]) -> None:
    network = ResNetGenerator(spatial_dims=spatial_dims, in_channels=2, out_channels=3, **TINY)
    assert network(torch.randn(2, 2, *size)).shape == (2, 3, *size)


def test_the_translation_stays_within_minus_one_and_one() -> None:
    translated = ResNetGenerator(**TINY).apply(_loud)(torch.randn(1, 1, 16, 16))
    assert translated.abs().max() <= 1
    assert translated.abs().max() > 0.9  # so the bound is reached, not merely far away


@pytest.mark.parametrize("size", [(18, 16), (16, 17), (4, 16), (0, 16)])
def test_a_size_that_is_no_multiple_of_four_or_too_small_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf"size \[{size[0]}, {size[1]}\]; wanted multiples of 4, at least 8.*`patch`"):
        ResNetGenerator(**TINY)(torch.zeros(1, 1, *size))


def test_the_smallest_size_trains() -> None:
    network = ResNetGenerator(**TINY)
    network(torch.randn(1, 1, 8, 8)).square().sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients)
    assert any(bool(gradient.any()) for gradient in gradients)


def test_instance_norm_leaves_the_biases_to_every_convolution() -> None:
    keys = ResNetGenerator(**TINY).state_dict()
    assert {key for key in keys if key.endswith("bias")} == {
        key.removesuffix("weight") + "bias" for key in keys if key.endswith("weight")
    }


def test_batch_norm_leaves_a_bias_to_the_head_alone() -> None:
    network = ResNetGenerator(norm="BATCH", **TINY)
    biased = [
        name
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.modules.conv._ConvNd)
        if module.bias is not None
    ]
    assert biased == ["head"]


def test_a_norm_may_be_a_list_as_json_writes_it() -> None:
    network = ResNetGenerator(norm=["INSTANCE", {"affine": True}], **TINY)
    assert network.stem.norm.affine
    assert network.stem.conv.bias is None


def test_dropout_acts_in_training_alone() -> None:
    network, image = ResNetGenerator(dropout=0.5, **TINY), torch.randn(1, 1, 16, 16)
    assert not torch.equal(network(image), network(image))
    network.eval()
    assert_close(network(image), network(image), rtol=0, atol=0)


def test_padding_by_reflection_and_by_zeros_differ_at_the_border() -> None:
    reflecting, zeros = ResNetGenerator(**TINY), ResNetGenerator(padding_mode="zeros", **TINY)
    zeros.load_state_dict(reflecting.state_dict())
    image = torch.randn(1, 1, 16, 16)
    assert not torch.allclose(reflecting(image), zeros(image), atol=1e-3)


def test_the_published_number_of_parameters() -> None:
    """11,378,179 for nine blocks and three channels, 7,825,153 for SynDiff's six blocks and one channel."""
    with torch.device("meta"):
        colour, grey = ResNetGenerator(in_channels=3, out_channels=3), ResNetGenerator(num_blocks=6)
    assert sum(parameter.numel() for parameter in colour.parameters()) == 11_378_179
    assert sum(parameter.numel() for parameter in grey.parameters()) == 7_825_153


def test_scripting_changes_nothing_and_keeps_the_refusal() -> None:
    network, image = ResNetGenerator(**TINY).eval(), torch.randn(1, 1, 16, 12)
    scripted = torch.jit.script(network)
    assert_close(scripted(image), network(image), rtol=0, atol=0)
    with pytest.raises(torch.jit.Error, match="wanted multiples of 4"):
        scripted(image[..., :-1])


def _loud(module: torch.nn.Module) -> None:
    if isinstance(module, torch.nn.Conv2d):
        torch.nn.init.normal_(module.weight, std=1.0)
