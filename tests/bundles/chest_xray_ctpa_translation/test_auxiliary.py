"""Terms on clean latents: their values, which samples they concern, and the gradient that reaches the denoiser."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from monai.networks.nets import PatchDiscriminator
from torch import Tensor, nn
from torch.testing import assert_close
from xray2ctpa_bundle.auxiliary import AdversarialTerm, ClassificationTerm, PerceptualTerm
from xray2ctpa_bundle.objective import Adversary, ConditionalObjective
from xray2ctpa_bundle.slice_autoencoder import SliceAutoencoder
from xray2ctpa_bundle.vqgan import VQGAN

from transmodal.errors import InputError
from transmodal.losses import FeatureDistance
from transmodal.networks import LatentScale
from transmodal.schedulers import CosineDiffusion

EARLY, LATE = 100, 900


class Colours(nn.Module):
    """Features of a picture: itself and its square."""

    def forward(self, picture: Tensor) -> list[Tensor]:
        return [torch.cat([picture, picture.square()], dim=1)]


class Pooled(nn.Module):
    """A classifier whose logit is twice the mean of its latents."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, latents: Tensor) -> Tensor:
        return self.gain * latents.flatten(1).mean(dim=1, keepdim=True)


class Plain(nn.Module):
    """Latents of 4 channels are volumes of as many voxels; decoding takes their mean. Counts what it decodes."""

    factors = (1, 1, 1)

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.seen: list[Tensor] = []

    def decode_unclipped(self, z: Tensor) -> Tensor:
        self.seen.append(z.detach())
        return self.gain * z.mean(dim=1, keepdim=True)


class Shifted(nn.Module):
    """A denoiser whose prediction has a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(0.1))

    def forward(self, image: Tensor, noisy: Tensor, timesteps: Tensor, drop: Tensor) -> Tensor:
        return noisy * self.shift


def absolute(made: Tensor, true: Tensor) -> Tensor:
    return (made - true).abs().mean(dim=(1, 2, 3))


def latents(samples: int = 2, seed: int = 0) -> Tensor:
    return torch.randn((samples, 4, 6, 4, 4), generator=torch.Generator().manual_seed(seed))


def batch(samples: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "image": torch.zeros(samples, 1, 8, 8),
        "label": latents(samples, 1),
        "seed": torch.arange(samples) + 7,
        **more,
    }


def critic() -> PatchDiscriminator:
    return PatchDiscriminator(spatial_dims=3, num_layers_d=1, channels=4, in_channels=4, kernel_size=3)


def perceptual(autoencoder: nn.Module, **others: Any) -> PerceptualTerm:
    return PerceptualTerm(absolute, autoencoder, LatentScale(4), **{"weight": 1.0, **others})  # type: ignore[arg-type]


def test_decoded_slices_are_compared() -> None:
    made, true = torch.zeros(2, 4, 6, 4, 4), torch.full((2, 4, 6, 4, 4), 0.5)
    term = perceptual(Plain(), weight=0.1)
    assert_close(term.terms(made, true, torch.tensor([EARLY, EARLY]), batch())["perceptual"], torch.tensor(0.1 * 0.5))


def test_latents_are_brought_back_to_their_scale_before_they_are_decoded() -> None:
    scale, autoencoder = LatentScale(4), Plain()
    scale.mean.fill_(3.0)
    scale.std.fill_(2.0)
    PerceptualTerm(absolute, autoencoder, scale).terms(  # type: ignore[arg-type]
        torch.ones(1, 4, 6, 4, 4), torch.zeros(1, 4, 6, 4, 4), torch.tensor([EARLY]), batch(1)
    )
    assert [float(seen.mean()) for seen in autoencoder.seen] == [3.0, 5.0]  # the true ones first


def test_the_slices_follow_from_the_seed_of_each_sample() -> None:
    autoencoder, true = Plain(), torch.arange(6.0)[None, None, :, None, None].expand(2, 4, 6, 4, 4)
    term = perceptual(autoencoder)
    for seeds in ([7, 8], [7, 8], [8, 7]):
        term.terms(true, true, torch.tensor([EARLY, EARLY]), batch(seed=torch.tensor(seeds)))
    first, again, swapped = (seen[:, 0, :, 0, 0] for seen in autoencoder.seen[::2])
    assert tuple(first.shape) == (2, 1)
    assert torch.equal(first, again)
    assert torch.equal(first.flip(0), swapped)


def test_as_many_neighbouring_slices_as_asked_for_are_decoded() -> None:
    autoencoder, true = Plain(), torch.arange(6.0)[None, None, :, None, None].expand(1, 4, 6, 4, 4)
    perceptual(autoencoder, slices=3).terms(true, true, torch.tensor([EARLY]), batch(1))
    (run,) = autoencoder.seen[0][:, 0, :, 0, 0].tolist()
    assert run == [run[0], run[0] + 1, run[0] + 2]


@pytest.mark.parametrize("kind", ["slices", "volumes"])
def test_slices_of_both_autoencoders_are_compared_with_a_gradient(kind: str) -> None:
    autoencoder: Any = (
        SliceAutoencoder(channels=(4, 8), num_res_blocks=1, norm_groups=4, image_channels=1)
        if kind == "slices"
        else VQGAN(channels=4, embedding_dim=4, num_codes=8, downsample=(2, 2, 2), norm_groups=4)
    )
    made = latents().requires_grad_()
    term = PerceptualTerm(FeatureDistance(Colours()), autoencoder.eval(), LatentScale(4), slices=2)
    term.terms(made, latents(2, 3), torch.tensor([EARLY, EARLY]), batch())["perceptual"].backward()
    assert (made.grad.abs().sum(dim=(1, 3, 4)) > 0).sum(dim=1).tolist() == [2, 2]
    assert all(parameter.grad is None for parameter in autoencoder.parameters())
    assert all(parameter.requires_grad for parameter in autoencoder.parameters())


def test_without_a_distance_there_is_no_term() -> None:
    term = PerceptualTerm(None, Plain(), LatentScale(4))
    assert term.terms(latents(), latents(), torch.tensor([EARLY, EARLY]), batch()) == {}


def test_the_denoiser_is_to_be_taken_for_true_by_least_squares() -> None:
    made = latents()
    term = AdversarialTerm(critic().eval(), weight=0.5)
    logits = term.discriminator(made)[-1]
    expected = 0.5 * (logits - 1).square().mean()
    assert_close(term.terms(made, latents(), torch.tensor([EARLY, EARLY]), batch())["adversarial"], expected)


def test_the_discriminator_is_to_tell_them_apart_by_least_squares() -> None:
    made, true = latents(2, 0), latents(2, 1)
    term = AdversarialTerm(critic().eval())
    terms = term.discriminator_terms(made, true, torch.tensor([EARLY, EARLY]), batch())
    assert_close(terms["real"], 0.5 * (term.discriminator(true)[-1] - 1).square().mean())
    assert_close(terms["fake"], 0.5 * term.discriminator(made)[-1].square().mean())


def test_each_player_trains_itself_alone() -> None:
    made = latents().requires_grad_()
    term = AdversarialTerm(critic())
    term.terms(made, latents(), torch.tensor([EARLY, EARLY]), batch())["adversarial"].backward()
    assert made.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in term.discriminator.parameters())
    made.grad = None
    sum(term.discriminator_terms(made, latents(), torch.tensor([EARLY, EARLY]), batch()).values()).backward()
    assert made.grad is None
    assert all(parameter.grad is not None for parameter in term.discriminator.parameters())


def test_without_a_sample_to_judge_the_discriminator_takes_part_with_a_gradient_of_zero() -> None:
    term = AdversarialTerm(critic())
    terms = term.discriminator_terms(latents(), latents(), torch.tensor([LATE, LATE]), batch())
    sum(terms.values()).backward()
    assert all(not parameter.grad.any() for parameter in term.discriminator.parameters())


def test_a_classifier_is_to_see_what_the_patient_has() -> None:
    """By hand: logits 2 and -2, labels 1 and 0, positive samples three times as heavy."""
    made = torch.stack([torch.ones(4, 2, 2, 2), -torch.ones(4, 2, 2, 2)])
    term = ClassificationTerm(Pooled(), weight=0.1, pos_weight=3.0)
    labelled = batch(embolism=torch.tensor([1.0, 0.0]))
    cost = term.terms(made, made, torch.tensor([EARLY, EARLY]), labelled)["classification"]
    assert_close(cost, torch.tensor(0.1 * (3 * math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-2))) / 2))


def test_samples_of_unknown_label_are_left_out() -> None:
    made = torch.ones(3, 4, 2, 2, 2).requires_grad_()
    labelled = batch(3, embolism=torch.tensor([2.0, 1.0, math.nan]))
    ClassificationTerm(Pooled()).terms(made, made, torch.tensor([EARLY] * 3), labelled)["classification"].backward()
    assert (made.grad.flatten(1) != 0).any(dim=1).tolist() == [False, True, False]


def test_latents_are_brought_back_to_their_scale_before_they_are_classified() -> None:
    scale, made = LatentScale(4), torch.ones(1, 4, 2, 2, 2)
    scale.mean.fill_(-1.0)
    term = ClassificationTerm(Pooled(), weight=1.0, scale=scale)
    cost = term.terms(made, made, torch.tensor([EARLY]), batch(1, embolism=torch.tensor([1.0])))["classification"]
    assert_close(cost, torch.tensor(math.log(2)))  # a logit of 0


def test_the_classifier_is_frozen() -> None:
    classifier = Pooled().train()
    ClassificationTerm(classifier)
    assert not classifier.training
    assert not classifier.gain.requires_grad


def test_a_batch_without_labels_is_refused() -> None:
    with pytest.raises(InputError, match=r"ClassificationTerm: found a batch of image, label, seed; wanted labels"):
        ClassificationTerm(Pooled()).terms(latents(), latents(), torch.tensor([EARLY, EARLY]), batch())


def every_term(**others: Any) -> list[Any]:
    return [
        PerceptualTerm(FeatureDistance(Colours()), Plain(), LatentScale(4), **others),
        AdversarialTerm(critic().eval(), **others),  # its batch norm looks at other samples in training
        ClassificationTerm(Pooled(), **others),
    ]


@pytest.mark.parametrize("number", range(3))
def test_samples_of_late_times_are_left_out(number: int) -> None:
    made = latents(3).requires_grad_()
    term = every_term(max_timestep=250)[number]
    labelled = batch(3, embolism=torch.tensor([1.0, 1.0, 0.0]))
    (cost,) = term.terms(made, latents(3, 5), torch.tensor([250, 251, 0]), labelled).values()
    cost.backward()
    assert (made.grad.flatten(1) != 0).any(dim=1).tolist() == [True, False, True]


@pytest.mark.parametrize("number", range(3))
def test_nothing_to_judge_costs_nothing(number: int) -> None:
    infinite = torch.full((2, 4, 6, 4, 4), math.inf)
    labelled = batch(embolism=torch.tensor([1.0, 0.0]))
    (cost,) = every_term()[number].terms(infinite, latents(), torch.tensor([LATE, LATE]), labelled).values()
    assert cost == 0


@pytest.mark.parametrize("number", range(3))
def test_the_share_of_a_sample_does_not_depend_on_its_batch(number: int) -> None:
    """Two samples of which one counts cost half of what that one costs alone."""
    made, true, times = latents(2), latents(2, 5), torch.tensor([LATE, EARLY])
    term = every_term()[number]
    labels = torch.tensor([1.0, 1.0])
    (both,) = term.terms(made, true, times, batch(embolism=labels)).values()
    alone = {"image": torch.zeros(1, 1, 8, 8), "seed": torch.tensor([8]), "embolism": labels[1:]}
    (single,) = term.terms(made[1:], true[1:], times[1:], alone).values()
    assert_close(both, single / 2)


@pytest.mark.parametrize("number", range(3))
def test_the_gradient_reaches_the_weights_of_the_denoiser(number: int) -> None:
    """Within the whole objective; published, the perceptual and the adversarial terms had none."""
    network, term = Shifted(), every_term(max_timestep=999)[number]
    objective = ConditionalObjective(network, CosineDiffusion(), nn.L1Loss(), auxiliary=[term])
    terms = objective.terms(batch(embolism=torch.tensor([1.0, 0.0])))
    (name,) = terms.keys() - {"denoising"}
    terms[name].backward()
    assert network.shift.grad.abs() > 0


def test_only_the_adversarial_term_has_a_discriminator_to_train() -> None:
    assert [isinstance(term, Adversary) for term in every_term()] == [False, True, False]
    objective = ConditionalObjective(Shifted(), CosineDiffusion(), nn.L1Loss(), auxiliary=every_term())
    assert objective.discriminator_terms(batch()).keys() == {"real", "fake"}


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    ("wrong", "text"),
    [({"weight": -1}, "Term, weight: found -1"), ({"max_timestep": 2.5}, "Term, max_timestep: found 2.5")],
)
def test_weights_and_times_that_cannot_be_meant_are_refused(number: int, wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        every_term(**wrong)[number]
    with pytest.raises(InputError, match="PerceptualTerm, slices: found 0"):
        perceptual(Plain(), slices=0)
