"""Numbers that a diffusion multiplies images with, looked up at a timestep of its own for each sample."""

from __future__ import annotations

import torch
from torch import Tensor

from transmodal.errors import InputError

__all__ = ["TimestepTables"]


class TimestepTables:
    """Factors by timestep: float32, copied once to each device on which they are asked for.

    Args:
        owner: whose tables these are; named in errors.
        tables: factors at the timesteps 0, ..., T - 1, (T,) each.
    """

    def __init__(self, owner: str, **tables: Tensor) -> None:
        self.owner, self.length = owner, len(next(iter(tables.values())))
        self._tables = {torch.device("cpu"): {name: table.float().cpu() for name, table in tables.items()}}

    def at(self, timesteps: Tensor, images: Tensor, *names: str) -> list[Tensor]:
        """Each sample's factors of these names, in a shape that multiplies ``images`` (B, ...) and on their device."""
        tables, timesteps = self._on(images.device), timesteps.to(images.device).long()
        return [tables[name].gather(0, timesteps).reshape(-1, *[1] * (images.ndim - 1)) for name in names]

    def check(self, timesteps: Tensor, **images: Tensor) -> None:
        """See that images have one shape (B, ...) and that each sample has a timestep within the tables.

        Raises:
            InputError: if shapes differ or a timestep is out of range (on the CPU; elsewhere the device raises).
        """
        shapes = {name: tuple(image.shape) for name, image in images.items()}
        if len(set(shapes.values())) != 1:
            raise InputError(
                self.owner,
                found=f"the shapes {shapes}",
                wanted="one shape for all of them",
                remedy="draw the noise in the shape of the images",
            )
        batch = next(iter(shapes.values()))[:1]
        if tuple(timesteps.shape) != batch or timesteps.dtype not in (torch.int32, torch.int64):
            raise InputError(
                f"{self.owner}, timesteps",
                found=f"{timesteps.dtype} of shape {tuple(timesteps.shape)}",
                wanted=f"integers of shape {batch}, one for each sample",
                remedy="for one timestep give torch.full((batch,), t)",
            )
        if timesteps.device.type != "cpu" or not len(timesteps):
            return  # reading them would wait for the device, which raises by itself at an index out of range
        lowest, highest = torch.stack(torch.aminmax(timesteps)).tolist()
        if lowest < 0 or highest >= self.length:
            raise InputError(
                f"{self.owner}, timesteps",
                found=f"values from {lowest} to {highest}",
                wanted=f"0 to {self.length - 1}",
                remedy="count timesteps from 0, or make the scheduler with the num_timesteps of the network",
            )

    def noised(self, x_0: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """``signal`` times the images plus ``noise`` times the noise, by the tables of these names, float32.

        Args:
            x_0, noise: (B, ...).
            timesteps: t of each sample, (B,), integer.
        Raises:
            InputError: as :meth:`check`.
        """
        self.check(timesteps, x_0=x_0, noise=noise)
        signal, deviation = self.at(timesteps, x_0, "signal", "noise")
        return signal * x_0.float() + deviation * noise.float()

    def _on(self, device: torch.device) -> dict[str, Tensor]:
        if device not in self._tables:
            of_cpu = self._tables[torch.device("cpu")]
            self._tables[device] = {name: table.to(device) for name, table in of_cpu.items()}
        return self._tables[device]
