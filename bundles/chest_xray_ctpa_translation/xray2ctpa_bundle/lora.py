"""Low-rank adapters of the denoiser (Hu et al., LoRA, 2021): a fine-tuning of about one weight in a hundred.

A linear layer with weight W becomes W + scale · up · down, where ``up`` and ``down`` have few columns and rows. Adapted
are those layers that the published code would adapt: the projections of time and radiograph in residual blocks, and
those into and out of softmax attention. There the adapters are attached after the optimizer was made, and nothing is
frozen; here exactly the adapters learn.
"""

from __future__ import annotations

from pathlib import Path

import torch
from monai.networks.blocks import CrossAttentionBlock, SABlock
from monai.networks.nets.diffusion_model_unet import DiffusionUNetResnetBlock
from torch import Tensor, nn
from torch.nn import functional as F

from transmodal.checkpoints import load_weights
from transmodal.errors import InputError
from transmodal.handlers import BestWeights, LastWeights
from transmodal.handlers.weights import unwrapped
from xray2ctpa_bundle.adapter_files import Adapters, read_adapters, write_adapters
from xray2ctpa_bundle.attention import Attention
from xray2ctpa_bundle.unet3d import ResidualBlock

ADAPTED = (ResidualBlock, Attention, DiffusionUNetResnetBlock, SABlock, CrossAttentionBlock)
"""What the linear layers belong to that are adapted, in either denoiser."""


class AdaptedLinear(nn.Linear):
    """A linear layer and its adapter: x · Wᵀ + b + scale · (x · downᵀ) · upᵀ.

    The keys of the layer stay; ``down`` and ``up`` come beside them. As made, ``up`` is 0 and nothing changes.

    Args:
        linear: the layer, whose parameters are taken over.
        rank: rows of ``down`` and columns of ``up``.
        scale: of the adapter.
    """

    def __init__(self, linear: nn.Linear, rank: int, scale: float) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.scale = scale
        self.down = nn.Parameter(linear.weight.new_empty(rank, linear.in_features).normal_(std=1 / rank))
        self.up = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))

    def forward(self, features: Tensor) -> Tensor:
        """Map ``features``, (..., in_features), to (..., out_features)."""
        adapted = F.linear(F.linear(features, self.down), self.up)
        return F.linear(features, self.weight, self.bias) + self.scale * adapted

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A plain layer that does the same, of weight W + scale · up · down."""
        linear = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        linear.weight = nn.Parameter(self.weight + self.scale * (self.up @ self.down), self.weight.requires_grad)
        linear.bias = self.bias
        return linear


def with_adapters(network: nn.Module, rank: int = 4, scale: float = 1.0, path: str | Path | None = None) -> nn.Module:
    """Freeze a network and give adapters to its denoiser; nothing but them learns.

    Args:
        network: with a child ``denoiser``, or a denoiser itself; changed in place.
        rank, scale: as for :class:`AdaptedLinear`.
        path: adapters to go on with, of :func:`save_adapters` or a published ``lora-*.pt``; new ones if None.
    Returns:
        ``network``.
    Raises:
        InputError: if there is nothing to adapt, it has adapters, ``rank`` does not fit a layer, or the file does not
            fit the network.
    """
    layers = linear_layers(network)
    _check(layers, rank)
    network.requires_grad_(False)
    for name, linear in layers.items():
        _denoiser(network).set_submodule(name, AdaptedLinear(linear, rank, scale))
    if path is not None:
        load_adapters_(network, path)
    return network


@torch.no_grad()
def with_merged(network: nn.Module, path: str | Path, weights: str | Path | None = None) -> nn.Module:
    """Add the adapters in a file to the weights of a network; its layers stay as they are.

    Args:
        network: with a child ``denoiser``, or a denoiser itself, with the weights that the adapters were trained on;
            changed in place.
        path: as for :func:`with_adapters`.
        weights: file to load those weights from; the network has them already if None.
    Returns:
        ``network``.
    Raises:
        InputError: if a file does not fit the network, or the adapters are of other weights of the denoiser.
    """
    if weights is not None:
        load_weights(network, weights)
    layers = linear_layers(network)
    adapters = read_adapters(path, _denoiser(network), layers)
    for name, (up, down) in adapters.pairs.items():
        layers[name].weight += adapters.scale * (up @ down).to(layers[name].weight)
    return network


def linear_layers(network: nn.Module) -> dict[str, nn.Linear]:
    """What is adapted in a network, with adapters or without: names in its denoiser to the layers."""
    return {
        f"{name}.{child}": layer
        for name, module in _denoiser(network).named_modules()
        if isinstance(module, ADAPTED)
        for child, layer in module.named_children()
        if isinstance(layer, nn.Linear)
    }


def merge_(network: nn.Module) -> nn.Module:
    """Add each adapter to the weight of its layer and take it away; the network does the same.

    Raises:
        InputError: if there are no adapters.
    """
    for name, layer in _adapted_layers(network).items():
        _denoiser(network).set_submodule(name, layer.merged())
    return network


def trained_parameters(network: nn.Module) -> list[nn.Parameter]:
    """What an optimizer is given: all that learns, which after :func:`with_adapters` are the adapters alone."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def trained_share(network: nn.Module) -> float:
    """Share of the weights that learns, by their numbers."""
    every = sum(parameter.numel() for parameter in network.parameters())
    return sum(parameter.numel() for parameter in trained_parameters(network)) / every


def save_adapters(network: nn.Module, path: str | Path) -> None:
    """Write the adapters of a network as safetensors; the file appears whole or not at all.

    Its metadata say rank, scale, and of which weights these are the adapters.

    Raises:
        InputError: if there are no adapters.
    """
    layers = _adapted_layers(network)
    pairs = {name: (layer.up.detach(), layer.down.detach()) for name, layer in layers.items()}
    write_adapters(Adapters(pairs, next(iter(layers.values())).scale), _denoiser(network), path)


@torch.no_grad()
def load_adapters_(network: nn.Module, path: str | Path) -> None:
    """Read adapters into a network that has such; see :func:`with_adapters`.

    Raises:
        InputError: if the network has none, or others than the file.
    """
    layers = _adapted_layers(network)
    adapters = read_adapters(path, _denoiser(network), layers)
    any_layer = next(iter(layers.values()))
    if (adapters.rank, adapters.scale) != (len(any_layer.down), any_layer.scale):
        raise InputError(
            path,
            found=f"adapters of rank {adapters.rank} and scale {adapters.scale}",
            wanted=f"rank {len(any_layer.down)} and scale {any_layer.scale}, as the network has them",
            remedy="set `rank` and `scale` of the adapters to those of the file",
        )
    for name, (up, down) in adapters.pairs.items():
        layers[name].up.copy_(up)
        layers[name].down.copy_(down)


class BestAdapters(BestWeights):
    """Writes the adapters alone whenever a validation metric improves, as :class:`BestWeights` does the network."""

    def write(self) -> None:
        """Write the adapters as safetensors."""
        save_adapters(unwrapped(self.network), self.path)


class LastAdapters(LastWeights):
    """Writes the adapters alone at the end of epochs, as :class:`LastWeights` does the network."""

    def write(self) -> None:
        """Write the adapters as safetensors."""
        save_adapters(unwrapped(self.network), self.path)


def _denoiser(network: nn.Module) -> nn.Module:
    denoiser = getattr(network, "denoiser", network)
    assert isinstance(denoiser, nn.Module)
    return denoiser


def _adapted_layers(network: nn.Module) -> dict[str, AdaptedLinear]:
    layers = {name: layer for name, layer in linear_layers(network).items() if isinstance(layer, AdaptedLinear)}
    if not layers:
        raise InputError(
            f"{type(_denoiser(network)).__name__}, adapters",
            found="none",
            wanted="a denoiser with adapters",
            remedy="make them with `xray2ctpa_bundle.lora.with_adapters` first",
        )
    return layers


def _check(layers: dict[str, nn.Linear], rank: int) -> None:
    if not layers or any(isinstance(layer, AdaptedLinear) for layer in layers.values()):
        raise InputError(
            "with_adapters, network",
            found=f"one with {'adapters' if layers else 'no layer to adapt'}",
            wanted="a denoiser with linear layers in its residual blocks and attention, without adapters",
            remedy="give the network as its config defines it, and adapt it once",
        )
    largest = min(min(layer.in_features, layer.out_features) for layer in layers.values())
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= largest:
        raise InputError(
            "with_adapters, rank",
            found=repr(rank),
            wanted=f"an integer from 1 to {largest}, the narrowest side of a layer",
            remedy="set rank to 4, as published",
        )
