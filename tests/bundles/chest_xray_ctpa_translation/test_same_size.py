"""Convolutions that keep, halve or double sizes, with repeated edges, whole or in slabs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from xray2ctpa_bundle.same_size import SameConv, SameTransposed

STRIDES = [(1, 1, 1), (2, 2, 2), (1, 2, 2), (2, 1, 1)]
strides = pytest.mark.parametrize("stride", STRIDES)


def features(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


@strides
def test_a_convolution_divides_the_size_by_its_stride(stride: tuple[int, ...]) -> None:
    made = SameConv(2, 3, kernel_size=4, stride=stride)(features(1, 2, 8, 6, 4))
    assert tuple(made.shape) == (1, 3, 8 // stride[0], 6 // stride[1], 4 // stride[2])


@strides
def test_a_transposed_convolution_multiplies_the_size(stride: tuple[int, ...]) -> None:
    made = SameTransposed(2, 3, kernel_size=4, stride=stride)(features(1, 2, 5, 4, 3))
    assert tuple(made.shape) == (1, 3, 5 * stride[0], 4 * stride[1], 3 * stride[2])


@torch.no_grad()
def test_edges_are_repeated_the_longer_half_before() -> None:
    """Width 4 at stride 1: two voxels before and one behind."""
    layer, image = SameConv(1, 1, kernel_size=4), features(1, 1, 5, 5, 5)
    expected = F.conv3d(F.pad(image, (2, 1, 2, 1, 2, 1), mode="replicate"), layer.weight, layer.bias)
    assert_close(layer(image), expected)


@torch.no_grad()
def test_without_a_gradient_in_it_an_image_stays_without() -> None:
    """So that the border shows no edge that is not there."""
    for layer in (SameConv(1, 1, kernel_size=4, stride=(2, 2, 2)), SameTransposed(1, 1, kernel_size=4)):
        made = layer(torch.ones(1, 1, 6, 6, 6))
        assert_close(made, made[..., 2:3, 2:3, 2:3].expand_as(made))


@torch.no_grad()
@strides
@pytest.mark.parametrize("slab", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("layer", [SameConv, SameTransposed])
def test_slabs_change_nothing(layer: type[nn.Module], slab: int, stride: tuple[int, ...]) -> None:
    network, norm = layer(4, 3, kernel_size=4, stride=stride), nn.GroupNorm(2, 4)
    norm.weight.copy_(torch.tensor([0.5, 1, 2, 3]))
    norm.bias.copy_(torch.tensor([0.1, 0, -1, 2]))
    image = 3 * features(2, 4, 6, 4, 4) + 1
    whole = network(F.silu(norm(image)))
    assert_close(network(image, norm, slab), whole, rtol=1e-5, atol=1e-5)
    assert_close(network(image, norm), whole)
    assert_close(network(image, slab=slab), network(image), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", [SameConv, SameTransposed])
def test_slabs_give_the_same_gradient(layer: type[nn.Module]) -> None:
    network, norm, gradients = layer(4, 3, kernel_size=4), nn.GroupNorm(2, 4), []
    for slab in (2, None):
        image = features(1, 4, 6, 4, 4).requires_grad_()
        network(image, norm, slab).square().sum().backward()
        gradients.append(image.grad)
    assert_close(*gradients, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("layer", [SameConv, SameTransposed])
def test_a_slab_is_all_that_is_convolved_at_a_time(layer: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    base = layer.__mro__[1]
    plain, lengths = base.forward, []

    def noted(self: nn.Module, image: Tensor) -> Tensor:
        lengths.append(image.shape[2])
        return plain(self, image)

    monkeypatch.setattr(base, "forward", noted)
    layer(1, 1, kernel_size=3)(features(1, 1, 12, 4, 4), slab=2)
    assert lengths == [4] * 6
