"""Recognises checkpoints of the published MU-Diff code (``gen_diffusive_1.pth``, ``gen_diffusive_2.pth``).

Which contrasts the sources are and in what order, which one is made and in how many steps leaves no trace in the
tensors: who imports a checkpoint has to know.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from mudiff_bundle.networks import ring
from transmodal.checkpoints import KeyMap, Published, read_safely, state_dict_in
from transmodal.errors import InputError
from transmodal.published import (
    TRANSPOSED,
    Kind,
    ncsnpp_in_words,
    ncsnpp_layout,
    ncsnpp_modules,
    telling_shapes,
)

STEM: Kind = {"conv1": "conv1", "conv2": "conv2"}
STYLED_STEM: Kind = {**STEM, "group_norm.style": "norm.style"}
GUESS_STEM: Kind = {"conv1": "stem.conv1", "conv2": "stem.conv2", "fc": "fc"}
STEMS: Mapping[str, Kind] = {"fc.": GUESS_STEM, "group_norm.": STYLED_STEM, "conv1.": STEM}
FUSION = {"gate1": "feat_att1_c{first}{second}", "gate2": "feat_att2_c{first}{second}", "blend": "feat_weight_c{pair}"}
SPECIFIC, AWARE = "mudiff_bundle.networks.ContrastSpecificDenoiser", "mudiff_bundle.networks.ContrastAwareDenoiser"
ROLES = {
    "specific": (SPECIFIC, "gen_diffusive_1", "the contrast-specific denoiser (`gen_diffusive_1`)"),
    "aware": (AWARE, "gen_diffusive_2", "the contrast-aware denoiser (`gen_diffusive_2`)"),
}
REFUSED = {
    r"t_embed\..*": "the discriminator (`disc_diffusive_2`)",
    r"all_modules\.2\.weight": "a diffusive generator of SynDiff, which reads the noisy image and its source together",
    r"model\.\d+\..*": "a non-diffusive network of SynDiff or CycleGAN",
}


def read(path: str | Path, role: str) -> tuple[dict[str, Tensor], str, Published]:
    """Read the denoiser of a role from its own file or from a whole training.

    Args:
        path: ``gen_diffusive_1.pth`` or ``gen_diffusive_2.pth``, with an epoch in the name or without, or
            ``content.pth``, which also tells the number of steps.
        role: child of ``MutualDenoisers``.
    Returns:
        The state dict with published keys, what it is taken from, and the network it belongs to.
    Raises:
        InputError: if the network is another, be it the other denoiser.
    """
    content, where, told = read_safely(path, allowed=[Namespace]), str(path), dict[str, Any]()
    target, name, wanted = ROLES[role]
    if isinstance(content, Mapping) and "args" in content and f"{name}_dict" in content:
        _check_training(content, name, path)
        told = {"num_timesteps": vars(content["args"]).get("num_timesteps", 4)}
        content, where = content[f"{name}_dict"], f"{path}, {name}"
    state = state_dict_in(content, where)
    published = recognise(state, where)
    if published.definition["_target_"] != target:
        other, found = next((role, title) for role, (theirs, _, title) in ROLES.items() if theirs != target)
        raise InputError(
            where, found=found, wanted=wanted, remedy=f"give this file as {other}=FILE, the other as {role}"
        )
    return state, where, replace(published, settings={**published.settings, **told})


def _check_training(content: Mapping[str, Any], name: str, path: str | Path) -> None:
    """Refuse a training whose weights are not those that its sampling uses, or whose denoisers are none of ours."""
    if vars(content["args"]).get("not_use_tanh", False):
        raise InputError(
            path,
            found="a training with --not_use_tanh",
            wanted="denoisers that end with tanh",
            remedy="train again with this bundle",
        )
    moments = content.get(f"optimizer_{name}", {}).get("state", {})
    if any("ema" in each for each in moments.values()):
        raise InputError(
            path,
            found="a training with moving averages (--use_ema) beside the weights",
            wanted="the averaged weights",
            remedy=f"give {name}_EPOCH.pth, which holds them",
        )


def recognise(state: Mapping[str, Tensor], where: str | Path) -> Published:
    """Infer the denoiser that a published state dict belongs to.

    Told apart are the two denoisers, the number of sources, levels, blocks, attention and every width. What leaves no
    trace in the tensors is taken to be as in the published commands: tanh at the output, no dropout.

    Args:
        state: with published keys, ``module.`` removed.
        where: the file, for the error.
    Raises:
        InputError: if it is another network; those that the published code and SynDiff write are named.
    """
    refuse = partial(_refusal, where)
    for pattern, network in REFUSED.items():
        if any(re.fullmatch(pattern, key) for key in state):
            raise refuse(network)
    built = ncsnpp_modules(state, STEMS, refuse)
    aware = GUESS_STEM in built
    num_sources = built.count(STYLED_STEM) if aware else built.count(STEM) - 1
    if num_sources < 1:
        raise refuse("a network without a stem for each source")
    layout = ncsnpp_layout(state, built, stems(num_sources, aware), refuse)
    names = layout.names() | (fusion_names(num_sources) if aware else {})
    key_map = KeyMap(names, transposed=TRANSPOSED)
    width, style = "noisy_stem.conv1.weight", "guess_stem.fc.weight"
    shapes = telling_shapes(state, key_map, {width: 4, **({style: 2} if aware else {}), **layout.telling()}, refuse)
    settings = layout.settings(shapes, width)
    definition = {"_target_": AWARE if aware else SPECIFIC, "num_sources": num_sources, **settings}
    if aware:
        definition["stem_style_dim"] = shapes[style][0]
    which, built_of = "aware" if aware else "specific", ncsnpp_in_words(settings)
    title = f"contrast-{which} denoiser for {num_sources} sources, {built_of}"
    return Published(title, definition, key_map, settings={"latent_dim": settings["latent_dim"]})


def stems(num_sources: int, aware: bool) -> list[tuple[str, Kind]]:
    """Our names of the modules before the first level, in the published order, with what each is made of."""
    noisy = [("guess_stem", GUESS_STEM), ("noisy_stem", STEM)] if aware else [("noisy_stem", STEM)]
    return [*noisy, *((f"source_stems.{index}", STYLED_STEM if aware else STEM) for index in range(num_sources))]


def fusion_names(num_sources: int) -> dict[str, str]:
    """Of the convolutions that fuse pairs of sources; the published names count sources and pairs from 1."""
    return {
        published.format(first=first + 1, second=second + 1, pair=pair + 1): f"fusion.{pair}.{ours}"
        for pair, (first, second) in enumerate(ring(num_sources))
        for ours, published in FUSION.items()
    }


def _refusal(where: str | Path, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        wanted="a denoiser of the published MU-Diff code (`gen_diffusive_1` or `gen_diffusive_2`)",
        remedy="give the generator files; a network of another kind has to be trained again with this bundle",
    )
