"""Reads ``content.pth``, in which the published SynDiff code keeps a whole training; no code in the file runs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from transmodal.checkpoints import read_safely, state_dict_in
from transmodal.errors import InputError

NETWORKS = (
    "gen_diffusive_1",
    "gen_diffusive_2",
    "gen_non_diffusive_1to2",
    "gen_non_diffusive_2to1",
    "disc_diffusive_1",
    "disc_diffusive_2",
    "disc_non_diffusive_cycle1",
    "disc_non_diffusive_cycle2",
)
AS_BUILT = {
    "beta_min": 0.1,
    "beta_max": 20.0,
    "use_geometric": False,
    "centered": True,
    "conditional": True,
    "fir": True,
    "fir_kernel": [1, 3, 3, 1],
    "skip_rescale": True,
    "resamp_with_conv": True,
    "resblock_type": "biggan",
    "progressive": "none",
    "progressive_input": "residual",
    "progressive_combine": "sum",
    "embedding_type": "positional",
}
"""Options of the published code in the one state that this bundle has; tensors do not tell most of them."""


@dataclass(frozen=True)
class TrainedNetwork:
    """One of the eight networks with its optimizer and scheduler, in published names.

    Args:
        weights: state dict without ``module.``, in the order of the parameters.
        moments: by key of ``weights``, what Adam remembers of that parameter: ``step``, ``exp_avg``, ``exp_avg_sq``
            and, in a training with EMA, ``ema``; empty for a parameter that was never updated.
        rates: learning rates, betas and so on of its optimizer.
        schedule: state of its learning rate scheduler.
    """

    weights: dict[str, Tensor]
    moments: dict[str, dict[str, Any]]
    rates: dict[str, Any]
    schedule: dict[str, Any]

    @property
    def has_average(self) -> bool:
        return any("ema" in moments for moments in self.moments.values())

    @property
    def average(self) -> dict[str, Tensor]:
        """The moving average of the weights; a parameter that was never updated is its own average."""
        return {key: self.moments[key].get("ema", weight) for key, weight in self.weights.items()}


@dataclass(frozen=True)
class TrainingFile:
    """A training of the published code: its progress, options and eight networks.

    Args:
        path: the file.
        epoch: complete epochs.
        global_step: complete iterations.
        arguments: options of the command line.
        networks: by published name.
    """

    path: Path
    epoch: int
    global_step: int
    arguments: dict[str, Any]
    networks: dict[str, TrainedNetwork]


def is_training(content: object) -> bool:
    """Whether a file held a training rather than weights alone."""
    return isinstance(content, Mapping) and "args" in content and any(f"{name}_dict" in content for name in NETWORKS)


def read_training(path: str | Path) -> TrainingFile:
    """Read ``content.pth``.

    Raises:
        InputError: if it is none, is incomplete, or was trained with options that this bundle does not have.
    """
    return training_in(read_safely(path, allowed=[Namespace]), path)


def training_in(content: object, path: str | Path) -> TrainingFile:
    """The training in what a file held; see :func:`read_training`."""
    if not isinstance(content, Mapping) or not is_training(content):
        raise _refusal(path, "no training of the published code")
    wanted = ["epoch", "global_step", *(key for name in NETWORKS for key in _keys(name))]
    if lost := [key for key in wanted if key not in content]:
        raise _refusal(path, f"no {', '.join(lost)}")
    arguments = vars(content["args"])
    unlike = [name for name, value in AS_BUILT.items() if arguments.get(name, value) != value]
    if unlike:
        raise InputError(
            path,
            found="a training with " + ", ".join(f"{name} {arguments[name]}" for name in unlike),
            wanted=", ".join(f"{name} {AS_BUILT[name]}" for name in unlike),
            remedy="networks of other options have to be trained again with this bundle",
        )
    networks = {name: _network(content, name, path) for name in NETWORKS}
    return TrainingFile(Path(path), int(content["epoch"]), int(content["global_step"]), arguments, networks)


def _keys(name: str) -> tuple[str, str, str]:
    return f"{name}_dict", f"optimizer_{name}", f"scheduler_{name}"


def _network(content: Mapping[str, Any], name: str, path: str | Path) -> TrainedNetwork:
    weights, optimizer, schedule = (content[key] for key in _keys(name))
    weights = state_dict_in(weights, f"{path}, {name}_dict")
    groups = optimizer["param_groups"]
    numbers = [number for group in groups for number in group["params"]]
    if len(groups) != 1 or len(numbers) != len(weights):
        raise _refusal(path, f"an optimizer_{name} of {len(numbers)} parameters for {len(weights)} tensors")
    moments = {key: dict(optimizer["state"].get(number, {})) for key, number in zip(weights, numbers, strict=True)}
    misshapen = [
        f"{key} ({entry})"
        for key, remembered in moments.items()
        for entry, value in remembered.items()
        if isinstance(value, Tensor) and entry != "step" and value.shape != weights[key].shape
    ]
    if misshapen:
        raise _refusal(path, f"an optimizer_{name} that does not fit its network: {', '.join(misshapen[:10])}")
    rates = {name: value for name, value in groups[0].items() if name != "params"}
    return TrainedNetwork(weights, moments, rates, dict(schedule))


def _refusal(path: str | Path, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        wanted="a `content.pth` that the published SynDiff code saved with --save_content",
        remedy="give that file; single networks are in gen_diffusive_1_EPOCH.pth and gen_diffusive_2_EPOCH.pth",
    )
