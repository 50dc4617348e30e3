"""A bundle's network and inputs for it, built anew wherever they are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.inferers import Inferer
from torch import Tensor, nn

from benchmarks.contestants import subject_of
from benchmarks.measuring import Inputs
from contract.bundle import Bundle
from transmodal.checkpoints import load_weights

CONFIG = "inference"


@dataclass(frozen=True)
class Setting:
    """A bundle's network under one set of conditions; calling it builds the part that is measured, and inputs.

    Args:
        root: the bundle's folder.
        resolution: pixels or voxels along each spatial axis.
        device: where it runs.
        threads: of the CPU.
        overlays: configs over the bundle's inference.json, in order.
        ckpt_path: weights of what is built, the whole network or the subject's part; without, weights are drawn
            (:func:`draw_weights`).
        overrides: ids of the config and their values, over all overlays.
    """

    root: str
    resolution: tuple[int, ...]
    device: str = "cpu"
    threads: int = 1
    overlays: tuple[str, ...] = ()
    ckpt_path: str | None = None
    overrides: tuple[tuple[str, Any], ...] = ()

    def __call__(self, batch: int) -> tuple[nn.Module, Inputs]:
        """Set the threads; give the part and inputs for ``batch`` samples, of which each depends on its place alone."""
        torch.set_num_threads(self.threads)
        bundle = Bundle(self.root)
        network = self._network(bundle, subject_of(bundle.name).definition)
        samples = [self._sample(bundle, network, place) for place in range(batch)]
        inputs = {name: torch.cat([sample[name] for sample in samples]).to(self.device) for name in samples[0]}
        return subject_of(bundle.name).part(network).to(self.device), inputs

    def for_volumes(self) -> tuple[nn.Module, Inferer]:
        """Set the threads; give the whole network and the inferer that takes volumes through it, as inference does."""
        torch.set_num_threads(self.threads)
        bundle = Bundle(self.root)
        with bundle.importable():
            inferer: Inferer = self._parser(bundle).get_parsed_content("inferer")
        return self._network(bundle).to(self.device), inferer

    def volume(self, slices: int) -> Tensor:
        """Draw what a volume of so many slices is made of, as inference has it, on the CPU.

        That is a volume of the sources, (1, C, *S) with ``slices`` along the axis that the bundle slices, or a picture,
        (1, C, H, W).
        """
        bundle = Bundle(self.root)
        subject = subject_of(bundle.name)
        size = list(self.resolution)
        size.insert(subject.slice_axis, slices)
        if subject.picture is not None:
            size = [int(self.content(subject.picture))] * 2
        return torch.randn(1, self._channels(bundle), *size)

    def content(self, name: str) -> Any:
        """What this id of the config stands for."""
        bundle = Bundle(self.root)
        with bundle.importable():
            return self._parser(bundle).get_parsed_content(name)

    def _parser(self, bundle: Bundle) -> ConfigParser:
        parser = ConfigParser()
        parser.read_config([str(bundle.configs / f"{CONFIG}.json"), *self.overlays])
        parser.update(dict(self.overrides))
        return parser

    def _network(self, bundle: Bundle, definition: str = "network_def") -> nn.Module:
        with bundle.importable():
            network: nn.Module = self._parser(bundle).get_parsed_content(definition)
        if self.ckpt_path is None:
            draw_weights(network)
        else:
            load_weights(network, self.ckpt_path)
        return network.eval()

    def _sample(self, bundle: Bundle, network: nn.Module, place: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(place)
        inputs = subject_of(bundle.name).inputs
        if inputs is not None:
            return inputs(network, self.resolution, generator)
        return {"image": torch.randn(1, self._channels(bundle), *self.resolution, generator=generator)}

    @staticmethod
    def _channels(bundle: Bundle) -> int:
        channels: int = bundle.metadata["network_data_format"]["inputs"]["image"]["num_channels"]
        return channels


@torch.no_grad()
def draw_weights(network: nn.Module, seed: int = 0) -> None:
    """Draw weights with which every layer counts, in place.

    Diffusion networks start with layers that are next to silent, and a difference behind one of those would not show.
    Weights come from N(0, 1 / fan_in); biases and the scales of norms move by N(0, 0.1²) from where they started.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        drawn = torch.randn(parameter.shape, generator=generator).to(parameter)
        if parameter.ndim > 1:
            parameter.copy_(drawn * parameter[0].numel() ** -0.5)
        else:
            parameter.add_(0.1 * drawn)
