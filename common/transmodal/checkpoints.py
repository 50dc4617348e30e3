"""Weights from files and into files: read without running foreign code, matched name by name, never in part.

A published checkpoint has the names of the code that made it. A :class:`KeyMap` states how they become ours, what is
left out and what is filled in, each with its reason; whatever it does not account for is an error.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from transmodal.errors import InputError
from transmodal.files import write_atomically
from transmodal.ways_to_weights import ways_to_weights

LAYOUTS = ("state_dict", "model", "model_state", "model_parameters")
_SCALAR: Any = np.float64().__reduce__()[0]
NUMBERS = [_SCALAR, (_SCALAR, "numpy.core.multiarray.scalar"), np.dtype, *map(type, map(np.dtype, ("f4", "f8", "i8")))]
"""What numbers of NumPy, in its version 1 too, are unpickled by; trainings keep their best score as one."""


@dataclass(frozen=True)
class KeyMap:
    """How the keys of a published state dict become those of our network.

    Args:
        names: published key, or its beginning up to a dot, to ours; the longest that fits wins, and ``""`` fits all.
        dropped: pattern of a whole published key that is left out, to the reason why nothing is lost.
        zeroed: pattern of a whole key of ours that may be absent and is then zero, to the reason why that is exact.
        transposed: pattern of a whole published key whose matrix is stored the other way round, to the reason.
    """

    names: Mapping[str, str]
    dropped: Mapping[str, str] = field(default_factory=dict)
    zeroed: Mapping[str, str] = field(default_factory=dict)
    transposed: Mapping[str, str] = field(default_factory=dict)

    def name(self, published: str) -> str | None:
        """Our key for a published one, or None where the map has no place for it."""
        parts = published.split(".")
        for length in range(len(parts), -1, -1):
            ours = self.names.get(".".join(parts[:length]))
            if ours is not None:
                return ".".join(part for part in [ours, *parts[length:]] if part)
        return None

    def oriented(self, published: str, value: Tensor) -> Tensor:
        """A published tensor as ours has it: a matrix stored the other way round is turned, all else stays."""
        turned = value.ndim == 2 and _reason(self.transposed, published) is not None
        return value.t().contiguous() if turned else value


UNCHANGED = KeyMap({"": ""})


@dataclass(frozen=True)
class Published:
    """A published checkpoint as a bundle's ``published.recognise(state, where)`` understands it.

    Args:
        title: what it is, for the reader.
        definition: the network it belongs to, as bundle JSON with ``_target_``.
        key_map: from its keys to those of that network.
        settings: values that it needs elsewhere in the bundle's config, by their ids.
    """

    title: str
    definition: Mapping[str, Any]
    key_map: KeyMap
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MatchReport:
    """What became of every tensor of a checkpoint; its text is for the reader.

    Args:
        source: the checkpoint.
        loaded: published key to ours.
        values: numbers loaded, all tensors together.
        dropped: published key to the reason for leaving it out.
        zeroed: our key to the reason for its zeros.
        transposed: published key to the reason why its matrix was turned.
    """

    source: str
    loaded: Mapping[str, str]
    values: int
    dropped: Mapping[str, str]
    zeroed: Mapping[str, str]
    transposed: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.source}: {len(self.loaded)} tensors ({self.values:,} values) loaded, none left over"]
        fates = (("dropped", self.dropped), ("set to zero", self.zeroed), ("transposed", self.transposed))
        for verb, reasons in fates:
            for reason in dict.fromkeys(reasons.values()):
                keys = [key for key, why in reasons.items() if why == reason]
                lines.append(f"  {len(keys)} {verb}, because {reason}: {_shortened(keys, longest=6)}")
        return "\n".join(lines)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict, alone or as one of the entries ``LAYOUTS`` of a training checkpoint.

    Only tensors, numbers and plain containers are unpickled, so a file cannot run code. ``module.`` in front of every
    key, left there by (nested) parallel training, is removed.

    Raises:
        InputError: if the file is missing, is no such checkpoint, or holds anything but tensors.
    """
    return state_dict_in(read_safely(path), where=path)


def read_safely(path: str | Path, allowed: Sequence[type] = ()) -> object:
    """Read tensors, numbers, plain containers and instances of ``allowed``, or safetensors; no code in a file runs.

    Raises:
        InputError: if the file is missing, holds other objects or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise InputError(path, found=what, wanted="a PyTorch checkpoint", remedy="check the path")
    with torch.serialization.safe_globals([*NUMBERS, *allowed]):
        return _unpickled(path)


def state_dict_in(content: object, where: str | Path) -> dict[str, Tensor]:
    """The state dict in what a file held, as :func:`read_checkpoint` returns it.

    Args:
        content: a state dict, or a dict with one under any of ``LAYOUTS``.
        where: the file, for the error.
    Raises:
        InputError: if there is none, or if it holds anything but tensors.
    """
    nested = (content.get(layout) for layout in LAYOUTS if isinstance(content, Mapping))
    state = next((inner for inner in nested if isinstance(inner, Mapping)), content)
    if not isinstance(state, Mapping) or not state:
        raise _not_a_state_dict(where, f"a {type(state).__name__}" if state else "nothing in it")
    others = [
        f"{key} ({type(value).__name__})"
        for key, value in state.items()
        if not (isinstance(key, str) and isinstance(value, Tensor))
    ]
    if others:
        raise _not_a_state_dict(where, f"entries that are no named tensors: {_shortened(others)}")
    while all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return {key: value.detach() for key, value in state.items()}


def match(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], key_map: KeyMap, where: str | Path
) -> tuple[dict[str, Tensor], MatchReport]:
    """Give each tensor of ``state`` its place in our network, or refuse the whole.

    Args:
        state: a published state dict.
        expected: the state dict of our network; shapes and types suffice, so it may be on the ``meta`` device.
        key_map: from published keys to ours.
        where: the checkpoint, for the error and the report.
    Returns:
        A complete state dict for our network, in its order, and the report.
    Raises:
        InputError: if a key is unknown, missing, claimed twice, of another shape or not finite; it lists all of them.
    """
    state = {published: key_map.oriented(published, value) for published, value in state.items()}
    loaded, dropped, faults = _place(state, expected, key_map)
    placed = {ours: state[published] for published, ours in loaded.items()}
    reasons = {ours: _reason(key_map.zeroed, ours) for ours in expected if ours not in placed}
    zeroed = {ours: reason for ours, reason in reasons.items() if reason is not None}
    faults["missing"] = [ours for ours in reasons if ours not in zeroed]
    if any(faults.values()):
        raise InputError(
            where,
            found="; ".join(f"{len(keys)} {fault} ({_shortened(keys)})" for fault, keys in faults.items() if keys),
            wanted=f"exactly the {len(expected)} tensors of the network",
            remedy="use the checkpoint of this very architecture; nothing was loaded",
        )
    complete = {
        ours: placed[ours].to(like.dtype) if ours in placed else torch.zeros(like.shape, dtype=like.dtype)
        for ours, like in expected.items()
    }
    values = sum(tensor.numel() for tensor in placed.values())
    turned = {key: reason for key in loaded if (reason := _reason(key_map.transposed, key)) is not None}
    return complete, MatchReport(str(where), loaded, values, dropped, zeroed, turned)


def _place(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], key_map: KeyMap
) -> tuple[dict[str, str], dict[str, str], dict[str, list[str]]]:
    """Published keys to ours, dropped keys to their reasons, and by its fault whatever does not fit."""
    loaded: dict[str, str] = {}
    dropped: dict[str, str] = {}
    faults: dict[str, list[str]] = {"unknown": [], "missing": [], "twice": [], "misshapen": [], "not finite": []}
    taken: set[str] = set()
    for published, value in state.items():
        ours, reason = key_map.name(published), _reason(key_map.dropped, published)
        if reason is not None:
            dropped[published] = reason
        elif ours is None or ours not in expected:
            faults["unknown"].append(published)
        elif ours in taken:
            faults["twice"].append(f"{published} as {ours}")
        else:
            taken.add(ours)
            loaded[published] = ours
            if value.shape != expected[ours].shape:
                faults["misshapen"].append(f"{published} {tuple(value.shape)} for {tuple(expected[ours].shape)}")
            if not bool(torch.isfinite(value).all()):
                faults["not finite"].append(published)
    return loaded, dropped, faults


def load_weights(
    network: nn.Module, path: str | Path, device: str | torch.device | None = None, command: str | None = None
) -> nn.Module:
    """Load ``network`` strictly from ``path`` and return it.

    Args:
        network: receives the weights in place.
        path: a state dict of this very network, in any layout of :func:`read_checkpoint`.
        device: where the network goes; where it is, if None.
        command: what to run to get the file, told when it is missing; by default all :func:`ways_to_weights`.
    Raises:
        InputError: if the file is missing, unreadable or not wholly of this network.
    """
    if not Path(path).exists():
        raise InputError(path, found="no such file", wanted="trained weights", remedy=command or ways_to_weights(path))
    state, _ = match(read_checkpoint(path), network.state_dict(), UNCHANGED, where=path)
    try:
        network.load_state_dict(state, strict=True)
    except InputError as error:  # of a network that looks at what it is given; it does not know the file
        raise InputError(path, found=error.found, wanted=error.wanted, remedy=error.remedy) from None
    return network if device is None else network.to(device)


def save_weights(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Write a flat state dict of nothing but tensors; the file appears whole or not at all."""
    # cloned, or a view would take its whole storage with it into the file
    plain = {key: value.detach().cpu().clone() for key, value in state.items()}
    write_checkpoint(plain, path)


def write_checkpoint(content: object, path: str | Path) -> None:
    """Write what ``torch.save`` takes; the file appears whole or not at all, and equal content gives equal bytes."""

    def write(partial: Path) -> None:
        with partial.open("wb") as file:  # given a path, torch.save would put the neighbour's name into the file
            torch.save(content, file)

    write_atomically(path, write)


def _unpickled(path: Path) -> object:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        foreign = re.findall(r"GLOBAL ([\w.]+)", str(error))
        found = f"Python objects ({', '.join(dict.fromkeys(foreign))})" if foreign else "no PyTorch checkpoint"
        raise _not_a_state_dict(path, found) from error
    except Exception as error:  # what the unpickler stumbles over in a damaged file can be anything
        why = f"{type(error).__name__}: {str(error).split('. ')[0]}"
        raise _not_a_state_dict(path, f"a file that PyTorch cannot read ({why})") from error


def _not_a_state_dict(path: str | Path, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        wanted="a state dict of tensors, alone or under one of " + ", ".join(LAYOUTS),
        remedy="if the file is damaged, fetch it again; else, if you trust it, open it with the code that made it and "
        "write `torch.save(network.state_dict(), FILE)`",
    )


def _reason(reasons: Mapping[str, str], key: str) -> str | None:
    return next((reason for pattern, reason in reasons.items() if re.fullmatch(pattern, key)), None)


def _shortened(keys: list[str], longest: int = 20) -> str:
    more = f", … and {len(keys) - longest} more" if len(keys) > longest else ""
    return ", ".join(keys[:longest]) + more
