"""The CycleGAN objective: least-squares adversarial, cycle-consistency and identity terms, and one for pairs.

Source: J.-Y. Zhu, T. Park, P. Isola, A. A. Efros, Unpaired image-to-image translation using cycle-consistent
adversarial networks, ICCV 2017, equations 1 to 3 and section 5.2 (identity); weights and image pool as published.
The term for pairs: P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros, Image-to-image translation with conditional adversarial
networks, CVPR 2017, equation 3.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import l1_loss

from transmodal.data.pool import ImagePool
from transmodal.engines.phases import Batch


class CycleGANObjective:
    """Named terms of both players; knows no optimizer, device or loop.

    The generator phase goes first, as published. Its translations, made before the generators move, stay in the batch
    as ``fake_target`` and ``fake_source`` for the critics to judge through the pools, so nothing is translated twice.

    Args:
        to_target, to_source: generators source → target and target → source, (B, 1, H, W) in [-1, 1].
        target_critic, source_critic: patch critics whose last output is a map of logits.
        adversarial: loss ``(logits, target_is_real, for_discriminator)``, least squares as published.
        target_pool, source_pool: histories of translated images.
        cycle_weight: λ of both cycle terms.
        identity_weight: λ of the identity terms relative to ``cycle_weight``; 0 leaves them out.
        paired_weight: λ of the L1 distance of both translations to the image that each batch pairs with their source;
            0, as published, leaves it out. Only for batches of registered pairs.
    """

    def __init__(
        self,
        to_target: nn.Module,
        to_source: nn.Module,
        target_critic: nn.Module,
        source_critic: nn.Module,
        adversarial: Callable[..., Tensor],
        target_pool: ImagePool,
        source_pool: ImagePool,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        paired_weight: float = 0.0,
    ) -> None:
        self.to_target, self.to_source = to_target, to_source
        self.target_critic, self.source_critic = target_critic, source_critic
        self.adversarial = adversarial
        self.target_pool, self.source_pool = target_pool, source_pool
        self.cycle_weight, self.identity_weight, self.paired_weight = cycle_weight, identity_weight, paired_weight

    def generator_terms(self, batch: Batch) -> dict[str, Tensor]:
        """What the generators minimise; ``batch`` holds ``image`` (source) and ``label`` (target), paired or not."""
        source, target = batch["image"], batch["label"]
        fake_target, fake_source = self.to_target(source), self.to_source(target)
        batch |= {"fake_target": fake_target.detach(), "fake_source": fake_source.detach()}
        terms = {
            "adversarial_target": self._convinces(self.target_critic, fake_target),
            "adversarial_source": self._convinces(self.source_critic, fake_source),
            "cycle_source": self.cycle_weight * l1_loss(self.to_source(fake_target), source),
            "cycle_target": self.cycle_weight * l1_loss(self.to_target(fake_source), target),
        }
        if self.identity_weight > 0:
            weight = self.cycle_weight * self.identity_weight
            terms["identity_target"] = weight * l1_loss(self.to_target(target), target)
            terms["identity_source"] = weight * l1_loss(self.to_source(source), source)
        if self.paired_weight > 0:
            terms["paired_target"] = self.paired_weight * l1_loss(fake_target, target)
            terms["paired_source"] = self.paired_weight * l1_loss(fake_source, source)
        return terms

    def discriminator_terms(self, batch: Batch) -> dict[str, Tensor]:
        """What the critics minimise: half the least-squares error on real images and on pooled translations.

        ``batch`` is the one that :meth:`generator_terms` has seen.
        """
        fake_target = self.target_pool.query(batch["fake_target"])
        fake_source = self.source_pool.query(batch["fake_source"])
        return {
            "target": self._tells_apart(self.target_critic, batch["label"], fake_target),
            "source": self._tells_apart(self.source_critic, batch["image"], fake_source),
        }

    def _convinces(self, critic: nn.Module, fake: Tensor) -> Tensor:
        return self.adversarial(critic(fake)[-1], target_is_real=True, for_discriminator=False)

    def _tells_apart(self, critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        on_real = self.adversarial(critic(real)[-1], target_is_real=True, for_discriminator=True)
        on_fake = self.adversarial(critic(fake)[-1], target_is_real=False, for_discriminator=True)
        return 0.5 * (on_real + on_fake)
