"""What the denoiser minimises: its error at a random time of the diffusion, and terms on the clean image behind it.

Sources: J. Ho et al., Denoising diffusion probabilistic models, NeurIPS 2020, arXiv:2006.11239 (algorithm 1); J. Ho,
T. Salimans, Classifier-free diffusion guidance, arXiv:2207.12598 (algorithm 1: the condition is dropped at random, so
that the empty one is learnt too).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from transmodal.engines import CRITICS, GENERATORS, Draws, seeded_draws
from transmodal.engines.phases import Batch, Terms
from transmodal.errors import InputError
from transmodal.schedulers import Diffusion

__all__ = ["Adversary", "Auxiliary", "ConditionalObjective"]


class Auxiliary(Protocol):
    """Further loss terms on clean latents.

    Attributes:
        max_timestep: the terms concern samples up to this time alone, as estimates of later ones show little.
    """

    max_timestep: int

    def terms(self, x0_pred: Tensor, x_0: Tensor, timesteps: Tensor, batch: Batch, /) -> Terms:
        """Named, weighted terms.

        Args:
            x0_pred: normalised latents as the network estimates them, (B, C, f, h, w), not clipped, with gradient.
            x_0: the true ones.
            timesteps: t of each sample, (B,).
            batch: as the objective got it.
        """
        ...


@runtime_checkable
class Adversary(Protocol):
    """An auxiliary with a discriminator of its own, which is trained in a phase of its own."""

    max_timestep: int

    def discriminator_terms(self, x0_pred: Tensor, x_0: Tensor, timesteps: Tensor, batch: Batch, /) -> Terms:
        """Named, weighted terms of the discriminator; arguments are those of ``terms``, without gradient."""
        ...


class ConditionalObjective:
    """Draw t and ε, withhold the condition now and then, and predict what the diffusion asks for from x_t and t.

    All numbers are drawn from each sample's own seed: neither the batch nor the number of processes changes them. The
    network is told of every sample whether its condition is withheld, so that the learnt empty condition takes part in
    every step, with a gradient of 0 where no sample sees it.

    Args:
        network: called as ``network(image=radiograph, noisy=x_t, timesteps=t, drop=drop)``, such as
            :class:`~xray2ctpa_bundle.networks.XRayToCT`, alone or wrapped for parallel training.
        diffusion: such as ``transmodal.schedulers.CosineDiffusion``, of which networks predict the noise, or
            ``transmodal.schedulers.RectifiedFlow``, of which they predict the velocity.
        loss: called as ``loss(prediction, target)`` for one number, such as ``torch.nn.L1Loss``.
        weight: of the errors at each timestep, called with t (B,), such as ``transmodal.schedulers.VelocityWeight``; 1
            if null, as published.
        condition_dropout: probability with which the condition is withheld. At 0, as published, the empty condition is
            never learnt, and guidance is of no use.
        auxiliary: further terms on the clean latents that the network's prediction stands for.
        draws: called with a batch and the turn for its random numbers; by default each sample's own seed decides.
    Raises:
        InputError: if ``condition_dropout`` is no probability, or a term has the name of another.
    """

    def __init__(
        self,
        network: nn.Module,
        diffusion: Diffusion,
        loss: Callable[[Tensor, Tensor], Tensor],
        weight: Callable[[Tensor], Tensor] | None = None,
        condition_dropout: float = 0.1,
        auxiliary: Sequence[Auxiliary] = (),
        draws: Callable[[Batch, int], Draws] = seeded_draws,
    ) -> None:
        _check_probability(condition_dropout)
        self.network, self.diffusion, self.loss, self.weight = network, diffusion, loss, weight
        self.condition_dropout, self.auxiliary, self.draws = condition_dropout, list(auxiliary), draws

    def terms(self, batch: Batch) -> Terms:
        """The loss of a batch.

        Args:
            batch: with ``image``, radiographs (B, 1, S, S) in [-1, 1], ``label``, normalised latents (B, C, f, h, w),
                and ``seed``, (B,); and with what the auxiliary terms look for.
        Returns:
            ``denoising``, and the auxiliary terms under their names.
        """
        x_0, draws = batch["label"], self.draws(batch, GENERATORS)
        timesteps = draws.integers(self.diffusion.num_timesteps)
        noise = draws.normal(*x_0.shape[1:])
        x_t = self.diffusion.add_noise(x_0, noise, timesteps)
        prediction = self._prediction(batch, x_t, timesteps, draws)
        target = self.diffusion.target(x_0, noise, timesteps)
        weight = 1.0 if self.weight is None else _per_sample(self.weight(timesteps), like=x_t)
        terms = {"denoising": self.loss(weight * prediction, weight * target)}
        if self.auxiliary:
            x0_pred = self.diffusion.x0_from(x_t, prediction, timesteps)
            for auxiliary in self.auxiliary:
                _join(terms, auxiliary.terms(x0_pred, x_0, timesteps, batch))
        return terms

    @torch.no_grad()
    def _estimate(self, batch: Batch, max_timestep: int) -> tuple[Tensor, Tensor]:
        """Clean latents as the network estimates them now, (B, C, f, h, w), and the times they are estimated at."""
        x_0, draws = batch["label"], self.draws(batch, CRITICS)
        timesteps = draws.integers(min(max_timestep + 1, self.diffusion.num_timesteps))
        x_t = self.diffusion.add_noise(x_0, draws.normal(*x_0.shape[1:]), timesteps)
        prediction = self._prediction(batch, x_t, timesteps, draws)
        return self.diffusion.x0_from(x_t, prediction, timesteps), timesteps

    def discriminator_terms(self, batch: Batch) -> Terms:
        """What the discriminators among the auxiliary terms minimise, of a batch as for :meth:`terms`.

        The network estimates clean latents without gradient, at times of which the discriminator is to judge.

        Raises:
            InputError: if no auxiliary term has a discriminator.
        """
        adversaries = [auxiliary for auxiliary in self.auxiliary if isinstance(auxiliary, Adversary)]
        if not adversaries:
            raise InputError(
                "ConditionalObjective, auxiliary",
                found="no term with a discriminator",
                wanted="one, for a phase that trains a discriminator",
                remedy="add xray2ctpa_bundle.auxiliary.AdversarialTerm, or take the phase out",
            )
        terms: Terms = {}
        for adversary in adversaries:
            x0_pred, timesteps = self._estimate(batch, adversary.max_timestep)
            _join(terms, adversary.discriminator_terms(x0_pred, batch["label"], timesteps, batch))
        return terms

    def _prediction(self, batch: Batch, x_t: Tensor, timesteps: Tensor, draws: Draws) -> Tensor:
        drop = draws.uniform() < self.condition_dropout
        prediction: Tensor = self.network(image=batch["image"], noisy=x_t, timesteps=timesteps, drop=drop)
        return prediction.float()


def _per_sample(weight: Tensor, like: Tensor) -> Tensor:
    return weight.reshape(-1, *[1] * (like.ndim - 1))


def _join(terms: Terms, further: Terms) -> None:
    """Add terms to those there are.

    Raises:
        InputError: if one has the name of another.
    """
    if twice := sorted(terms.keys() & further.keys()):
        raise InputError(
            "ConditionalObjective, auxiliary",
            found=f"two terms of the name {', '.join(twice)}",
            wanted="a name for each",
            remedy="take one of the auxiliary terms out",
        )
    terms.update(further)


def _check_probability(condition_dropout: float) -> None:
    number = isinstance(condition_dropout, int | float) and not isinstance(condition_dropout, bool)
    if not number or not 0 <= condition_dropout <= 1:
        raise InputError(
            "ConditionalObjective, condition_dropout",
            found=repr(condition_dropout),
            wanted="a probability from 0 to 1",
            remedy="0.1 as a rule; 0 to train without guidance",
        )
