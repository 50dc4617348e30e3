"""Recognises the visual tower of BiomedCLIP in files of others and loads it.

Read are a checkpoint of open_clip with its text tower (``open_clip_pytorch_model.bin``), one with the visual tower
alone, and a training of the published X-ray2CTPA code, as PyTorch files or as safetensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from transmodal.checkpoints import KeyMap, Published, match, read_safely, state_dict_in
from transmodal.errors import InputError
from xray2ctpa_bundle.vit import BiomedCLIP

__all__ = ["read_tower", "recognise_tower", "tower_in", "tower_names", "with_tower"]

TOWER = "xray2ctpa_bundle.vit.BiomedCLIP"
FIRST = "trunk.cls_token"
HEAD_WIDTH = 64  # of a ViT's attention head; heads leave no trace in the tensors
TELLING = {
    FIRST: 3,
    "trunk.pos_embed": 3,
    "trunk.patch_embed.proj.weight": 4,
    "head.proj.weight": 2,
}
"""Tensors that tell the sizes of the tower, to their numbers of dimensions."""
BLOCK = {
    "norm1": "norm1",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.out_proj",
    "norm2": "norm2",
    "mlp.fc1": "mlp.linear1",
    "mlp.fc2": "mlp.linear2",
}
"""Children of a published block to those of ours."""


def with_tower(network: nn.Module, path: str | Path) -> nn.Module:
    """Load the published weights into the tower of a network.

    Args:
        network: a :class:`~xray2ctpa_bundle.vit.BiomedCLIP`, or a network that holds one.
        path: a file that holds such a tower.
    Returns:
        ``network``.
    Raises:
        InputError: if the network has not exactly one tower, or the file does not hold exactly its weights.
    """
    towers = [module for module in network.modules() if isinstance(module, BiomedCLIP)]
    if len(towers) != 1:
        raise InputError(
            "configuration id 'network'",
            found=f"{len(towers)} visual towers of BiomedCLIP in {type(network).__name__}",
            wanted="one, to load weights into",
            remedy=f"make the encoder of radiographs a {TOWER}",
        )
    state, where, published = read_tower(path)
    towers[0].load_state_dict(match(state, towers[0].state_dict(), published.key_map, where)[0])
    return network


def read_tower(path: str | Path) -> tuple[dict[str, Tensor], str, Published]:
    """Read a tower.

    Args:
        path: a file that holds one; of a published training the moving averages are read where there are any.
    Returns:
        The state dict with published keys from ``trunk.`` and ``head.`` on, the file, and the network it belongs to.
    Raises:
        InputError: if it holds no tower, or one of another kind.
    """
    content, where = read_safely(path), str(path)
    if isinstance(content, Mapping) and isinstance(content.get("ema"), Mapping):
        content = content["ema"]
    state = tower_in(state_dict_in(content, where), where)
    return state, where, recognise_tower(state, where)


def tower_in(state: Mapping[str, Tensor], where: str | Path) -> dict[str, Tensor]:
    """The visual tower among all tensors of a file, whatever it stands under, without that prefix.

    Raises:
        InputError: if there is not exactly one.
    """
    prefixes = [key.removesuffix(FIRST) for key in state if key == FIRST or key.endswith(f".{FIRST}")]
    if len(prefixes) != 1:
        raise _refusal(where, f"{len(prefixes)} visual towers among keys such as {', '.join(list(state)[:3])}")
    own = re.compile(re.escape(prefixes[0]) + r"((trunk|head)\..+)")
    return {found[1]: value for key, value in state.items() if (found := own.fullmatch(key))}


def recognise_tower(state: Mapping[str, Tensor], where: str | Path) -> Published:
    """Infer the tower that a state dict belongs to; heads are taken to be 64 wide, as those of every ViT of its kind.

    Args:
        state: of the tower, with published keys.
        where: the file, for the error.
    Raises:
        InputError: if it is another network.
    """
    if lost := [key for key, dims in TELLING.items() if key not in state or state[key].ndim != dims]:
        raise _refusal(where, f"no {lost[0]} of {TELLING[lost[0]]} dimensions")
    width, _, patch_size, _ = state["trunk.patch_embed.proj.weight"].shape
    side = round((state["trunk.pos_embed"].shape[1] - 1) ** 0.5)
    depth = len({key.split(".")[2] for key in state if key.startswith("trunk.blocks.")})
    if side**2 + 1 != state["trunk.pos_embed"].shape[1]:
        raise _refusal(where, f"{state['trunk.pos_embed'].shape[1]} positions, which are no square and one")
    sizes = {
        "image_size": side * patch_size,
        "patch_size": patch_size,
        "width": width,
        "depth": depth,
        "heads": max(1, width // HEAD_WIDTH),
        "embedding_dim": state["head.proj.weight"].shape[0],
    }
    title = (
        f"visual tower of BiomedCLIP, {depth} blocks of {sizes['heads']} heads, {width} wide, of images of "
        f"{side * patch_size}² pixels in patches of {patch_size}², to {sizes['embedding_dim']} numbers"
    )
    settings = {"embedding_dim": sizes["embedding_dim"]}
    return Published(title, {"_target_": TOWER, **sizes}, KeyMap(tower_names(depth)), settings)


def tower_names(depth: int = 12) -> dict[str, str]:
    """Published names of the modules of the tower to ours."""
    names = {
        FIRST: "trunk.class_token",
        "trunk.pos_embed": "trunk.positions",
        "trunk.patch_embed.proj": "trunk.patches",
        "trunk.norm": "trunk.norm",
        "head.proj": "head",
    }
    return names | {
        f"trunk.blocks.{block}.{theirs}": f"trunk.blocks.{block}.{ours}"
        for block in range(depth)
        for theirs, ours in BLOCK.items()
    }


def _refusal(where: str | Path, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        wanted="the visual tower of BiomedCLIP (keys visual.trunk.*, visual.head.proj.weight)",
        remedy="give open_clip_pytorch_model.bin of BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
    )
