"""The SynDiff objective: adversarial diffusion conditioned on a cycle-consistent estimate of the missing contrast.

Source: M. Özbey et al., Unsupervised medical image translation with adversarial diffusion models, IEEE Transactions on
Medical Imaging 42(12), 2023, arXiv:2207.08208; its critics follow Z. Xiao et al., Tackling the generative learning
trilemma with denoising diffusion GANs, ICLR 2022, arXiv:2112.07804.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from transmodal.engines.draws import CRITICS, GENERATORS, Draws, seeded_draws
from transmodal.engines.phases import Batch, Terms, require_weight
from transmodal.errors import require_integer
from transmodal.losses import LazyR1, SoftplusLoss
from transmodal.schedulers import DDGANScheduler


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The networks that make and judge one of the two contrasts.

    Args:
        generator: diffusive; predicts it from [its noisy version, the other contrast] with timesteps and a latent.
        estimator: non-diffusive; makes it from the other contrast, (B, 1, H, W) in [-1, 1].
        critic: time-conditional; judges x_t given t and x_{t+1}, logits (B,).
        patch_critic: judges what the estimator makes; its last output is a map of logits.
    """

    generator: nn.Module
    estimator: nn.Module
    critic: nn.Module
    patch_critic: nn.Module


@dataclass(frozen=True)
class Diffused:
    """One contrast on its way through the chain: x_0, x_t and x_{t+1} at each sample's own timestep t."""

    x_0: Tensor
    x_t: Tensor
    x_next: Tensor
    timesteps: Tensor


class SynDiffObjective:
    """Named terms of both players; knows no optimizer, device or loop.

    A batch holds an unpaired image of each contrast under ``keys``. A diffusive generator is never shown the
    other sample's image: its source is the estimate of the other contrast made from the very image it has to restore,
    so no term compares one patient with another. The critics have their turn first.

    Args:
        first, second: networks of the two contrasts.
        scheduler: the diffusion.
        latent_dim: length of the latent z.
        l1_weight: λ of the difference between the restored image and the true one.
        cycle_weight: λ of cycle consistency of the estimators; the published code has one value for both.
        r1_gamma: γ of the R1 gradient penalty on the diffusive critics; 0 leaves it out.
        r1_interval: penalise at every so many calls of :meth:`discriminator_terms`, the first included; as published,
            the penalty is not multiplied by the interval.
        draws: called with a batch and the turn for its random numbers.
        keys: of the first and of the second contrast in a batch, as the source stands under ``image``.
    Raises:
        InputError: for a weight or an interval that is no number, or out of range.
    """

    def __init__(
        self,
        first: Contrast,
        second: Contrast,
        scheduler: DDGANScheduler,
        latent_dim: int = 100,
        l1_weight: float = 0.5,
        cycle_weight: float = 0.5,
        r1_gamma: float = 1.0,
        r1_interval: int = 10,
        draws: Callable[[Batch, int], Draws] = seeded_draws,
        keys: Sequence[str] = ("image", "label"),
    ) -> None:
        for name, weight in (("l1_weight", l1_weight), ("cycle_weight", cycle_weight), ("r1_gamma", r1_gamma)):
            require_weight(f"SynDiffObjective, {name}", weight)
        require_integer("SynDiffObjective, r1_interval", r1_interval)
        self.contrasts = (first, second)
        self.scheduler, self.latent_dim = scheduler, latent_dim
        self.l1_weight, self.cycle_weight = l1_weight, cycle_weight
        self.draws, self.keys = draws, tuple(keys)
        self.adversarial, self.r1 = SoftplusLoss(), LazyR1(r1_gamma, r1_interval)

    def discriminator_terms(self, batch: Batch) -> Terms:
        """What the four critics minimise: real and made images told apart, and the lazy R1 penalty.

        The published code steps the patch critics after the diffusive ones; neither sees what the other changes, so one
        turn is the same.
        """
        draws = self.draws(batch, CRITICS)
        images = self._images(batch)
        samples = self._diffused(images, draws)
        with torch.no_grad():
            estimates = self._estimates(images)
            _, restored = self._restored(samples, estimates, draws)
        terms = self._on_real(samples)
        terms["fake"] = _sum(map(self.adversarial.fake, self._judged(samples, restored)))
        terms["patch_real"] = _sum(map(self.adversarial.real, self._judged_patches(images)))
        terms["patch_fake"] = _sum(map(self.adversarial.fake, self._judged_patches(estimates)))
        return terms

    def generator_terms(self, batch: Batch) -> Terms:
        """What all four generators minimise together; the estimates are not detached from the diffusive terms."""
        draws = self.draws(batch, GENERATORS)
        images = self._images(batch)
        samples = self._diffused(images, draws)
        estimates = self._estimates(images)
        predicted, restored = self._restored(samples, estimates, draws)
        cycled = self._estimates(estimates)
        return {
            "cycle": self.cycle_weight * _sum(map(l1_loss, cycled, images)),
            "adversarial": _sum(map(self.adversarial.real, self._judged(samples, restored))),
            "patch_adversarial": _sum(map(self.adversarial.real, self._judged_patches(estimates))),
            "l1": self.l1_weight * _sum(map(l1_loss, predicted, images)),
        }

    def state_dict(self) -> dict[str, Any]:
        """How often the critics had their turn, on which the lazy penalty depends."""
        return self.r1.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue to count."""
        self.r1.load_state_dict(state)

    def _images(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of the first contrast and of the second."""
        first, second = self.keys
        return batch[first], batch[second]

    def _diffused(self, images: Sequence[Tensor], draws: Draws) -> list[Diffused]:
        """Each contrast noised to a timestep of its own; the noise of the last step is drawn first, as published."""
        timesteps = [draws.integers(self.scheduler.num_timesteps) for _ in images]
        samples = []
        for x_0, t in zip(images, timesteps, strict=True):
            noise_next, noise_t = draws.normal(*x_0.shape[1:]), draws.normal(*x_0.shape[1:])
            x_t, x_next = self.scheduler.noise_pair(x_0, t, noise_t=noise_t, noise_next=noise_next)
            samples.append(Diffused(x_0, x_t, x_next, t))
        return samples

    def _estimates(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Non-diffusive translations: the first contrast made from the second image, and the second from the first."""
        first, second = self.contrasts
        return [first.estimator(images[1]), second.estimator(images[0])]

    def _restored(
        self, samples: Sequence[Diffused], estimates: Sequence[Tensor], draws: Draws
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Predicted x_0 of both contrasts, and x_t drawn from the posterior that it implies."""
        latents = [draws.normal(self.latent_dim) for _ in samples]
        predicted = [
            of.generator(torch.cat([sample.x_next, source], dim=1), sample.timesteps, latent)[:, :1]
            for of, sample, source, latent in zip(self.contrasts, samples, reversed(estimates), latents, strict=True)
        ]
        restored = [
            self.scheduler.posterior_sample(x_0, sample.x_next, sample.timesteps, draws.normal(*x_0.shape[1:]))
            for sample, x_0 in zip(samples, predicted, strict=True)
        ]
        return predicted, restored

    def _on_real(self, samples: Sequence[Diffused]) -> Terms:
        """The diffusive critics' term on real images and, when its turn has come, their gradient penalty."""
        logits, penalty = self.r1(partial(self._judged, samples), [sample.x_t for sample in samples])
        terms = {"real": _sum(map(self.adversarial.real, logits))}
        return terms if penalty is None else {**terms, "r1": penalty}

    def _judged(self, samples: Sequence[Diffused], x_t: Sequence[Tensor]) -> list[Tensor]:
        """Logits of both diffusive critics for x_t, real or restored, given t and x_{t+1}."""
        return [
            of.critic(judged, sample.timesteps, sample.x_next)
            for of, sample, judged in zip(self.contrasts, samples, x_t, strict=True)
        ]

    def _judged_patches(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Maps of logits of both patch critics for an image of the first and of the second contrast."""
        return [of.patch_critic(image)[-1] for of, image in zip(self.contrasts, images, strict=True)]


def _sum(terms: Iterable[Tensor]) -> Tensor:
    """The sum over the two contrasts."""
    first, second = terms
    return first + second
