"""What a stage of training takes from those before it: parts of the network from files, and the scale of latents."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from transmodal.checkpoints import load_weights
from transmodal.errors import InputError, require_flag
from transmodal.networks import LatentScale

__all__ = ["ScaledLatents", "identity_of", "measured", "with_parts"]


class Scaled(Protocol):
    """A network that scales its latents."""

    scale: LatentScale


class ScaledLatents(Protocol):
    """A data set of latents.

    Attributes:
        latents: the raw latents of all training targets, each (E, D, H, W).
        scale: normalises the items; None leaves them raw.
    """

    scale: LatentScale | None

    @property
    def latents(self) -> Iterable[Tensor]: ...


Network = TypeVar("Network", bound=nn.Module)
ScaledNetwork = TypeVar("ScaledNetwork", bound=Scaled)


def with_parts(network: Network, parts: Mapping[str, str | Path], device: str | torch.device | None = None) -> Network:
    """Give a network what earlier stages trained, and freeze it.

    Args:
        network: receives the weights in place; its ``stages`` name the children that a stage of their own trains, each
            by ``configs/train_<child>.json``.
        parts: names of such children, to files of their weights.
        device: where the whole network goes; where it is, if None.
    Returns:
        ``network``.
    Raises:
        InputError: if a part has another name, or its file is missing, unreadable or not wholly of this part.
    """
    stages: Sequence[str] = getattr(network, "stages", ())
    for name, path in parts.items():
        if name not in stages:
            raise InputError(
                "with_parts, parts",
                found=f"a part '{name}'",
                wanted=" or ".join(stages) or f"none: no stage trains a part of a {type(network).__name__}",
                remedy="name the parts that earlier stages train",
            )
        load_weights(network.get_submodule(name), path, command=_command(name)).requires_grad_(False)
    return network if device is None else network.to(device)


def measured(
    network: ScaledNetwork, dataset: ScaledLatents, enabled: bool = True, bounds: Sequence[float] | None = None
) -> ScaledNetwork:
    """Set the scale of a network's latents, and let the data set normalise by the network's scale.

    The data set has the values on the CPU, where its worker processes need them, and follows whenever a state dict is
    loaded into the network: what goes on from weights of another data set, goes on with their scale.

    Args:
        network: whose ``scale``, a :class:`~transmodal.networks.LatentScale`, is set in place.
        dataset: of latents that the network's autoencoder made.
        enabled: false leaves the scale as it is, which for a new network are raw latents bounded by [-1, 1].
        bounds: lowest and highest raw latent, which become -1 and 1; where null, mean, deviation and bounds of each
            channel are measured on the data set.
    Returns:
        ``network``.
    Raises:
        InputError: if ``enabled`` is no truth value, ``bounds`` are none, or latents are not finite.
    """
    require_flag("measured, enabled", enabled, "write false to leave the latents raw")
    if bounds is not None and (isinstance(bounds, str) or len(bounds) != 2):
        raise InputError(
            "measured, bounds",
            found=repr(bounds),
            wanted="two numbers, or null",
            remedy="give the lowest and the highest latent, or null to measure each channel",
        )
    if enabled and bounds is not None:
        network.scale.stretch_(*bounds)
    elif enabled:
        network.scale.measure_(dataset.latents)
    followed = copy.deepcopy(network.scale).cpu()
    network.scale.register_load_state_dict_post_hook(_Following(followed))  # type: ignore[no-untyped-call]
    dataset.scale = followed
    return network


def identity_of(network: nn.Module) -> str:
    """Text that tells one network's weights from any other's."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class _Following:
    """Brings what is loaded into one scale to another one; a copy of the network has nothing that follows it."""

    def __init__(self, scale: LatentScale) -> None:
        self.scale = scale

    def __call__(self, loaded: nn.Module, incompatible: Any) -> None:
        self.scale.load_state_dict(loaded.state_dict())


def _command(stage: str) -> str:
    configs = f"\"['configs/train.json','configs/train_{stage}.json']\""
    return f"train that stage first, with `python -m monai.bundle run --config_file {configs}`"
