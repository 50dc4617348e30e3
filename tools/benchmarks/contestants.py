"""What is measured of each bundle: which part of its network, with which inputs, against whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.measuring import Contestant, unchanged
from benchmarks.published_operators import as_published


@dataclass(frozen=True)
class Subject:
    """What is measured of a bundle's network.

    Args:
        part: the part of the network that is measured.
        inputs: (network, resolution, generator) to the arguments of the part's ``forward`` for one sample, on the CPU;
            by default the image that the bundle's metadata describe.
        published: gives that part with its operators as they were published, or None where ours are no different.
    """

    part: Callable[[nn.Module], nn.Module] = unchanged
    inputs: Callable[[nn.Module, Sequence[int], torch.Generator], dict[str, Tensor]] | None = None
    published: Callable[[nn.Module], nn.Module] | None = None


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


WHOLE = Subject()
"""A bundle without an entry: its whole network, from its image alone."""
SUBJECTS = {
    "brain_mri_mudiff_synthesis": Subject(inputs=_both, published=as_published),
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
    ]
