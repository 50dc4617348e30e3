"""A small training as the published SynDiff code keeps it in ``content.pth``, made of tensors without networks."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR

from tests.parity.fill import fill_keys

KEYS = {
    "gen_diffusive_1": "ncsnpp_small_64x64",
    "gen_diffusive_2": "ncsnpp_small_64x64",
    "gen_non_diffusive_1to2": "resnet_gen_small",
    "gen_non_diffusive_2to1": "resnet_gen_small",
    "disc_diffusive_1": "disc_diffusive_small",
    "disc_diffusive_2": "disc_diffusive_small",
    "disc_non_diffusive_cycle1": "disc_nondiffusive_small",
    "disc_non_diffusive_cycle2": "disc_nondiffusive_small",
}
EPOCHS, STEPS, DECAY = 2, 4, 0.75
ARGUMENTS = {
    "num_epoch": 4,
    "batch_size": 1,
    "lr_g": 2e-4,
    "lr_d": 3e-4,
    "lambda_l1_loss": 0.25,
    "r1_gamma": 0.5,
    "lazy_reg": 7,
    "num_timesteps": 4,
    "image_size": 64,
    "use_ema": True,
    "ema_decay": DECAY,
    "no_lr_decay": False,
    "not_use_tanh": False,
    "contrast1": "T1",
    "contrast2": "T2",
}


def published_state(shared: Path, keys: str, scale: float = 1.0) -> dict[str, Tensor]:
    """Deterministic values under the published keys of a network."""
    listed = json.loads((shared / f"goldens/syndiff/{keys}_keys.json").read_text())
    return {key: scale * value for key, value in fill_keys(listed).items()}


class PublishedTraining:
    """Eight sets of parameters, each with Adam and a cosine schedule, after a few steps along random gradients.

    Args:
        shared: the folder with the published keys.
    """

    def __init__(self, shared: Path) -> None:
        self.parameters: dict[str, dict[str, Parameter]] = {}
        self.optimizers: dict[str, Adam] = {}
        self.schedulers: dict[str, CosineAnnealingLR] = {}
        for number, (name, keys) in enumerate(KEYS.items()):
            state = published_state(shared, keys, scale=1 + 0.1 * number)
            self.parameters[name] = {key: Parameter(value) for key, value in state.items()}
            rate = ARGUMENTS["lr_g" if name.startswith("gen") else "lr_d"]
            optimizer = Adam(self.parameters[name].values(), lr=rate, betas=(0.5, 0.9))
            self.optimizers[name] = optimizer
            self.schedulers[name] = CosineAnnealingLR(optimizer, ARGUMENTS["num_epoch"], eta_min=1e-5)
        for epoch in range(EPOCHS):
            for _ in range(STEPS // EPOCHS):
                self.step(self.gradients(seed=epoch))
            for scheduler in self.schedulers.values():
                scheduler.step()

    def gradients(self, seed: int) -> dict[str, dict[str, Tensor]]:
        """Random gradients of every parameter."""
        generator = torch.Generator().manual_seed(seed)
        return {
            name: {key: torch.randn(parameter.shape, generator=generator) for key, parameter in parameters.items()}
            for name, parameters in self.parameters.items()
        }

    def step(self, gradients: Mapping[str, Mapping[str, Tensor]]) -> None:
        """One step of every optimizer; the four generators are averaged behind it, as the published wrapper does."""
        for name, parameters in self.parameters.items():
            for key, parameter in parameters.items():
                parameter.grad = gradients[name][key]
            self.optimizers[name].step()
            if name.startswith("gen"):
                for parameter in parameters.values():
                    remembered = self.optimizers[name].state[parameter]
                    average = remembered.get("ema", parameter.detach())
                    remembered["ema"] = DECAY * average + (1 - DECAY) * parameter.detach()

    def weights(self, name: str) -> dict[str, Tensor]:
        return {key: parameter.detach().clone() for key, parameter in self.parameters[name].items()}

    def average(self, name: str) -> dict[str, Tensor]:
        remembered = self.optimizers[name].state
        return {key: remembered[parameter]["ema"].clone() for key, parameter in self.parameters[name].items()}

    def content(self, **arguments: Any) -> dict[str, Any]:
        """What the published code saves; without the averages for ``use_ema=False``.

        Args:
            arguments: options that differ from ``ARGUMENTS``.
        """
        options = {**ARGUMENTS, **arguments}
        content: dict[str, Any] = {"epoch": EPOCHS, "global_step": STEPS, "args": Namespace(**options)}
        for name in KEYS:
            prefix = "module.module." if "non_diffusive" in name else "module."
            content[f"{name}_dict"] = {prefix + key: value for key, value in self.weights(name).items()}
            content[f"optimizer_{name}"] = self.optimizers[name].state_dict()
            content[f"scheduler_{name}"] = self.schedulers[name].state_dict()
            if not options["use_ema"]:
                remembered = content[f"optimizer_{name}"]["state"]
                kept = {number: _without_average(values) for number, values in remembered.items()}
                content[f"optimizer_{name}"]["state"] = kept
        return content

    def save(self, path: Path, **arguments: Any) -> Path:
        torch.save(self.content(**arguments), path)
        return path


def _without_average(remembered: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in remembered.items() if name != "ema"}
