"""Recognises checkpoints of the published SynDiff code (files ``gen_diffusive_1_<epoch>.pth`` and so on)."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor

from syndiff_bundle.training_file import TrainingFile, is_training, training_in
from transmodal.checkpoints import KeyMap, Published, read_safely, state_dict_in
from transmodal.errors import InputError
from transmodal.published import (
    LAYER,
    TRANSPOSED,
    ncsnpp_in_words,
    ncsnpp_layout,
    ncsnpp_modules,
    telling_shapes,
    time_discriminator_names,
)

__all__ = ["as_trained", "read", "recognise", "time_discriminator_names"]

STEMS = (("stem", LAYER),)
REFUSED = {
    r"t_embed\..*": "a diffusive discriminator (`disc_diffusive_1` or `_2`)",
    r"model\.\d+\.conv_block\..*": "a non-diffusive generator (`gen_non_diffusive_1to2` or `_2to1`)",
    r"model\.(0|11)\.weight": "a non-diffusive discriminator (`disc_non_diffusive_cycle1` or `_cycle2`)",
    r"all_modules\.\d+\.(conv\d|fc)\..*|feat_\w+\..*": "a generator of MU-Diff, which reads each source by itself",
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
    refuse = partial(_refusal, where)
    layout = ncsnpp_layout(state, ncsnpp_modules(state, {}, refuse), STEMS, refuse)
    key_map = KeyMap(layout.names(), transposed=TRANSPOSED)
    shapes = telling_shapes(state, key_map, {"stem.weight": 4, "trunk.head.weight": 4, **layout.telling()}, refuse)
    channels, settings = shapes["stem.weight"][1], layout.settings(shapes, "stem.weight")
    if channels != 2:
        raise refuse(f"a diffusive generator of {channels} channels; one is the noisy target, one the source")
    definition = {
        "_target_": "transmodal.networks.nets.NCSNpp",
        "in_channels": channels,
        "out_channels": shapes["trunk.head.weight"][0],
        **settings,
    }
    title = f"NCSN++ of {ncsnpp_in_words(settings)}"
    return Published(title, definition, key_map, settings={"latent_dim": settings["latent_dim"]})


def _refusal(where: str | Path, found: str) -> InputError:
    return InputError(
        where,
        found=found,
        wanted="a diffusive generator of the published SynDiff code (`gen_diffusive_1` or `gen_diffusive_2`)",
        remedy="give the generator files; a network of another kind has to be trained again with this bundle",
    )
