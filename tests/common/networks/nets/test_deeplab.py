"""DeepLabV3 and V3+: sizes in two and three dimensions, dilation equal to striding, the odd batch of one, scripting."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from transmodal.errors import InputError
from transmodal.networks.nets import DeepLabV3, DeepLabV3Plus
from transmodal.networks.nets.deeplab import DilatedResNet, ImagePooling

TINY: dict[str, Any] = {"layers": (1, 1, 2, 2), "widths": (2, 3, 4, 5), "aspp_channels": 6}


def published(network: type[nn.Module], **arguments: Any) -> nn.Module:
    """A network of the published size, without memory for its weights."""
    with torch.device("meta"):
        return network(**arguments)


def with_statistics(network: nn.Module) -> nn.Module:
    """The network for inference, with running statistics that are not those of a new one."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


@pytest.mark.parametrize("network", [DeepLabV3, DeepLabV3Plus])
@pytest.mark.parametrize(("spatial_dims", "size"), [(2, (41, 64)), (3, (33, 20, 40))])
def test_the_logits_have_the_size_of_the_image_in_any_dimension(
    network: type[nn.Module], spatial_dims: int, size: tuple[int, ...]
) -> None:
    logits = network(num_classes=3, in_channels=2, spatial_dims=spatial_dims, **TINY)(torch.randn(2, 2, *size))
    assert logits.shape == (2, 3, *size)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize(("spatial_dims", "size"), [(2, (64, 96)), (3, (32, 32, 64))])
@torch.no_grad()
def test_every_other_pixel_of_a_dilated_network_is_one_of_the_strided_network(
    block: str, spatial_dims: int, size: tuple[int, ...]
) -> None:
    """The à trous algorithm: striding less and dilating more computes the same numbers, only more of them."""
    strided, once, twice = (
        with_statistics(DilatedResNet(1, spatial_dims, (1, 1, 2, 2), (2, 3, 4, 5), block, output_stride))
        for output_stride in (32, 16, 8)
    )
    once.load_state_dict(strided.state_dict())
    twice.load_state_dict(strided.state_dict())
    image = torch.randn(1, 1, *size)
    expected, (fine, of_once), (_, of_twice) = strided(image)[1], once(image), twice(image)
    assert fine.shape[2:] == tuple(length // 4 for length in size)
    assert of_twice.shape[2:] == tuple(length // 8 for length in size)
    every = [slice(None)] * 2
    assert_close(of_once[(*every, *[slice(None, None, 2)] * spatial_dims)], expected)
    assert_close(of_twice[(*every, *[slice(None, None, 4)] * spatial_dims)], expected)


@pytest.mark.parametrize(
    ("output_stride", "dilations", "rates"),
    [(16, [1] * 14 + [2, 2], (6, 12, 18)), (8, [1] * 8 + [2] * 6 + [4, 4], (12, 24, 36))],
)
def test_the_first_dilated_block_keeps_the_dilation_before_it(
    output_stride: int, dilations: list[int], rates: tuple[int, ...]
) -> None:
    """3 × 3 convolutions of ResNet-50 in their order, as torchvision and VainF dilate them."""
    network = published(DeepLabV3Plus, output_stride=output_stride)
    kernels = [module for name, module in network.backbone.named_modules() if name.endswith("conv2")]
    found = [module.dilation[0] for module in kernels]
    assert found == dilations
    assert [module.padding for module in kernels] == [(dilation, dilation) for dilation in found]
    assert tuple(branch.conv.dilation[0] for branch in network.aspp.neighbourhoods) == rates


def test_an_output_stride_that_was_never_published_is_refused() -> None:
    with pytest.raises(InputError, match="output_stride: found 32; wanted 16 or 8"):
        DeepLabV3Plus(output_stride=32)


def test_a_batch_of_one_image_trains() -> None:
    network = DeepLabV3Plus(**TINY).train()
    network(torch.randn(1, 1, 33, 33)).sum().backward()
    assert network.aspp.image.conv.weight.grad.abs().sum() > 0


def test_the_pooled_image_of_a_batch_of_one_takes_the_running_statistics_and_leaves_them() -> None:
    pooling = with_statistics(ImagePooling(2, 3, 4))
    features, before = torch.randn(1, 3, 5, 5), {key: value.clone() for key, value in pooling.state_dict().items()}
    expected = pooling(features)
    assert_close(pooling.train()(features), expected)
    assert_close(dict(pooling.state_dict()), before, rtol=0, atol=0)


def test_the_pooled_images_of_a_larger_batch_take_their_own_statistics() -> None:
    pooling = ImagePooling(2, 3, 4).train()
    pooled = pooling(torch.randn(2, 3, 5, 5))
    assert_close(pooled[..., :1, :1].expand_as(pooled), pooled)
    assert (pooled.amin(dim=(0, 2, 3)) == 0).all()  # of two normed values one is negative, and ReLU is behind
    assert pooling.norm.num_batches_tracked == 1


def test_dropout_acts_in_training_alone() -> None:
    network, image = DeepLabV3Plus(dropout=0.5, **TINY), torch.randn(2, 1, 32, 32)
    assert not torch.equal(network(image), network(image))
    network.eval()
    assert_close(network(image), network(image), rtol=0, atol=0)


def test_fine_features_reach_the_logits_of_v3_plus_alone() -> None:
    """With the coarse features silenced, what remains visible came over the decoder."""
    image = torch.randn(1, 1, 64, 64)
    plus, plain = with_statistics(DeepLabV3Plus(**TINY)), with_statistics(DeepLabV3(**TINY))
    for network in (plus, plain):
        network.aspp.dropout = nn.Threshold(torch.inf, 0.0)
    assert plus(image).std(dim=(2, 3)).max() > 1e-3
    assert plain(image)[..., 8:-8, 8:-8].std(dim=(2, 3)).max() < 1e-6


@pytest.mark.parametrize("network", [DeepLabV3, DeepLabV3Plus])
def test_scripting_changes_nothing(network: type[nn.Module]) -> None:
    ours, image = with_statistics(network(**TINY)), torch.randn(1, 1, 40, 33)
    scripted = torch.jit.script(ours)
    assert_close(scripted(image), ours(image), rtol=0, atol=0)
    assert_close(scripted.train()(image).shape, image.expand(1, 2, -1, -1).shape)


def test_the_published_number_of_parameters() -> None:
    """39,761,845 for V3+ on ResNet-50 with 21 classes and colours."""
    network = published(DeepLabV3Plus, num_classes=21, in_channels=3)
    assert sum(parameter.numel() for parameter in network.parameters()) == 39_761_845
