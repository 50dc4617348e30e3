"""What is measured of each bundle: which part of its network, with which inputs, against whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import published_factorised, published_sunet
from benchmarks.measuring import Contestant, unchanged
from benchmarks.published_operators import as_published
from benchmarks.radiographs import RadiographDenoiser, condition_and_noise


@dataclass(frozen=True)
class Subject:
    """What is measured of a bundle's network.

    Args:
        part: the part of the network that is measured.
        inputs: (network, resolution, generator) to the arguments of the part's ``forward`` for one sample, on the CPU;
            by default the image that the bundle's metadata describe.
        published: gives that part with its operators as they were published, or None where ours are no different.
        definition: id of the config that builds the network, or no more of it than the part.
        resolution: pixels along each axis, unless others are asked for.
        batches: batch sizes, unless others are asked for.
        slices: of the volume whose whole translation is estimated, unless another is asked for; None where the network
            is all there is to a translation.
        slice_axis: spatial axis of volumes that numbers the slices.
        volumes: ways to translate a volume whose memory is measured, with the ids of the config that make each.
        slice_size: pixels of a slice of such a volume, unless others are asked for; None for ``resolution``.
        picture: id of the config with the edge in pixels of the picture that volumes are made of; None where they are
            made of volumes.
        grid: id of the config with the size of volumes that are made of a picture.
    """

    part: Callable[[nn.Module], nn.Module] = unchanged
    inputs: Callable[[nn.Module, Sequence[int], torch.Generator], dict[str, Tensor]] | None = None
    published: Callable[[nn.Module], nn.Module] | None = None
    definition: str = "network_def"
    resolution: tuple[int, ...] = (256, 256)
    batches: tuple[int, ...] = (1, 8)
    slices: int | None = None
    slice_axis: int = 2
    volumes: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"as configured": {}})
    slice_size: tuple[int, ...] | None = None
    picture: str | None = None
    grid: str | None = None


def _first(network: nn.Module) -> nn.Module:
    return network.get_submodule("first")


def _step(network: nn.Module, resolution: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
    """Noisy target and source in one image, a time step and a latent, for one generator of SynDiff."""
    return {
        "image": torch.randn(1, 2, *resolution, generator=generator),
        "timesteps": torch.randint(network.num_timesteps, (1,), generator=generator),
        "latent": torch.randn(1, network.latent_dim, generator=generator),
    }


def _both(network: nn.Module, resolution: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
    """Sources, noisy target, a time step and a latent, for both denoisers of MU-Diff."""
    return {
        "image": torch.randn(1, network.num_sources, *resolution, generator=generator),
        "noisy": torch.randn(1, 1, *resolution, generator=generator),
        "timesteps": torch.randint(network.num_timesteps, (1,), generator=generator),
        "latent": torch.randn(1, network.latent_dim, generator=generator),
    }


def _slice(network: nn.Module, resolution: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
    """Condition, noisy target and a time step, for the slice net of MD-DGA."""
    return {
        "image": torch.rand(1, 1, *resolution, generator=generator) * 2 - 1,
        "noisy": torch.randn(1, 1, *resolution, generator=generator),
        "timesteps": torch.randint(1000, (1,), generator=generator),
    }


WHOLE = Subject()
"""A bundle without an entry: its whole network, from its image alone."""
SUBJECTS = {
    "brain_mri_mudiff_synthesis": Subject(inputs=_both, published=as_published),
    "chest_xray_ctpa_translation": Subject(
        part=RadiographDenoiser,
        inputs=condition_and_noise,
        published=published_factorised.as_published,
        definition="denoiser_def",
        resolution=(64, 32, 32),  # of the latents
        batches=(1, 2),
        slices=64,
        slice_axis=0,
        volumes={"as configured": {"num_steps": 1}, "slice by slice": {"num_steps": 1, "slices_at_once": 1}},
        slice_size=(256, 256),
        picture="xray_size",
        grid="grid",
    ),
    "ct_mr_mddga_translation": Subject(
        inputs=_slice,
        published=published_sunet.as_published,
        definition="slices_def",
        resolution=(224, 168),
        batches=(1, 4),
        slices=160,
        slice_axis=0,
        # memory depends on neither the number of steps nor the weights
        volumes={"in slabs": {"num_steps": 1}, "whole": {"num_steps": 1, "slab": None}},
    ),
    "ct_mr_syndiff_translation": Subject(part=_first, inputs=_step, published=as_published),
}
"""What is measured of a bundle of which there is more to say, by its name."""


def subject_of(bundle: str) -> Subject:
    """Give what is measured of the bundle of this name."""
    return SUBJECTS.get(bundle, WHOLE)


def line_up(bundle: str, batches: Sequence[int]) -> list[Contestant]:
    """List the contestants of a bundle, the reference first.

    Args:
        bundle: its name.
        batches: batch sizes of our own; published operators run one sample at a time.
    """
    published = subject_of(bundle).published
    reference = [] if published is None else [Contestant("published operators", arrange=published)]
    return [
        *reference,
        *(Contestant("ours", batch) for batch in batches),
        *(Contestant("ours, channels_last", batch, channels_last=True) for batch in batches),
        *(Contestant("ours", batch, amp=True) for batch in batches),
        *(Contestant("ours, channels_last", batch, channels_last=True, amp=True) for batch in batches),
    ]
