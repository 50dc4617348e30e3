"""Layer names of published networks that several methods share, by which their checkpoints are read.

The published CycleGAN code numbers the layers of its networks; SynDiff took two of those networks over, and MU-Diff
took SynDiff's NCSN++ and diffusive discriminator over. NCSN++ numbers its modules in the order in which it builds them,
so that a number means something only together with the stems, the levels, the blocks of a level and where attention
stands. All follow from the kinds of module that bear the numbers, and the names from walking the same order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from transmodal.checkpoints import KeyMap
from transmodal.errors import InputError

Kind = Mapping[str, str]
"""Children of a published module, which tell its kind, to ours; the empty name is the module itself."""

LAYER: Kind = {"": ""}
RESIDUAL_BLOCK: Kind = {
    "GroupNorm_0": "norm1",
    "Conv_0": "conv1",
    "Dense_0": "time_projection",
    "GroupNorm_1": "norm2",
    "Conv_1": "conv2",
    "Conv_2": "shortcut",
}
ATTENTION: Kind = {"GroupNorm_0": "norm"} | {
    f"NIN_{index}.{published}": f"{child}.{ours}"
    for index, child in enumerate(("query", "key", "value", "projection"))
    for published, ours in (("W", "weight"), ("b", "bias"))
}
PYRAMID: Kind = {"Conv2d_0": "conv"}
OF_THE_TRUNK: Mapping[str, Kind] = {"NIN_": ATTENTION, "Conv2d_0.": PYRAMID}
TRANSPOSED = {
    r"all_modules\.\d+\.NIN_\d\.W": "a projection of every pixel is stored as [in, out], a linear layer as [out, in]"
}
TIME_CRITIC = {
    "t_embed.main.0": "time_embedding.linear1",
    "t_embed.main.2": "time_embedding.linear2",
    "start_conv": "stem",
    "final_conv": "final_conv",
    "end_linear": "head",
}
TIME_CRITIC_BLOCK = {"conv1.0": "conv1", "conv2.0": "conv2", "dense_t1": "time_projection", "skip.0": "shortcut"}


@dataclass(frozen=True)
class Part:
    """A child of a bundle's network that has a file of its own, as a stage of training leaves it.

    Args:
        weights: the file, from the bundle's root.
        configs: what uses it without the other children, from the bundle's root.
        path: id of the file in those configs.
    """

    weights: str
    configs: tuple[str, ...]
    path: str


@dataclass(frozen=True)
class NCSNppLayout:
    """In which order a published NCSN++ builds its modules.

    Args:
        stems: what stands before the trunk, as our names and the kinds of module.
        attention: for each level, the finest first, whether it attends.
        num_res_blocks: residual blocks of a level on the way down; there is one more on the way up.
        mapping_layers: hidden layers of the mapping of the latent.
    """

    stems: Sequence[tuple[str, Kind]]
    attention: Sequence[bool]
    num_res_blocks: int = 2
    mapping_layers: int = 3

    def names(self) -> dict[str, str]:
        """Published names of the modules to those of our ``NCSNppTrunk`` and of what stands around it."""
        names = {}
        for number, (ours, kind) in enumerate(self.modules()):
            for published, child in kind.items():
                names[_dotted("all_modules", str(number), published)] = _dotted(ours, child)
        for index in range(self.mapping_layers + 1):
            names[f"z_transform.{2 * index + 1}"] = f"latent_mapping.layers.{index}"
        return names

    def modules(self) -> Iterator[tuple[str, Kind]]:
        """Our name and the kind of each module in its published order."""
        yield "time_embedding.linear1", LAYER
        yield "time_embedding.linear2", LAYER
        yield from self.stems
        coarsest = len(self.attention) - 1
        for level, attends in enumerate(self.attention):
            for block in range(self.num_res_blocks):
                yield f"trunk.down.{level}.blocks.{block}", RESIDUAL_BLOCK
                if attends:
                    yield f"trunk.down.{level}.attention.{block}", ATTENTION
            if level < coarsest:
                yield f"trunk.down.{level}.downsample", RESIDUAL_BLOCK
                yield f"trunk.down.{level}.pyramid", PYRAMID
        yield "trunk.middle.block1", RESIDUAL_BLOCK
        yield "trunk.middle.attention", ATTENTION
        yield "trunk.middle.block2", RESIDUAL_BLOCK
        for level in reversed(range(len(self.attention))):
            for block in range(self.num_res_blocks + 1):
                yield f"trunk.up.{level}.blocks.{block}", RESIDUAL_BLOCK
            if self.attention[level]:
                yield f"trunk.up.{level}.attention", ATTENTION
            if level > 0:
                yield f"trunk.up.{level}.upsample", RESIDUAL_BLOCK
        yield "trunk.norm", LAYER
        yield "trunk.head", LAYER

    def settings(self, shapes: Mapping[str, Sequence[int]], stem: str) -> dict[str, Any]:
        """Arguments of our network.

        Args:
            shapes: of the tensors that :meth:`telling` names.
            stem: weight whose first dimension is the width of the network.
        """
        width, latent = shapes[stem][0], shapes["latent_mapping.layers.0.weight"]
        levels = [shapes[f"trunk.down.{level}.blocks.0.conv1.weight"][0] for level in range(len(self.attention))]
        return {
            "channels": width,
            "channel_mult": [level // width for level in levels],
            "num_res_blocks": self.num_res_blocks,
            "attention": list(self.attention),
            "latent_dim": latent[1],
            "style_dim": latent[0],
            "mapping_layers": self.mapping_layers,
        }

    def telling(self) -> dict[str, int]:
        """Our keys of the tensors that tell the widths of the trunk, to their numbers of dimensions."""
        levels = {f"trunk.down.{level}.blocks.0.conv1.weight": 4 for level in range(len(self.attention))}
        return {"latent_mapping.layers.0.weight": 2, **levels}


def ncsnpp_modules(
    state: Mapping[str, Tensor], stems: Mapping[str, Kind], refuse: Callable[[str], InputError]
) -> list[Kind]:
    """The kind of module behind each number of a published NCSN++.

    Args:
        state: with published keys.
        stems: beginning of a child's key to the kind of stem that has such a child; the first that fits wins.
        refuse: makes the error for what was found.
    Raises:
        InputError: if nothing is numbered, or numbers are left out.
    """
    keys: dict[int, list[str]] = {}
    for found in filter(None, (re.fullmatch(r"all_modules\.(\d+)\.(.+)", key) for key in state)):
        keys.setdefault(int(found[1]), []).append(found[2])
    if not keys:
        raise refuse(f"keys such as {', '.join(list(state)[:3])}")
    if gaps := [f"all_modules.{number}" for number in range(max(keys)) if number not in keys]:
        raise refuse(f"a numbering without {', '.join(gaps[:10])}")
    return [_kind(keys[number], {**stems, **OF_THE_TRUNK}) for number in sorted(keys)]


def ncsnpp_layout(
    state: Mapping[str, Tensor],
    built: Sequence[Kind],
    stems: Sequence[tuple[str, Kind]],
    refuse: Callable[[str], InputError],
) -> NCSNppLayout:
    """Infer the layout of a published NCSN++.

    Args:
        state: with published keys.
        built: its modules, from :func:`ncsnpp_modules`.
        stems: as for :class:`NCSNppLayout`.
        refuse: makes the error for what was found.
    Raises:
        InputError: if the modules stand in another order than in any layout.
    """
    levels = built.count(PYRAMID) + 1
    num_res_blocks = (built.count(RESIDUAL_BLOCK) - 3 * levels) // (2 * levels)
    before = [1 + len(stems), *(number for number, kind in enumerate(built) if kind is PYRAMID)]
    attention = [list(built[number + 2 : number + 3]) == [ATTENTION] for number in before]
    mapping_layers = sum(re.fullmatch(r"z_transform\.\d+\.weight", key) is not None for key in state) - 1
    layout = NCSNppLayout(stems, attention, num_res_blocks, mapping_layers)
    if num_res_blocks < 1 or list(built) != [kind for _, kind in layout.modules()]:
        raise refuse(f"{len(built)} modules in an order that is not NCSN++ with a residual input pyramid")
    return layout


def telling_shapes(
    state: Mapping[str, Tensor], key_map: KeyMap, wanted: Mapping[str, int], refuse: Callable[[str], InputError]
) -> dict[str, tuple[int, ...]]:
    """Shapes of tensors of a published state dict, by our keys.

    Args:
        state: with published keys.
        key_map: from those to ours.
        wanted: our keys, to their numbers of dimensions.
        refuse: makes the error for what was found.
    Raises:
        InputError: if one is missing or of another number of dimensions.
    """
    shapes = {key_map.name(key): tuple(value.shape) for key, value in state.items()}
    if lost := [key for key, dims in wanted.items() if len(shapes.get(key, ())) != dims]:
        published = {ours: module for module, ours in key_map.names.items()}
        modules = [published[key.removesuffix(".weight")] for key in lost]
        raise refuse(f"no {', '.join(f'{module}.weight' for module in modules)} of the right number of dimensions")
    return {key: shapes[key] for key in wanted}


def ncsnpp_in_words(settings: Mapping[str, Any]) -> str:
    """Levels, widths, blocks and attention, for the reader, from :meth:`NCSNppLayout.settings`."""
    levels, widths = len(settings["channel_mult"]), " ".join(map(str, settings["channel_mult"]))
    attending = " and ".join(str(level) for level, attends in enumerate(settings["attention"]) if attends)
    return (
        f"{levels} levels ({widths} times {settings['channels']} wide), {settings['num_res_blocks']} residual blocks"
        f" each, attention {f'at level {attending} and ' if attending else ''}in the middle"
    )


def time_discriminator_names(num_blocks: int = 6) -> dict[str, str]:
    """Published names of the modules of the diffusive discriminator to those of ``TimeDiscriminator``."""
    blocks = {
        f"conv{index + 1}.{published}": f"blocks.{index}.{ours}"
        for index in range(num_blocks)
        for published, ours in TIME_CRITIC_BLOCK.items()
    }
    return TIME_CRITIC | blocks


def resnet_generator_names(num_blocks: int, dropout: bool = False) -> dict[str, str]:
    """Published module names of the ResNet generator, which number its layers, to those of ``ResNetGenerator``."""
    names = {"model.1": "stem.conv", "model.2": "stem.norm"}
    names |= {"model.4": "down.0.conv", "model.5": "down.0.norm", "model.7": "down.1.conv", "model.8": "down.1.norm"}
    second = 6 if dropout else 5
    for index in range(num_blocks):
        published, ours = f"model.{10 + index}.conv_block", f"blocks.{index}"
        names |= {f"{published}.1": f"{ours}.conv1", f"{published}.2": f"{ours}.norm1"}
        names |= {f"{published}.{second}": f"{ours}.conv2", f"{published}.{second + 1}": f"{ours}.norm2"}
    tail = 10 + num_blocks
    names |= {f"model.{tail}": "up.0.conv", f"model.{tail + 1}": "up.0.norm"}
    names |= {f"model.{tail + 3}": "up.1.conv", f"model.{tail + 4}": "up.1.norm", f"model.{tail + 7}": "head"}
    return names


def patch_discriminator_names(num_layers: int = 3) -> dict[str, str]:
    """Published module names of the PatchGAN discriminator to those of MONAI's ``PatchDiscriminator``.

    Args:
        num_layers: ``num_layers_d``; behind the first convolution a norm and an activation follow each.
    """
    names = {"model.0": "initial_conv.conv"}
    names |= {f"model.{2 + 3 * index}": f"{index}.conv" for index in range(num_layers)}
    return names | {f"model.{2 + 3 * num_layers}": "final_conv.conv"}


def _kind(keys: Sequence[str], kinds: Mapping[str, Kind]) -> Kind:
    for beginning, kind in kinds.items():
        if any(key.startswith(beginning) for key in keys):
            return kind
    return RESIDUAL_BLOCK if any("." in key for key in keys) else LAYER


def _dotted(*parts: str) -> str:
    return ".".join(filter(None, parts))
