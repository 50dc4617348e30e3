"""Loss terms on the clean latents that a denoiser's prediction stands for, where these show something.

Behind x_t the clean latents are known up to an error that grows with t, beyond all bounds at the last steps. So each
term concerns samples up to ``max_timestep`` alone. Published, all times count, and of these terms only the classifier's
has a gradient; here each one has, which goes through frozen networks into the denoiser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.losses.adversarial_loss import PatchAdversarialLoss
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from transmodal.engines import Draws, seeded_draws
from transmodal.engines.phases import Batch, Terms, frozen, require_weight
from transmodal.errors import InputError, require_integer
from transmodal.networks import LatentScale

__all__ = ["AdversarialTerm", "ClassificationTerm", "PerceptualTerm"]

SLICES = 4
"""The turn in which slices are chosen, with random numbers of its own."""


class AuxiliaryTerm:
    """What all have in common: a weight, and the last timestep that they concern.

    A sample's share does not depend on the others of its batch: sums over the samples concerned are divided by the size
    of the whole batch.

    Args:
        weight: of the term.
        max_timestep: samples of later times are left out; of 1000 cosine steps, the error of x_0 is that of the noise
            times 0.43 at 250, 1.0 at 495 and 6.4 at 900.
    Raises:
        InputError: for a weight that is no number of 0 or more, or a timestep that is no count.
    """

    def __init__(self, weight: float, max_timestep: int) -> None:
        require_weight(f"{type(self).__name__}, weight", weight)
        if isinstance(max_timestep, bool) or not isinstance(max_timestep, int) or max_timestep < 0:
            raise InputError(
                f"{type(self).__name__}, max_timestep",
                found=repr(max_timestep),
                wanted="a timestep, 0 or more",
                remedy="a quarter of the timesteps, 250 of 1000, is a good beginning",
            )
        self.weight, self.max_timestep = float(weight), max_timestep

    def concerned(self, timesteps: Tensor) -> Tensor:
        """Numbers of the samples of these times, (B,), that the term is about."""
        return (timesteps <= self.max_timestep).nonzero().flatten()


class PerceptualTerm(AuxiliaryTerm):
    """The distance of decoded slices: latents of a few neighbouring slices of each sample, chosen by its seed.

    Args:
        distance: called with made and true slices, (N, 1, H, W) in [-1, 1], for (N,), such as
            ``transmodal.losses.LPIPS``; null for no term.
        autoencoder: decodes latents; it is not trained.
        scale: that the latents are normalised by.
        weight, max_timestep: as for all terms; a weight of 0.01 as published.
        slices: latent slices of a sample that are decoded.
        draws: called with a batch and a turn for random numbers.
    """

    def __init__(
        self,
        distance: nn.Module | None,
        autoencoder: nn.Module,
        scale: LatentScale,
        weight: float = 0.01,
        max_timestep: int = 250,
        slices: int = 1,
        draws: Callable[[Batch, int], Draws] = seeded_draws,
    ) -> None:
        super().__init__(weight, max_timestep)
        require_integer("PerceptualTerm, slices", slices)
        self.distance, self.autoencoder, self.scale, self.slices, self.draws = (
            distance,
            autoencoder,
            scale,
            slices,
            draws,
        )

    def terms(self, x0_pred: Tensor, x_0: Tensor, timesteps: Tensor, batch: Batch) -> Terms:
        """``{"perceptual": …}`` of normalised latents (B, C, f, h, w); nothing without a distance."""
        if self.distance is None:
            return {}
        concerned = self.concerned(timesteps)
        if not len(concerned):
            return {"perceptual": x0_pred.new_zeros(())}
        length = min(self.slices, x_0.shape[2])
        starts = self.draws(batch, SLICES).integers(x_0.shape[2] - length + 1).tolist()
        made, true = (
            torch.stack([latents[n, :, starts[n] : starts[n] + length] for n in concerned.tolist()])
            for latents in (x0_pred, x_0)
        )
        with torch.no_grad():
            wanted = self._decoded(true)
        distances = self.distance(self._decoded(made), wanted).float()
        return {"perceptual": self.weight * distances.sum() / (length * self._per_latent * len(timesteps))}

    @property
    def _per_latent(self) -> int:
        """Slices that one latent slice stands for."""
        return int(self.autoencoder.factors[0])

    def _decoded(self, latents: Tensor) -> Tensor:
        """Slices (N, 1, H, W), not clipped, of normalised latents."""
        with frozen(self.autoencoder.parameters()):
            volumes: Tensor = self.autoencoder.decode_unclipped(self.scale.restore(latents))
        return volumes.movedim(2, 1).flatten(0, 1)


class AdversarialTerm(AuxiliaryTerm):
    """What a discriminator of latents makes of the estimates; it is trained in a phase of its own.

    Args:
        discriminator: of normalised latents, (B, C, f, h, w); its last output is a map of logits, such as MONAI's
            ``PatchDiscriminator``.
        weight, max_timestep: as for all terms.
        loss: called as ``loss(logits, target_is_real, for_discriminator)``; least squares if null, as published.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        weight: float = 0.01,
        max_timestep: int = 250,
        loss: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(weight, max_timestep)
        self.discriminator = discriminator
        self.loss = (
            PatchAdversarialLoss(criterion="least_squares", no_activation_leastsq=True) if loss is None else loss
        )

    def terms(self, x0_pred: Tensor, x_0: Tensor, timesteps: Tensor, batch: Batch) -> Terms:
        """``{"adversarial": …}`` for the denoiser."""
        concerned = self.concerned(timesteps)
        if not len(concerned):
            return {"adversarial": x0_pred.new_zeros(())}
        with frozen(self.discriminator.parameters()):
            cost = self._cost(x0_pred[concerned], real=True, training=False)
        return {"adversarial": self.weight * cost * (len(concerned) / len(timesteps))}

    def discriminator_terms(self, x0_pred: Tensor, x_0: Tensor, timesteps: Tensor, batch: Batch) -> Terms:
        """``{"real": …, "fake": …}`` for the discriminator, half of each as published."""
        concerned = self.concerned(timesteps)
        if not len(concerned):  # it takes part all the same, for processes that wait for each other's gradients
            nothing = 0.0 * self._cost(x_0, real=True, training=True)
            return {"real": nothing, "fake": nothing}
        return {
            "real": 0.5 * self._cost(x_0[concerned], real=True, training=True),
            "fake": 0.5 * self._cost(x0_pred[concerned].detach(), real=False, training=True),
        }

    def _cost(self, latents: Tensor, real: bool, training: bool) -> Tensor:
        logits = self.discriminator(latents)[-1]
        cost: Tensor = self.loss(logits.float(), target_is_real=real, for_discriminator=training)
        return cost


class ClassificationTerm(AuxiliaryTerm):
    """Whether a trained classifier sees in the estimates what the patient has: its cross-entropy.

    Args:
        classifier: of latents, (B, C, f, h, w), to logits (B, 1); it is frozen here.
        weight, max_timestep: as for all terms.
        pos_weight: of samples with the finding; 843 / 305 was published.
        scale: normalisation to undo before the classifier; null if it was trained on normalised latents.
        key: of the labels in a batch, (B,), 1 with the finding and 0 without; other values are unknown and left out.
    """

    def __init__(
        self,
        classifier: nn.Module,
        weight: float = 0.01,
        max_timestep: int = 250,
        pos_weight: float = 1.0,
        scale: LatentScale | None = None,
        key: str = "embolism",
    ) -> None:
        super().__init__(weight, max_timestep)
        require_weight("ClassificationTerm, pos_weight", pos_weight)
        self.classifier = classifier.eval().requires_grad_(False)
        self.pos_weight, self.scale, self.key = float(pos_weight), scale, key

    def terms(self, x0_pred: Tensor, x_0: Tensor, timesteps: Tensor, batch: Batch) -> Terms:
        """``{"classification": …}``, of samples whose label is known.

        Raises:
            InputError: if the batch has no labels.
        """
        if self.key not in batch:
            raise InputError(
                "ClassificationTerm",
                found=f"a batch of {', '.join(batch)}",
                wanted=f"labels under the key {self.key!r}",
                remedy="put labels.csv beside the data, or take the term out of the configuration",
            )
        labels = batch[self.key].to(x0_pred).flatten()
        known = (labels == 0) | (labels == 1)
        concerned = torch.where(known, timesteps, self.max_timestep + 1)
        chosen = self.concerned(concerned)
        if not len(chosen):
            return {"classification": x0_pred.new_zeros(())}
        latents = x0_pred[chosen] if self.scale is None else self.scale.restore(x0_pred[chosen])
        logits = self.classifier(latents).float().flatten()
        cost = binary_cross_entropy_with_logits(
            logits, labels[chosen], reduction="sum", pos_weight=logits.new_tensor(self.pos_weight)
        )
        return {"classification": self.weight * cost / len(timesteps)}
