"""Recognises checkpoints of the published X-ray2CTPA code, and of the networks that it takes from others.

``model-<n>.pt`` of a training holds every network at once, with moving averages of their weights in ``ema``; those are
what is read, since it samples with them. It serves for every role. Each network alone is read too: the denoiser here,
the autoencoders in ``published_autoencoder.py`` and the encoder of radiographs in ``published_tower.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from transmodal.checkpoints import KeyMap, Published, read_safely, state_dict_in
from transmodal.errors import InputError
from transmodal.published import Part
from xray2ctpa_bundle.attention import rotary_frequencies
from xray2ctpa_bundle.published_autoencoder import autoencoder_in, recognise_autoencoder
from xray2ctpa_bundle.published_names import CONSTANTS, unet_names
from xray2ctpa_bundle.published_tower import read_tower

DENOISER = "xray2ctpa_bundle.unet3d.FactorisedUNet"
NORM_GROUPS = 8  # of every published denoiser; they leave no trace in the tensors
TELLING = {
    "init_conv.weight": 5,
    "null_cond_emb": 2,
    "time_rel_pos_bias.relative_attention_bias.weight": 2,
    "init_temporal_attn.fn.fn.fn.to_qkv.weight": 2,
    "downs.0.0.block1.proj.weight": 5,
    "final_conv.1.weight": 5,
}
"""Tensors that tell the denoiser and its widths, to their numbers of dimensions."""
PLAIN = "inc.conv1.conv.weight"  # of the other network that the published code can be told to take
ADAPTER_SCALE = 1.0  # of every published adapter
PARTS = {"autoencoder": Part("models/autoencoder.pt", ("configs/train.json",), "autoencoder_path")}
"""Children that a stage of training leaves in a file of their own, and what uses that file."""


def read(path: str | Path, role: str) -> tuple[dict[str, Tensor], str, Published]:
    """Read the network of a role.

    Args:
        path: a published file that holds it.
        role: child of ``XRayToCT``.
    Returns:
        The state dict with published keys, the file, and the network it belongs to.
    Raises:
        InputError: if the file holds another network, or none.
    """
    if role == "encoder":
        return read_tower(path)
    where = str(path)
    state = weights_in(read_safely(path), where)
    if role == "autoencoder":
        state = autoencoder_in(state)
        return state, where, recognise_autoencoder(state, where)
    state = denoiser_in(state)
    published = recognise(state, where)
    _check_constants(state, published.definition["head_dim"], where)
    return state, where, published


def weights_in(content: object, where: str | Path) -> dict[str, Tensor]:
    """The tensors in what a file held: of a training the moving averages, and the weights where it has none."""
    if isinstance(content, Mapping) and isinstance(content.get("ema"), Mapping):
        content = content["ema"]
    return state_dict_in(content, where)


def denoiser_in(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The denoiser among the networks of a training, or alone, its adapters added to its weights."""
    prefix = "denoise_fn."
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return merged(own or state)


def merged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same with one weight where there are a layer and its adapter, as they act together."""
    own = ("linear.weight", "lora_up.weight", "lora_down.weight")
    weights = [key.removesuffix(".linear.weight") for key in state if key.endswith(".linear.weight")]
    adapted = [layer for layer in weights if all(f"{layer}.{name}" in state for name in own)]
    plain = dict[str, Tensor]()
    for key, value in state.items():
        layer = next((layer for layer in adapted if key.startswith(f"{layer}.")), None)
        if layer is None:
            plain[key] = value
        elif key == f"{layer}.linear.weight":
            up, down = (state[f"{layer}.{name}"].float() for name in own[1:])
            plain[f"{layer}.weight"] = value.float() + ADAPTER_SCALE * (up @ down)
        elif key == f"{layer}.linear.bias":
            plain[f"{layer}.bias"] = value
    return plain


def recognise(state: Mapping[str, Tensor], where: str | Path) -> Published:
    """Infer the denoiser that a published state dict belongs to.

    Told are all widths, the levels and the heads. Groups of norms leave no trace in the tensors and are taken to be as
    published, 8.

    Args:
        state: of the denoiser, with published keys and without adapters.
        where: the file, for the error.
    Raises:
        InputError: if it is another network.
    """
    if PLAIN in state:
        raise _refusal(where, "the plain UNet, which is not told the radiograph")
    if lost := [key for key, dims in TELLING.items() if key not in state or state[key].ndim != dims]:
        raise _refusal(where, f"no {lost[0]} of {TELLING[lost[0]]} dimensions, but {', '.join(list(state)[:3])}")
    dim, channels = state["init_conv.weight"].shape[:2]
    condition_dim = state["null_cond_emb"].shape[1]
    heads = state["time_rel_pos_bias.relative_attention_bias.weight"].shape[1]
    head_dim = state["init_temporal_attn.fn.fn.fn.to_qkv.weight"].shape[0] // (3 * heads)
    firsts = [f"downs.{level}.0.block1.proj.weight" for level in range(len(state))]
    widths = [state[key].shape[0] for key in firsts if key in state]
    if any(width % dim for width in widths) or state["final_conv.1.weight"].shape[0] != channels:
        raise _refusal(where, f"a denoiser of {channels} channels whose levels are {widths} wide, its stem {dim}")
    multiples = [width // dim for width in widths]
    definition = {
        "_target_": DENOISER,
        "channels": channels,
        "dim": dim,
        "dim_mults": multiples,
        "condition_dim": condition_dim,
        "heads": heads,
        "head_dim": head_dim,
        "norm_groups": NORM_GROUPS,
    }
    settings = {
        "latent_channels": channels,
        "denoiser_channels": dim,
        "channel_mult": multiples,
        "embedding_dim": condition_dim,
    }
    title = (
        f"factorised 3D U-Net of {channels} latent channels, {len(widths)} levels ({' '.join(map(str, multiples))} "
        f"times {dim} wide), {heads} heads of {head_dim}, told {condition_dim} numbers of a radiograph; predicts noise"
    )
    return Published(title, definition, KeyMap(unet_names(len(widths)), dropped=CONSTANTS), settings)


def check_network(network: nn.Module) -> None:
    """Refuse to put published weights into a network that takes latents as they are.

    Raises:
        InputError: if nothing tells between which bounds the latents lay that the weights were trained on.
    """
    scale = network.scale
    if torch.equal(scale.mean, torch.zeros_like(scale.mean)) and torch.equal(scale.std, torch.ones_like(scale.std)):
        raise InputError(
            "configuration id 'latent_bounds'",
            found="none, so that the denoiser would meet latents of another scale than it was trained on",
            wanted="the bounds of the latents in the published training, which its weights do not tell",
            remedy="add --config configs/legacy.json, which has those of the paper, or --latent_bounds [LOW,HIGH]",
        )


def _check_constants(state: Mapping[str, Tensor], head_dim: int, where: str | Path) -> None:
    """What is not loaded has to be what the network computes."""
    expected = rotary_frequencies(head_dim)
    given = {key: value for key, value in state.items() if any(re.fullmatch(pattern, key) for pattern in CONSTANTS)}
    for key, value in given.items():
        if value.shape != expected.shape or not torch.allclose(value.float(), expected, rtol=2e-3, atol=1e-6):
            raise _refusal(where, f"rotary positions of its own, {key}")


def _refusal(where: str | Path, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        wanted="the 3D U-Net of the published X-ray2CTPA code, alone or in `model-<n>.pt` of a training",
        remedy="give such a file; a denoiser of another kind has to be trained again with this bundle",
    )
