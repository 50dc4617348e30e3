"""The StarGAN objective: Wasserstein adversarial terms, domain classification and reconstruction.

Source: Y. Choi et al., StarGAN: unified generative adversarial networks for multi-domain image-to-image translation,
CVPR 2018, arXiv:1711.09020, equations 2 to 6 and 8; the gradient penalty is that of I. Gulrajani et al., 2017. With x
an image of domain c, c' the domain wanted, y = G(x, c'), D the critic's mean score and P its softmax over domains:

1. critic       -D(x) + D(y) + λ_cls (-log P(c | x)) + λ_gp (|∇D(x̂)| - 1)²,   x̂ = α x + (1 - α) y,  α ~ U(0, 1)
2. generator    -D(y) + λ_cls (-log P(c' | y)) + λ_rec mean |x - G(y, c)|
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transmodal.engines.draws import CRITICS, Draws, seeded_draws
from transmodal.engines.phases import Batch, Terms, require_weight
from transmodal.errors import InputError, require_flag, require_integer

AIR = -1.0
"""What an image holds where there is no body."""


class StarGANObjective:
    """Named terms of both players; knows no optimizer, device or loop. The critic has its turn first.

    A batch holds ``image``, (B, 1, H, W) in [-1, 1], the ``domain`` each belongs to and the ``target`` it is to be
    translated to, both (B,) int64, and ``seed``, (B,). No image may have its own domain for a target: a generator that
    is only ever asked for what it was given learns to hand it back, and every loss still falls.

    Args:
        generator: G, ``(image, domain) -> translation``.
        critic: D, ``image -> (scores of patches, logits of domains)``.
        num_domains: K.
        cls_weight: λ_cls.
        rec_weight: λ_rec.
        gp_weight: λ_gp; 0 leaves the penalty out, with what it costs.
        body_only: judge and reconstruct nothing but the body, ``body`` in the batch, (B, 1, H, W) of 0 and 1. Outside
            it the critic is shown air, in real images and in translations, so the couch cannot tell them apart; the way
            back starts from the same, so nothing can be hidden there.
        draws: called with a batch and the turn for its random numbers.
    Raises:
        InputError: for a weight, a number or a flag that is none.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        num_domains: int = 2,
        cls_weight: float = 1.0,
        rec_weight: float = 10.0,
        gp_weight: float = 10.0,
        body_only: bool = False,
        draws: Callable[[Batch, int], Draws] = seeded_draws,
    ) -> None:
        require_integer("StarGANObjective, num_domains", num_domains)
        weights = {"cls_weight": cls_weight, "rec_weight": rec_weight, "gp_weight": gp_weight}
        for name, weight in weights.items():
            require_weight(f"StarGANObjective, {name}", weight)
        require_flag(
            "StarGANObjective, body_only",
            body_only,
            "write --body_only True or --body_only False, with a capital letter",
        )
        self.generator, self.critic, self.num_domains = generator, critic, num_domains
        self.cls_weight, self.rec_weight, self.gp_weight = weights.values()
        self.body_only, self.draws = body_only, draws

    def discriminator_terms(self, batch: Batch) -> Terms:
        """What the critic minimises: scores of real images against translations, wrong domains, steep scores."""
        self._check_translating(batch)
        real = self._shown(batch["image"], batch)
        with torch.no_grad():
            fake = self._shown(self.generator(batch["image"], batch["target"]), batch)
        scores, logits = self.critic(real)
        terms = {
            "real": -scores.mean(),
            "fake": self.critic(fake)[0].mean(),
            "domain": self.cls_weight * cross_entropy(logits, batch["domain"]),
        }
        if self.gp_weight > 0:
            alpha = self.draws(batch, CRITICS).uniform(*[1] * (real.ndim - 1))
            terms["gradient_penalty"] = self.gp_weight * self._penalty(real, fake, alpha)
        return terms

    def generator_terms(self, batch: Batch) -> Terms:
        """What the generator minimises: the critic's verdict on its translations, and what is lost on the way back."""
        self._check_translating(batch)
        image = batch["image"]
        fake = self._shown(self.generator(image, batch["target"]), batch)
        scores, logits = self.critic(fake)
        lost = (self.generator(fake, batch["domain"]) - image).abs()
        return {
            "adversarial": -scores.mean(),
            "domain": self.cls_weight * cross_entropy(logits, batch["target"]),
            "reconstruction": self.rec_weight * (_mean_inside(lost, _body(batch)) if self.body_only else lost.mean()),
        }

    def _shown(self, image: Tensor, batch: Batch) -> Tensor:
        """What the critic is shown of an image."""
        return torch.where(_body(batch) > 0, image, AIR) if self.body_only else image

    def _penalty(self, real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
        """How far the gradient of each image's summed scores is from unit length, squared, averaged over the batch."""
        with torch.autocast(real.device.type, enabled=False):  # it is differentiated twice
            between = (alpha * real.float() + (1 - alpha) * fake.float()).requires_grad_()
            (gradient,) = torch.autograd.grad(self.critic(between)[0].sum(), between, create_graph=True)
            return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

    def _check_translating(self, batch: Batch) -> None:
        domain, target = batch["domain"], batch["target"]
        pairs = torch.stack([domain, target], dim=1).tolist()
        if same := [pair for pair in pairs if pair[0] == pair[1]]:
            raise InputError(
                "training batch, target",
                found=f"{len(same)} of {len(pairs)} images to be translated from domain {same[0][0]} to itself",
                wanted="another domain than the image's own",
                remedy="draw the targets with transmodal.data.DomainSampler; a generator asked for what it was given "
                "learns to copy",
            )
        if outside := [pair for pair in pairs if not all(0 <= label < self.num_domains for label in pair)]:
            raise InputError(
                "training batch, domain and target",
                found=f"labels {outside[0][0]} and {outside[0][1]}",
                wanted=f"0 to {self.num_domains - 1}, for {self.num_domains} domains",
                remedy="set `num_domains` to the number of `domains` that the data set is made of",
            )


def _body(batch: Batch) -> Tensor:
    if "body" not in batch:
        raise InputError(
            "training batch, body",
            found=f"no body among {', '.join(batch)}",
            wanted="a body mask for each image, as body_only asks for",
            remedy="make masks with transmodal.transforms.BodyMaskd, or set --body_only False",
        )
    body: Tensor = batch["body"]
    return body


def _mean_inside(values: Tensor, body: Tensor) -> Tensor:
    """The mean of each image inside its body, averaged over the batch; an image without body counts as 0."""
    inside = (body > 0).expand_as(values).flatten(1)
    totals = torch.where(inside, values.flatten(1), 0).sum(dim=1)
    return (totals / inside.sum(dim=1).clamp(min=1)).mean()
