"""Both generators, the critic and the translator: what the label does, which sizes fit, whose weights are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from stargan_bundle.networks import (
    ConditionalGenerator,
    ConditionalInstanceNorm,
    DomainTranslator,
    GreyImages,
    MultiDomainGenerator,
    StarGANCritic,
    StarGANGenerator,
)
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.checkpoints import load_weights, save_weights
from transmodal.errors import InputError

TINY: dict[str, Any] = {"channels": 4, "num_blocks": 2}
FRAME = 3  # pixels from the border that a 7 × 7 kernel looks beyond

both = pytest.mark.parametrize("generator", [StarGANGenerator, ConditionalGenerator])


class Label(nn.Module):
    """Makes the label everywhere, so that a result tells what was asked for."""

    def forward(self, image: Tensor, domain: Tensor) -> Tensor:
        return domain.to(image.dtype).reshape(-1, 1, 1, 1) + torch.zeros_like(image)


def told_apart(network: nn.Module) -> nn.Module:
    """The network with norms that differ from domain to domain, as after some training."""
    for module in network.modules():
        if isinstance(module, ConditionalInstanceNorm):
            nn.init.normal_(module.scale.weight, mean=1.0, std=0.2)
            nn.init.normal_(module.shift.weight, std=0.2)
    return network


def effect(made: list[Tensor]) -> tuple[float, float]:
    """How far the label moves the result in the frame of the image and in its middle, on average."""
    moved = (made[0] - made[1]).abs()
    inside = moved[..., FRAME:-FRAME, FRAME:-FRAME].mean()
    frame = torch.ones(moved.shape[-2:], dtype=torch.bool)
    frame[FRAME:-FRAME, FRAME:-FRAME] = False
    return float(moved[..., frame].mean()), float(inside)


@both
@pytest.mark.parametrize(("spatial_dims", "size"), [(2, (16, 12)), (3, (16, 12, 8))])
def test_the_translation_has_the_size_of_the_image_in_any_dimension(
    generator: type[MultiDomainGenerator], spatial_dims: int, size: tuple[int, ...]
) -> None:
    network = generator(num_domains=3, in_channels=2, spatial_dims=spatial_dims, **TINY)
    made = network(torch.randn(2, 2, *size), torch.tensor([0, 2]))
    assert made.shape == (2, 2, *size)
    assert made.abs().max() <= 1


@both
@pytest.mark.parametrize("size", [(18, 16), (16, 17), (4, 16), (66, 64)])
def test_a_size_that_is_no_multiple_of_four_or_too_small_is_refused(
    generator: type[MultiDomainGenerator], size: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match=rf"size \[{size[0]}, {size[1]}\]; wanted multiples of 4, at least 8.*Pad"):
        generator(**TINY)(torch.zeros(1, 1, *size), torch.tensor([0]))


@both
def test_the_smallest_size_trains(generator: type[MultiDomainGenerator]) -> None:
    network = generator(**TINY)
    network(torch.randn(1, 1, 8, 8), torch.tensor([1])).square().sum().backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert any(bool(gradient.any()) for gradient in gradients)


@both
def test_evaluation_equals_training_and_nothing_is_counted(generator: type[MultiDomainGenerator]) -> None:
    network, image, domain = generator(**TINY), torch.randn(2, 1, 16, 16), torch.tensor([0, 1])
    assert list(network.buffers()) == []
    assert torch.equal(network.train()(image, domain), network.eval()(image, domain))


@both
def test_each_image_of_a_batch_is_translated_to_its_own_domain(generator: type[MultiDomainGenerator]) -> None:
    network, images = told_apart(generator(**TINY)), torch.randn(2, 1, 16, 16)
    together = network(images, torch.tensor([1, 0]))
    alone = [network(images[:1], torch.tensor([1])), network(images[1:], torch.tensor([0]))]
    assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)
    assert not torch.allclose(together, network(images, torch.tensor([0, 1])), atol=1e-3)


@torch.no_grad()
def test_the_published_label_acts_at_the_border_alone() -> None:
    """Measured at full width: 16 times as much in the frame as inside, where only the statistics differ."""
    network, image = StarGANGenerator(channels=16), torch.tanh(torch.randn(1, 1, 64, 64))
    stems: list[Tensor] = []
    network.stem.register_forward_hook(lambda module, inputs, made: stems.append(made))
    for label in (0, 1):
        network(image, torch.tensor([label]))
    frame, inside = effect(stems)
    assert frame > 5 * inside


@torch.no_grad()
def test_without_zero_padding_the_published_label_does_nothing() -> None:
    network, image = StarGANGenerator(**TINY), torch.randn(1, 1, 16, 16)
    network.stem.conv.padding_mode = "reflect"
    made = [network(image, torch.tensor([label])) for label in (0, 1)]
    assert_close(made[0], made[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("padding_mode", ["reflect", "zeros"])
@torch.no_grad()
def test_the_label_of_conditional_norms_acts_in_the_middle_as_much_as_at_the_border(padding_mode: str) -> None:
    network = told_apart(ConditionalGenerator(padding_mode=padding_mode, **TINY))
    image = torch.tanh(torch.randn(1, 1, 64, 64))
    frame, inside = effect([network(image, torch.tensor([label])) for label in (0, 1)])
    assert 0.5 < inside / frame < 2
    assert inside > 0.02


def test_conditional_norms_start_as_plain_ones_and_reflect_at_the_border() -> None:
    network = ConditionalGenerator(num_domains=3, **TINY)
    norms = [module for module in network.modules() if isinstance(module, ConditionalInstanceNorm)]
    assert len(norms) == 1 + 2 + 2 * 2 + 2
    assert all(torch.equal(norm.scale.weight, torch.ones(3, norm.scale.embedding_dim)) for norm in norms)
    assert all(torch.equal(norm.shift.weight, torch.zeros(3, norm.shift.embedding_dim)) for norm in norms)
    reflecting = [network.stem.conv, network.head, network.blocks[0].conv1, network.blocks[1].conv2]
    assert {conv.padding_mode for conv in reflecting} == {"reflect"}


def test_only_the_domain_that_is_asked_for_learns() -> None:
    network = ConditionalGenerator(num_domains=3, **TINY)
    network(torch.randn(1, 1, 16, 16), torch.tensor([1])).square().sum().backward()
    for gradient in (network.stem.norm.scale.weight.grad, network.up[1].norm.shift.weight.grad):
        assert gradient[[0, 2]].abs().sum() == 0
        assert gradient[1].abs().sum() > 0


@both
def test_norms_keep_the_type_of_half_precision(generator: type[MultiDomainGenerator]) -> None:
    norm = generator(**TINY).stem.norm
    features = torch.randn(1, 4, 8, 8)
    halved = norm(features.bfloat16(), torch.tensor([0]))
    assert halved.dtype == torch.bfloat16
    assert_close(halved.float(), norm(features, torch.tensor([0])), rtol=0, atol=0.03)


@pytest.mark.parametrize(("spatial_dims", "size", "left"), [(2, (32, 48), (4, 6)), (3, (16, 16, 8), (2, 2, 1))])
def test_the_critic_scores_patches_and_names_domains(
    spatial_dims: int, size: tuple[int, ...], left: tuple[int, ...]
) -> None:
    network = StarGANCritic(image_size=size, num_domains=3, channels=4, depth=3, spatial_dims=spatial_dims)
    scores, logits = network(torch.randn(2, 1, *size))
    assert scores.shape == (2, 1, *left)
    assert logits.shape == (2, 3)


@pytest.mark.parametrize("image_size", [100, (64, 100), (64, 64, 64), 0])
def test_a_size_that_the_critic_cannot_halve_so_often_is_refused(image_size: Any) -> None:
    with pytest.raises(InputError, match=r"StarGANCritic, image_size: found .*wanted a multiple of 2 \*\* 4 = 16"):
        StarGANCritic(image_size=image_size, channels=2, depth=4)


def test_the_critic_refuses_images_of_another_size() -> None:
    network = StarGANCritic(image_size=32, channels=2, depth=2)
    with pytest.raises(ValueError, match=r"size \[32, 36\]; wanted \[32, 32\], for which the critic was made. Set"):
        network(torch.zeros(1, 1, 32, 36))


@pytest.fixture(params=[False, True], ids=["python", "scripted"])
def translator(request: pytest.FixtureRequest) -> nn.Module:
    network = DomainTranslator(LabelOf3(), domains=("mr", "ct", "t2"))
    return torch.jit.script(network) if request.param else network


class LabelOf3(Label):
    num_domains = 3


def test_the_target_is_a_name_and_ct_by_default(translator: nn.Module) -> None:
    image = torch.zeros(2, 1, 8, 8)
    assert_close(translator(image), image + 1)
    for label, name in enumerate(("mr", "ct", "t2")):
        assert_close(translator(image, target=name), image + label)


def test_an_unknown_target_is_refused(translator: nn.Module) -> None:
    with pytest.raises((ValueError, torch.jit.Error), match=r"found target 'pet'; wanted one of mr, ct, t2. Set"):
        translator(torch.zeros(1, 1, 8, 8), target="pet")


@both
def test_scripting_changes_nothing(generator: type[MultiDomainGenerator]) -> None:
    network, image = DomainTranslator(told_apart(generator(**TINY))).eval(), torch.randn(1, 1, 16, 12)
    scripted = torch.jit.script(network)
    assert_close(scripted(image, "mr"), network(image, "mr"), rtol=0, atol=0)
    with pytest.raises(torch.jit.Error, match="wanted multiples of 4"):
        scripted(image[..., :-1])


def test_weights_for_the_same_domains_are_loaded(tmp_path: Path) -> None:
    given, wanted = DomainTranslator(StarGANGenerator(**TINY)), DomainTranslator(StarGANGenerator(**TINY))
    save_weights(given.state_dict(), tmp_path / "model.pt")
    load_weights(wanted, tmp_path / "model.pt")
    assert torch.equal(wanted.generator.head.weight, given.generator.head.weight)


@pytest.mark.parametrize("domains", [("mr", "ct"), ("t1", "t2")])
def test_weights_for_other_domains_or_another_order_are_refused(tmp_path: Path, domains: tuple[str, str]) -> None:
    given = DomainTranslator(StarGANGenerator(**TINY), domains=domains)
    save_weights(given.state_dict(), tmp_path / "model.pt")
    said = rf"model.pt: found a network for the domains {', '.join(domains)}; wanted one for the domains ct, mr, as"
    with pytest.raises(InputError, match=said):
        load_weights(DomainTranslator(StarGANGenerator(**TINY)), tmp_path / "model.pt")


@pytest.mark.parametrize("domains", [("ct",), ("ct", "ct"), "ct", ("ct", ""), ("ct", "mr", "t2"), (0, 1), ()])
def test_domains_that_are_not_one_name_for_each_of_the_generator_are_refused(domains: Any) -> None:
    with pytest.raises(InputError, match=r"DomainTranslator, domains: found .*wanted 2 different names"):
        DomainTranslator(StarGANGenerator(**TINY), domains=domains)


def test_grey_images_are_repeated_and_averaged() -> None:
    class PerChannel(nn.Module):
        num_domains = 2

        def forward(self, image: Tensor, domain: Tensor) -> Tensor:
            assert image.shape[1] == 3
            return (image + domain.reshape(-1, 1, 1, 1)) * torch.tensor([1.0, 2.0, 6.0]).reshape(3, 1, 1)

    image = torch.randn(2, 1, 8, 8)
    grey = DomainTranslator(GreyImages(PerChannel(), channels=3))
    assert_close(grey(image, "ct"), 3 * image)
    assert_close(grey(image, "mr"), 3 * (image + 1))


def test_generators_of_colour_script_too() -> None:
    network = DomainTranslator(GreyImages(StarGANGenerator(in_channels=3, **TINY))).eval()
    image = torch.randn(1, 1, 8, 8)
    assert_close(torch.jit.script(network)(image, "mr"), network(image, "mr"), rtol=0, atol=0)
