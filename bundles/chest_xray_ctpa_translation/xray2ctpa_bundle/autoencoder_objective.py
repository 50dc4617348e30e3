"""What the autoencoders minimise: reconstruction, their latents' own term, and what judges make of the result.

Sources: R. Rombach et al., High-resolution image synthesis with latent diffusion models, CVPR 2022, arXiv:2112.10752
(appendix G) for normal latents; P. Esser et al., Taming transformers, CVPR 2021, arXiv:2012.09841, and S. Ge et al.,
Long video generation with time-agnostic VQGAN, ECCV 2022, arXiv:2204.03638 (equations 1 to 4) for codes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from transmodal.engines import GENERATORS, Draws, seeded_draws
from transmodal.engines.codebooks import CodebookDiagnostics, use_of_codes
from transmodal.engines.phases import Batch, Terms, require_weight
from transmodal.errors import InputError
from transmodal.handlers.weights import unwrapped
from xray2ctpa_bundle.discriminators import HingeLoss

__all__ = ["AutoencoderObjective", "CodebookObjective", "NormalObjective"]

SLICES = 2
"""The turn in which slices are chosen; both players choose the same."""
MADE = "reconstruction"
"""Key under which the autoencoder leaves what it made for the critics of the same batch."""


class CriticLoss(Protocol):
    """The cost of a critic's logits on true and on made images, such as ``HingeLoss`` or ``SoftplusLoss``."""

    def real(self, logits: Tensor, /) -> Tensor: ...

    def fake(self, logits: Tensor, /) -> Tensor: ...


class AutoencoderObjective(ABC):
    """Terms of an autoencoder and of its critics; the autoencoder has its turn first.

    Slices are judged one for each sample, chosen by its seed; volumes as they are. The autoencoder meets its critics
    after ``start_step`` batches, and only then do these begin to learn, as published.

    Args:
        network: the autoencoder.
        l1: weight of the mean difference of voxels.
        perceptual: distance of slices, called with made and true ones, (N, 1, H, W) in [-1, 1], such as
            ``transmodal.losses.LPIPS``; none if null.
        perceptual_weight: of that distance.
        slice_critic, volume_critic: such as ``PatchCritic``; they return the features of each stage, logits last. None
            if null.
        slice_weight, volume_weight: of what each says.
        feature_weight: of the difference of the critics' features of true and made images, summed over the stages.
        start_step: batches before the critics count.
        critic_loss: the cost that the critics minimise; hinge if null. The autoencoder raises the mean logit.
        draws: called with a batch and a turn for random numbers; by default each sample's own seed decides.
    Raises:
        InputError: for a weight that is no number of 0 or more, or a ``start_step`` that is no count.
    """

    def __init__(
        self,
        network: nn.Module,
        l1: float = 1.0,
        perceptual: nn.Module | None = None,
        perceptual_weight: float = 1.0,
        slice_critic: nn.Module | None = None,
        volume_critic: nn.Module | None = None,
        slice_weight: float = 1.0,
        volume_weight: float = 1.0,
        feature_weight: float = 0.0,
        start_step: int = 0,
        critic_loss: CriticLoss | None = None,
        draws: Callable[[Batch, int], Draws] = seeded_draws,
    ) -> None:
        weights = {"l1": l1, "perceptual_weight": perceptual_weight, "feature_weight": feature_weight}
        weights |= {"slice_weight": slice_weight, "volume_weight": volume_weight}
        for name, weight in weights.items():
            require_weight(f"{type(self).__name__}, {name}", weight)
        _check_count(f"{type(self).__name__}, start_step", start_step)
        self.network, self.l1, self.draws = network, l1, draws
        self.perceptual, self.perceptual_weight = perceptual, perceptual_weight
        self.feature_weight, self.start_step = feature_weight, start_step
        self.critic_loss = HingeLoss() if critic_loss is None else critic_loss
        weighted = {"slice": (slice_critic, slice_weight), "volume": (volume_critic, volume_weight)}
        self.critics = {name: (critic, weight) for name, (critic, weight) in weighted.items() if critic is not None}
        self.batches = 0

    @abstractmethod
    def reconstructed(self, batch: Batch) -> tuple[Tensor, Terms]:
        """What the network makes of ``batch``, (B, 1, F, H, W), and the weighted terms of its latents."""

    def generator_terms(self, batch: Batch) -> Terms:
        """What the autoencoder minimises on a batch with ``image``, (B, 1, F, H, W) in [-1, 1], and ``seed``."""
        self.batches += 1
        image = batch["image"]
        reconstruction, terms = self.reconstructed(batch)
        batch[MADE] = reconstruction.detach()
        terms = {"l1": self.l1 * l1_loss(reconstruction, image), **terms}
        if self.perceptual is not None:
            made, true = self._judged(batch, reconstruction)["slice"]
            terms["perceptual"] = self.perceptual_weight * self.perceptual(made, true).float().mean()
        return terms | (self._fooling(batch, reconstruction) if self.critics else {})

    def discriminator_terms(self, batch: Batch) -> Terms:
        """What the critics minimise on a batch that the autoencoder had before them."""
        pairs, share = self._judged(batch, batch[MADE]), float(self.meets_critics)
        terms: Terms = {}
        for name, (critic, weight) in self.critics.items():
            made, true = pairs[name]
            terms[f"{name}_real"] = share * weight * self.critic_loss.real(critic(true)[-1])
            terms[f"{name}_fake"] = share * weight * self.critic_loss.fake(critic(made)[-1])
        return terms

    @property
    def meets_critics(self) -> bool:
        """Whether the critics count for the latest batch."""
        return self.batches > self.start_step

    def state_dict(self) -> dict[str, int]:
        """How many batches there were, on which the start of the critics depends."""
        return {"batches": self.batches}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue to count."""
        self.batches = state["batches"]

    def _fooling(self, batch: Batch, reconstruction: Tensor) -> Terms:
        """The mean logits, negative, and the difference of the features; 0 before the critics count."""
        zero = torch.zeros((), device=reconstruction.device)
        terms: Terms = {f"{name}_adversarial": zero for name in self.critics}
        if self.feature_weight:
            terms["features"] = zero
        if not self.meets_critics:
            return terms
        for name, (made, true) in self._judged(batch, reconstruction).items():
            if name not in self.critics:
                continue
            critic, weight = self.critics[name]
            *features, logits = critic(made)
            terms[f"{name}_adversarial"] = -weight * logits.float().mean()
            if self.feature_weight:
                with torch.no_grad():
                    wanted = critic(true)[:-1]
                terms["features"] = terms["features"] + self.feature_weight * _distances(features, wanted)
        return terms

    def _judged(self, batch: Batch, reconstruction: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Made and true images for the critics of slices and of volumes."""
        volumes = (reconstruction, batch["image"])
        chosen = self.draws(batch, SLICES).integers(reconstruction.shape[2])
        samples = torch.arange(len(chosen), device=chosen.device)
        made, true = (volume[samples, :, chosen] for volume in volumes)
        return {"slice": (made, true), "volume": volumes}


class NormalObjective(AutoencoderObjective):
    """For ``SliceAutoencoder``: L1 and the distance of the latents from a standard normal distribution.

    Args:
        network: called as ``network(image, noise=...)``, with ``latent_size`` and ``latent_channels``.
        kl: weight of the Kullback-Leibler divergence, summed over the latents of a slice, averaged over the slices.
        others: as for :class:`AutoencoderObjective`.
    """

    def __init__(self, network: nn.Module, kl: float = 1e-6, **others: Any) -> None:
        require_weight("NormalObjective, kl", kl)
        super().__init__(network, **others)
        self.kl = kl

    def reconstructed(self, batch: Batch) -> tuple[Tensor, Terms]:
        """From a draw of the latents, by each sample's seed."""
        image = batch["image"]
        plain: Any = unwrapped(self.network)
        size = plain.latent_size(image.shape[2:])
        noise = self.draws(batch, GENERATORS).normal(plain.latent_channels, *size)
        reconstruction, mean, log_variance = (part.float() for part in self.network(image, noise=noise))
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        return reconstruction, {"kl": self.kl * divergence.sum(dim=(1, 3, 4)).mean()}


class CodebookObjective(CodebookDiagnostics, AutoencoderObjective):
    """For ``VQGAN``: four times L1, latents drawn to their codes; the codes follow by a moving average.

    Args:
        network: called with images; returns the reconstruction, the latents, the codes in their place and the numbers
            of these.
        commitment: weight of the mean square distance of latents from their codes.
        l1: as published.
        others: as for :class:`AutoencoderObjective`.

    ``diagnostics`` tells of the latest batch how many codes it uses, and their perplexity: exp of the entropy of their
    shares, which is that number if all are used equally often.
    """

    def __init__(self, network: nn.Module, commitment: float = 0.25, l1: float = 4.0, **others: Any) -> None:
        require_weight("CodebookObjective, commitment", commitment)
        super().__init__(network, l1=l1, **others)
        self.commitment = commitment
        self.diagnostics: dict[str, Tensor] = {}

    def reconstructed(self, batch: Batch) -> tuple[Tensor, Terms]:
        """From the codes of the latents, with a gradient straight through to these."""
        reconstruction, z, codes, numbers = self.network(batch["image"])
        self.diagnostics = _use(numbers)
        distance = mse_loss(z.float(), codes.detach().float())
        return reconstruction.float(), {"commitment": self.commitment * distance}


def _distances(made: Sequence[Tensor], true: Sequence[Tensor]) -> Tensor:
    """The mean differences of features, stage by stage, in all."""
    pairs = zip(made, true, strict=True)
    return torch.stack([l1_loss(of_made.float(), of_true.float()) for of_made, of_true in pairs]).sum()


@torch.no_grad()
def _use(numbers: Tensor) -> dict[str, Tensor]:
    """How many different codes there are, and the perplexity of their shares."""
    _, counts = torch.unique(numbers, return_counts=True)
    return use_of_codes(counts)


def _check_count(where: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(
            where,
            found=repr(value),
            wanted="a number of batches, 0 or more",
            remedy="give a whole number without quotes; 10000 lets the autoencoder settle first",
        )
