"""The MU-Diff objective: two denoisers, one critic, and what the denoisers learn from each other.

Source: MU-Diff, a mutual learning diffusion model for synthetic MRI, npj Artificial Intelligence (2025),
doi:10.1038/s44387-025-00016-8; its critic follows Z. Xiao et al., Tackling the generative learning trilemma with
denoising diffusion GANs, ICLR 2022, arXiv:2112.07804. With c the sources, k = 1, 2 and n_k ~ N(0, I):

1. predictions  x_0^1 = G1(x_{t+1}, c, t, z),   x_0^2 = G2(x_{t+1}, c, t, z, x_0^1)
2. samples      x^k ~ q(x_t | x_{t+1}, x_0^k), drawn with n_k
3. critic       softplus(-D(x_t)) + γ/2 |∇D(x_t)|² + Σ_k softplus(D(x^k)),   D(x) = D(x, t, x_{t+1})
4. denoisers    Σ_k softplus(-D(x^k)) + λ_1 Σ_k |x_0^k - x_0| + λ_m L_m
5. mutual       L_m = mean A_2 · BCE(x^1, σ(x^2)) + mean A_1 · BCE(x^2, σ(x^1)), the first argument as a logit
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from mudiff_bundle.weighting import Weighting
from transmodal.engines.draws import CRITICS, GENERATORS, Draws, seeded_draws
from transmodal.engines.phases import Batch, Terms, require_weight
from transmodal.errors import require_integer
from transmodal.losses import LazyR1, SoftplusLoss
from transmodal.schedulers import DDGANScheduler

READ = 2
"""The critic's block whose features weigh the mutual term, counted from 0: an eighth of the image, as published."""


class MUDiffObjective:
    """Named terms of both players; knows no optimizer, device or loop. The critic has its turn first.

    A batch holds the sources as channels of ``image``, (B, K, H, W), the target as ``label``, (B, 1, H, W), both in
    [-1, 1], and ``seed``, (B,). Networks are only ever called, so each may be wrapped for several processes.

    Args:
        specific: G1, ``(noisy, sources, timesteps, latent) -> prediction``.
        aware: G2, ``(noisy, sources, timesteps, latent, guess) -> prediction``; the guess is G1's prediction, through
            which G2's terms train G1 too, as published.
        critic: D, ``(x_t, timesteps, x_next, return_features) -> logits``, or a pair of them and the features of its
            blocks.
        scheduler: the diffusion.
        weighting: makes the maps A_1 and A_2.
        latent_dim: length of the latent z.
        adversarial_weight: of the critic's judgement among the denoisers' terms.
        l1_weight: λ_1.
        mutual_weight: λ_m; 0 leaves the term out, with what it costs.
        r1_gamma: γ of the gradient penalty on real images; 0 leaves it out.
        r1_interval: penalise at every so many calls of :meth:`discriminator_terms`, the first included; as published,
            the penalty is not multiplied by the interval.
        draws: called with a batch and the turn for its random numbers.
    Raises:
        InputError: for a weight or an interval that is no number, or out of range.
    """

    def __init__(
        self,
        specific: nn.Module,
        aware: nn.Module,
        critic: nn.Module,
        scheduler: DDGANScheduler,
        weighting: Weighting,
        latent_dim: int = 100,
        adversarial_weight: float = 1.0,
        l1_weight: float = 0.5,
        mutual_weight: float = 0.1,
        r1_gamma: float = 1.0,
        r1_interval: int = 10,
        draws: Callable[[Batch, int], Draws] = seeded_draws,
    ) -> None:
        weights = {"adversarial_weight": adversarial_weight, "l1_weight": l1_weight, "mutual_weight": mutual_weight}
        for name, weight in {**weights, "r1_gamma": r1_gamma}.items():
            require_weight(f"MUDiffObjective, {name}", weight)
        require_integer("MUDiffObjective, r1_interval", r1_interval)
        self.specific, self.aware, self.critic = specific, aware, critic
        self.scheduler, self.weighting, self.latent_dim = scheduler, weighting, latent_dim
        self.adversarial_weight, self.l1_weight, self.mutual_weight = weights.values()
        self.draws = draws
        self.adversarial, self.r1 = SoftplusLoss(), LazyR1(r1_gamma, r1_interval)

    def discriminator_terms(self, batch: Batch) -> Terms:
        """What the critic minimises: one real image told from two made ones, and the lazy R1 penalty (equation 3)."""
        draws = self.draws(batch, CRITICS)
        x_t, x_next, timesteps = self._diffused(batch["label"], draws)
        terms = self._on_real(x_t, x_next, timesteps)
        with torch.no_grad():
            _, made, _ = self._made(batch["image"], x_next, timesteps, draws)
        first, second = (self.adversarial.fake(self.critic(x, timesteps, x_next)) for x in made)
        return {**terms, "fake": first + second}

    def generator_terms(self, batch: Batch) -> Terms:
        """What both denoisers minimise together (equation 4)."""
        draws, x_0 = self.draws(batch, GENERATORS), batch["label"]
        _, x_next, timesteps = self._diffused(x_0, draws)
        predicted, made, noises = self._made(batch["image"], x_next, timesteps, draws)
        judged = [self.critic(x, timesteps, x_next, return_features=True) for x in made]
        adversarial = [self.adversarial.real(logits) for logits, _ in judged]
        terms = {
            "adversarial": self.adversarial_weight * (adversarial[0] + adversarial[1]),
            "l1": self.l1_weight * (l1_loss(predicted[0], x_0) + l1_loss(predicted[1], x_0)),
        }
        if self.mutual_weight > 0:
            true = self._features_of_the_truth(x_0, x_next, timesteps, noises) if self.weighting.compares else []
            maps = self.weighting([features[READ] for _, features in judged], true, x_0.shape[2:])
            terms["mutual"] = self.mutual_weight * mutual_loss(made, maps, self.weighting.detached)
        return terms

    def state_dict(self) -> dict[str, Any]:
        """How often the critic had its turn, on which the lazy penalty depends, and the state of the weighting."""
        return {**self.r1.state_dict(), "weighting": self.weighting.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue to count, with the weighting of the state."""
        self.weighting.load_state_dict(state["weighting"])
        self.r1.load_state_dict(state)

    def _diffused(self, x_0: Tensor, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        """x_t, x_{t+1} and each sample's t; the noise of the last step is drawn first, as published."""
        timesteps = draws.integers(self.scheduler.num_timesteps)
        noise_next, noise_t = draws.normal(*x_0.shape[1:]), draws.normal(*x_0.shape[1:])
        x_t, x_next = self.scheduler.noise_pair(x_0, timesteps, noise_t=noise_t, noise_next=noise_next)
        return x_t, x_next, timesteps

    def _made(
        self, sources: Tensor, x_next: Tensor, timesteps: Tensor, draws: Draws
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Both predictions of x_0, the samples of x_t that they imply, and the noise of each (equations 1 and 2)."""
        latent = draws.normal(self.latent_dim)
        first = self.specific(x_next, sources, timesteps, latent)
        second = self.aware(x_next, sources, timesteps, latent, first)
        noises = [draws.normal(*x_next.shape[1:]) for _ in range(2)]
        made = [
            self.scheduler.posterior_sample(x_0, x_next, timesteps, noise)
            for x_0, noise in zip((first, second), noises, strict=True)
        ]
        return [first, second], made, noises

    def _on_real(self, x_t: Tensor, x_next: Tensor, timesteps: Tensor) -> Terms:
        """The critic's term on real images and, when its turn has come, the gradient penalty."""

        def judge(images: Sequence[Tensor]) -> list[Tensor]:
            return [self.critic(images[0], timesteps, x_next)]

        (logits,), penalty = self.r1(judge, [x_t])
        terms = {"real": self.adversarial.real(logits)}
        return terms if penalty is None else {**terms, "r1": penalty}

    @torch.no_grad()
    def _features_of_the_truth(
        self, x_0: Tensor, x_next: Tensor, timesteps: Tensor, noises: Sequence[Tensor]
    ) -> list[Tensor]:
        """What the critic would have read of each sample, had its prediction been the true image."""
        samples = [self.scheduler.posterior_sample(x_0, x_next, timesteps, noise) for noise in noises]
        return [self.critic(x, timesteps, x_next, return_features=True)[1][READ] for x in samples]


def mutual_loss(made: Sequence[Tensor], maps: Sequence[Tensor], detached: bool) -> Tensor:
    """Pull each sample towards the other, weighted by the map of the other (equation 5).

    The cross-entropy takes samples as logits, as published: for a fixed target it is least where both are equal.

    Args:
        made: x^1 and x^2, (B, 1, H, W).
        maps: A_1 and A_2, (B, 1, H, W).
        detached: whether the sample learnt from is a fixed target, without gradient.
    """
    first, second = made
    towards = [x.sigmoid().detach() if detached else x.sigmoid() for x in made]
    learnt_by_first = maps[1] * binary_cross_entropy_with_logits(first, towards[1], reduction="none")
    learnt_by_second = maps[0] * binary_cross_entropy_with_logits(second, towards[0], reduction="none")
    return learnt_by_first.mean() + learnt_by_second.mean()
