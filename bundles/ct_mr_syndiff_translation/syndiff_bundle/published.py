"""Recognises checkpoints of the published SynDiff code (files ``gen_diffusive_1_<epoch>.pth`` and so on).

The published NCSN++ numbers its modules in the order in which it builds them, so that a number means something only
together with the number of levels, the blocks of a level and where attention stands. All three follow from the kinds
of module that bear the numbers, and the names from walking the same order.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from syndiff_bundle.training_file import TrainingFile, is_training, training_in
from transmodal.checkpoints import KeyMap, Published, read_safely, state_dict_in
from transmodal.errors import InputError

RESIDUAL_BLOCK = {
    "GroupNorm_0": "norm1",
    "Conv_0": "conv1",
    "Dense_0": "time_projection",
    "GroupNorm_1": "norm2",
    "Conv_1": "conv2",
    "Conv_2": "shortcut",
}
ATTENTION = {"GroupNorm_0": "norm"} | {
    f"NIN_{index}.{published}": f"{child}.{ours}"
    for index, child in enumerate(("query", "key", "value", "projection"))
    for published, ours in (("W", "weight"), ("b", "bias"))
}
PYRAMID = {"Conv2d_0": "conv"}
LAYER = {"": ""}
TIME_CRITIC = {
    "t_embed.main.0": "time_embedding.linear1",
    "t_embed.main.2": "time_embedding.linear2",
    "start_conv": "stem",
    "final_conv": "final_conv",
    "end_linear": "head",
}
TIME_CRITIC_BLOCK = {"conv1.0": "conv1", "conv2.0": "conv2", "dense_t1": "time_projection", "skip.0": "shortcut"}
REFUSED = {
    r"t_embed\..*": "a diffusive discriminator (`disc_diffusive_1` or `_2`)",
    r"model\.\d+\.conv_block\..*": "a non-diffusive generator (`gen_non_diffusive_1to2` or `_2to1`)",
    r"model\.(0|11)\.weight": "a non-diffusive discriminator (`disc_non_diffusive_cycle1` or `_cycle2`)",
    r"all_modules\.\d+\.(conv\d|fc)\..*|feat_\w+\..*": "a generator of MU-Diff, which reads each source by itself",
}
TRANSPOSED = {
    r"all_modules\.\d+\.NIN_\d\.W": "a projection of every pixel is stored as [in, out], a linear layer as [out, in]"
}


def read(path: str | Path, role: str) -> tuple[dict[str, Tensor], str, Published]:
    """Read the generator of a role from its own file or from a whole training.

    Args:
        path: ``gen_diffusive_1_<epoch>.pth``, ``gen_diffusive_2_<epoch>.pth`` or ``content.pth``.
        role: child of ``DiffusiveTranslators``; of a training, ``first`` takes ``gen_diffusive_1``, averaged where the
            training kept an average.
    Returns:
        The state dict with published keys, what it is taken from, and the network it belongs to.
    Raises:
        InputError: if the file is neither, or the network is another.
    """
    content = read_safely(path, allowed=[Namespace])
    if not is_training(content):
        state = state_dict_in(content, where=path)
        return state, str(path), recognise(state, where=path)
    training = training_in(content, path)
    name = {"first": "gen_diffusive_1", "second": "gen_diffusive_2"}[role]
    network = training.networks[name]
    kind = "averaged (EMA) weights" if network.has_average else "weights as trained, there is no average of them,"
    where = f"{path}, {name}, {kind} after {training.epoch} epochs"
    state = network.average
    return state, where, as_trained(recognise(state, where), training)


def as_trained(published: Published, training: TrainingFile) -> Published:
    """A recognised generator with what only the options of its training tell."""
    settings = {**published.settings, "num_timesteps": training.arguments.get("num_timesteps", 4)}
    if not training.arguments.get("not_use_tanh", False):
        return replace(published, settings=settings)
    settings["generator_def#tanh"] = False
    return replace(published, definition={**published.definition, "tanh": False}, settings=settings)


def recognise(state: Mapping[str, Tensor], where: str | Path) -> Published:
    """Infer the diffusive generator that a published state dict belongs to.

    Told apart are levels, blocks, attention and every width. What leaves no trace in the tensors is taken to be as in
    the published commands: tanh at the output, no dropout, four timesteps.

    Args:
        state: with published keys, ``module.`` removed.
        where: the file, for the error.
    Raises:
        InputError: if it is another network; those that the published code and MU-Diff write are named.
    """
    for pattern, network in REFUSED.items():
        if any(re.fullmatch(pattern, key) for key in state):
            raise _refusal(where, network)
    attention, num_res_blocks = _layout(_built(state, where), where)
    mapping_layers = sum(re.fullmatch(r"z_transform\.\d+\.weight", key) is not None for key in state) - 1
    key_map = ncsnpp_key_map(attention, num_res_blocks, mapping_layers)
    stem, head, latent, *levels = _telling_shapes(state, key_map, len(attention), where)
    if stem[1] != 2:
        raise _refusal(where, f"a diffusive generator of {stem[1]} channels; one is the noisy target, one the source")
    channel_mult = [level[0] // stem[0] for level in levels]
    definition = {
        "_target_": "transmodal.networks.nets.NCSNpp",
        "in_channels": stem[1],
        "out_channels": head[0],
        "channels": stem[0],
        "channel_mult": channel_mult,
        "num_res_blocks": num_res_blocks,
        "attention": attention,
        "latent_dim": latent[1],
        "style_dim": latent[0],
        "mapping_layers": mapping_layers,
    }
    attending = " and ".join(str(level) for level, attends in enumerate(attention) if attends)
    title = (
        f"NCSN++ of {len(attention)} levels ({' '.join(map(str, channel_mult))} times {stem[0]} wide), {num_res_blocks}"
        f" residual blocks each, attention {f'at level {attending} and ' if attending else ''}in the middle"
    )
    return Published(title, definition, key_map, settings={"latent_dim": latent[1]})


def _telling_shapes(
    state: Mapping[str, Tensor], key_map: KeyMap, levels: int, where: str | Path
) -> list[tuple[int, ...]]:
    """Shapes of the weights of the stem, the head, the first layer of the mapping and one convolution of each level."""
    wanted = {"stem.weight": 4, "trunk.head.weight": 4, "latent_mapping.layers.0.weight": 2}
    wanted |= {f"trunk.down.{level}.blocks.0.conv1.weight": 4 for level in range(levels)}
    shapes = {key_map.name(key): tuple(value.shape) for key, value in state.items()}
    if lost := [key for key, dims in wanted.items() if len(shapes.get(key, ())) != dims]:
        published = {f"{ours}.weight": f"{module}.weight" for module, ours in key_map.names.items()}
        raise _refusal(where, f"no {', '.join(published[key] for key in lost)} of the right number of dimensions")
    return [shapes[key] for key in wanted]


def _built(state: Mapping[str, Tensor], where: str | Path) -> list[Mapping[str, str]]:
    """The kind of module behind each published number, as the names of its children."""
    keys: dict[int, list[str]] = {}
    for found in filter(None, (re.fullmatch(r"all_modules\.(\d+)\.(.+)", key) for key in state)):
        keys.setdefault(int(found[1]), []).append(found[2])
    if not keys:
        raise _refusal(where, f"keys such as {', '.join(list(state)[:3])}")
    if gaps := [f"all_modules.{number}" for number in range(max(keys)) if number not in keys]:
        raise _refusal(where, f"a numbering without {', '.join(gaps[:10])}")
    return [_kind(keys[number]) for number in sorted(keys)]


def _kind(keys: Sequence[str]) -> Mapping[str, str]:
    if any(key.startswith("NIN_") for key in keys):
        return ATTENTION
    if any(key.startswith("Conv2d_0.") for key in keys):
        return PYRAMID
    return RESIDUAL_BLOCK if any("." in key for key in keys) else LAYER


def _layout(built: Sequence[Mapping[str, str]], where: str | Path) -> tuple[list[bool], int]:
    """For each level whether it attends, and the residual blocks of a level."""
    levels = built.count(PYRAMID) + 1
    num_res_blocks = (built.count(RESIDUAL_BLOCK) - 3 * levels) // (2 * levels)
    before = [2, *(number for number, kind in enumerate(built) if kind is PYRAMID)]
    attention = [built[number + 2 : number + 3] == [ATTENTION] for number in before]
    if num_res_blocks < 1 or built != [kind for _, kind in _in_published_order(attention, num_res_blocks)]:
        raise _refusal(where, f"{len(built)} modules in an order that is not NCSN++ with a residual input pyramid")
    return attention, num_res_blocks


def ncsnpp_key_map(attention: Sequence[bool], num_res_blocks: int = 2, mapping_layers: int = 3) -> KeyMap:
    """From the keys of a published NCSN++ to those of our ``NCSNpp``; arguments as for :func:`ncsnpp_names`."""
    return KeyMap(ncsnpp_names(attention, num_res_blocks, mapping_layers), transposed=TRANSPOSED)


def ncsnpp_names(attention: Sequence[bool], num_res_blocks: int = 2, mapping_layers: int = 3) -> dict[str, str]:
    """Published names of the modules of NCSN++ to those of ``NCSNpp``.

    Args:
        attention: for each level, the finest first, whether it attends.
        num_res_blocks: residual blocks of a level on the way down; there is one more on the way up.
        mapping_layers: hidden layers of the mapping of the latent.
    """
    names = {}
    for number, (ours, children) in enumerate(_in_published_order(attention, num_res_blocks)):
        for published, child in children.items():
            names[_dotted("all_modules", str(number), published)] = _dotted(ours, child)
    for index in range(mapping_layers + 1):
        names[f"z_transform.{2 * index + 1}"] = f"latent_mapping.layers.{index}"
    return names


def _in_published_order(attention: Sequence[bool], num_res_blocks: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Our module behind each published number, with the names of the children in both."""
    yield "time_embedding.linear1", LAYER
    yield "time_embedding.linear2", LAYER
    yield "stem", LAYER
    coarsest = len(attention) - 1
    for level, attends in enumerate(attention):
        for block in range(num_res_blocks):
            yield f"trunk.down.{level}.blocks.{block}", RESIDUAL_BLOCK
            if attends:
                yield f"trunk.down.{level}.attention.{block}", ATTENTION
        if level < coarsest:
            yield f"trunk.down.{level}.downsample", RESIDUAL_BLOCK
            yield f"trunk.down.{level}.pyramid", PYRAMID
    yield "trunk.middle.block1", RESIDUAL_BLOCK
    yield "trunk.middle.attention", ATTENTION
    yield "trunk.middle.block2", RESIDUAL_BLOCK
    for level in reversed(range(len(attention))):
        for block in range(num_res_blocks + 1):
            yield f"trunk.up.{level}.blocks.{block}", RESIDUAL_BLOCK
        if attention[level]:
            yield f"trunk.up.{level}.attention", ATTENTION
        if level > 0:
            yield f"trunk.up.{level}.upsample", RESIDUAL_BLOCK
    yield "trunk.norm", LAYER
    yield "trunk.head", LAYER


def time_discriminator_names(num_blocks: int = 6) -> dict[str, str]:
    """Published names of the modules of the diffusive discriminator to those of ``TimeDiscriminator``."""
    blocks = {
        f"conv{index + 1}.{published}": f"blocks.{index}.{ours}"
        for index in range(num_blocks)
        for published, ours in TIME_CRITIC_BLOCK.items()
    }
    return TIME_CRITIC | blocks


def _refusal(where: str | Path, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        wanted="a diffusive generator of the published SynDiff code (`gen_diffusive_1` or `gen_diffusive_2`)",
        remedy="give the generator files; a network of another kind has to be trained again with this bundle",
    )


def _dotted(*parts: str) -> str:
    return ".".join(filter(None, parts))
