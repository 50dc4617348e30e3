"""Both denoisers for any number of sources, and the network that owns them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mudiff_bundle.networks import ContrastAwareDenoiser, ContrastSpecificDenoiser, GatedFusion, MutualDenoisers, ring
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.errors import InputError

CONTRASTS = ("flair", "t2", "t1", "dwi", "pd")
LATENT, STEPS = 3, 4

numbers_of_sources = pytest.mark.parametrize("num_sources", [1, 2, 3, 5])


def widths(num_sources: int, **others: Any) -> dict[str, Any]:
    return {
        "num_sources": num_sources,
        "channels": 8,
        "channel_mult": (1, 2),
        "num_res_blocks": 1,
        "attention": (False, False),
        "latent_dim": LATENT,
        "style_dim": 6,
        "mapping_layers": 1,
        **others,
    }


def denoisers(num_sources: int = 3) -> MutualDenoisers:
    """A small network whose every layer counts, not nearly silent as at the start of a training."""
    network = MutualDenoisers(
        ContrastSpecificDenoiser(**widths(num_sources)),
        ContrastAwareDenoiser(**widths(num_sources), stem_style_dim=5),
        CONTRASTS[:num_sources],
        "t1ce",
        num_timesteps=STEPS,
        latent_dim=LATENT,
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=parameter[0].numel() ** -0.5, generator=generator)
    return network.eval()


def step(num_sources: int = 3, height: int = 8, width: int = 12, batch: int = 2) -> dict[str, Tensor]:
    """The arguments of one step of the reverse chain."""
    generator = torch.Generator().manual_seed(1)
    return {
        "image": torch.rand(batch, num_sources, height, width, generator=generator) * 2 - 1,
        "noisy": torch.randn(batch, 1, height, width, generator=generator),
        "timesteps": torch.arange(batch) % STEPS,
        "latent": torch.randn(batch, LATENT, generator=generator),
    }


class Constant(nn.Module):
    """Predicts one value and keeps what it was shown."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, noisy: Tensor, *others: Tensor) -> Tensor:
        self.shown = (noisy, *others)
        return torch.full_like(noisy, self.value)


def constants(**arguments: Any) -> MutualDenoisers:
    return MutualDenoisers(Constant(0.5), Constant(-0.1), ("t1", "t2"), "flair", latent_dim=LATENT, **arguments)


@numbers_of_sources
def test_any_number_of_sources_trains(num_sources: int) -> None:
    network = denoisers(num_sources).train()
    network(**step(num_sources), separate=True).square().mean().backward()
    silent = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    assert silent == []


@numbers_of_sources
@torch.no_grad()
def test_every_source_counts_in_both_denoisers(num_sources: int) -> None:
    network, given = denoisers(num_sources), step(num_sources)
    before = network(**given, separate=True)
    for index in range(num_sources):
        image = given["image"].clone()
        image[:, index] = image[:, index].flip(-1)  # a mere change of scale is what the norms of the stems undo
        change = (network(**{**given, "image": image}, separate=True) - before).abs().amax(dim=(0, 2, 3))
        assert (change > 1e-3).all(), f"source {index}: {change}"


def test_the_order_of_the_sources_counts() -> None:
    network, given = denoisers(), step()
    turned = {**given, "image": given["image"].flip(1)}
    assert (network(**turned) - network(**given)).abs().max() > 1e-3


@torch.no_grad()
def test_the_guess_steers_the_contrast_aware_denoiser() -> None:
    aware, given = denoisers().aware, step()
    arguments = given["noisy"], given["image"], given["timesteps"], given["latent"]
    guess = torch.zeros_like(given["noisy"])
    assert (aware(*arguments, guess) - aware(*arguments, guess + 0.5)).abs().max() > 1e-5


def test_the_guess_hands_gradients_back_to_the_contrast_specific_denoiser() -> None:
    network = denoisers().train()
    network(**step(), separate=True)[:, 1].sum().backward()
    assert network.specific.trunk.head.weight.grad.abs().max() > 0


@pytest.mark.parametrize(("height", "width"), [(7, 9), (8, 11), (5, 4)])
@torch.no_grad()
def test_any_size_comes_back_as_it_was(height: int, width: int) -> None:
    assert denoisers()(**step(height=height, width=width), separate=True).shape == (2, 2, height, width)


@pytest.mark.parametrize(
    ("count", "pairs"),
    [(1, []), (2, [(0, 1)]), (3, [(0, 1), (1, 2), (2, 0)]), (5, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)])],
)
def test_sources_are_paired_in_a_ring(count: int, pairs: list[tuple[int, int]]) -> None:
    assert ring(count) == pairs


@torch.no_grad()
def test_a_fusion_is_its_equation() -> None:
    """g2 · U(g1 · f_a) + (1 - g2) · f_b, both gates of all features."""
    fusion = GatedFusion(3, 4, first=2, second=0)
    features = [torch.randn(1, 4, 5, 6) for _ in range(3)]
    everything = torch.cat(features, dim=1)
    gate1, gate2 = torch.sigmoid(fusion.gate1(everything)), torch.sigmoid(fusion.gate2(everything))
    expected = gate2 * fusion.blend(gate1 * features[2]) + (1 - gate2) * features[0]
    assert_close(fusion(features, everything), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [ContrastSpecificDenoiser, ContrastAwareDenoiser])
@pytest.mark.parametrize("num_sources", [0, True, "3", 1.5])
def test_a_number_of_sources_that_is_none_is_refused(kind: type[nn.Module], num_sources: Any) -> None:
    with pytest.raises(ValueError, match=rf"found num_sources={num_sources!r}; wanted an integer of 1 or more"):
        kind(**widths(num_sources))


def test_the_result_is_the_mean_of_both_predictions() -> None:
    assert_close(constants()(torch.zeros(2, 2, 4, 6)), torch.full((2, 1, 4, 6), 0.2))


def test_separate_predictions_are_channels_with_the_contrast_specific_one_first() -> None:
    both = constants()(torch.zeros(2, 2, 4, 6), separate=True)
    assert_close(both[:, :1], torch.full((2, 1, 4, 6), 0.5))
    assert_close(both[:, 1:], torch.full((2, 1, 4, 6), -0.1))


def test_both_denoisers_see_the_same_step_and_the_second_the_first_ones_guess() -> None:
    network, given = constants(), step(2)
    network(**given)
    wanted = [given[name] for name in ("noisy", "image", "timesteps", "latent")]
    for seen, expected in zip(network.specific.shown, wanted, strict=True):
        assert seen is expected
    assert_close(list(network.aware.shown), [*wanted, torch.full_like(given["noisy"], 0.5)])


def test_sources_alone_are_the_first_step_without_randomness() -> None:
    network, image = constants(num_timesteps=7), torch.rand(2, 2, 4, 4)
    network(image)
    noisy, _, timesteps, latent = network.specific.shown
    assert noisy.shape == (2, 1, 4, 4)
    assert not noisy.any()
    assert timesteps.tolist() == [6, 6]
    assert latent.shape == (2, LATENT)
    assert not latent.any()


@pytest.mark.parametrize("channels", [1, 3])
def test_another_number_of_channels_is_refused(channels: int) -> None:
    message = f"found an image of {channels} channels; wanted 2, one for each source"
    with pytest.raises(ValueError, match=message):
        constants()(torch.zeros(1, channels, 4, 4))


def test_the_one_target_may_be_named_and_no_other() -> None:
    network, image = constants(), torch.zeros(1, 2, 4, 4)
    assert_close(network(image, target="flair"), network(image))
    with pytest.raises(ValueError, match="found target 't1ce'; wanted 'flair'"):
        network(image, target="t1ce")


@pytest.mark.parametrize("role", ["specific", "aware"])
def test_a_denoiser_for_another_number_of_sources_is_refused(role: str) -> None:
    kinds = {"specific": ContrastSpecificDenoiser, "aware": ContrastAwareDenoiser}
    parts = {name: kind(**widths(2 if name == role else 3)) for name, kind in kinds.items()}
    message = f"found 3 sources, flair, t2, t1, and `{role}` with stems for 2; wanted as many sources as stems"
    with pytest.raises(InputError, match=message):
        MutualDenoisers(**parts, sources=CONTRASTS[:3], target="t1ce")


def test_a_copy_gives_the_same_and_goes_its_own_way() -> None:
    network, given = denoisers(), step()
    twin, before = copy.deepcopy(network), network(**given)
    assert_close(twin(**given), before, rtol=0, atol=0)
    with torch.no_grad():
        twin.aware.fusion[0].blend.weight.zero_()
    assert_close(network(**given), before, rtol=0, atol=0)
    assert str(twin.task) == str(network.task)


@pytest.mark.parametrize("num_sources", [1, 3])
@torch.no_grad()
def test_torchscript_gives_the_same(num_sources: int) -> None:
    network, given = denoisers(num_sources), step(num_sources)
    scripted = torch.jit.script(network)
    assert_close(scripted(**given, separate=True), network(**given, separate=True), rtol=0, atol=2e-6)
    assert_close(scripted(given["image"]), network(given["image"]), rtol=0, atol=2e-6)


@torch.no_grad()
def test_bfloat16_autocast_stays_close() -> None:
    network, given = denoisers(), step(height=16, width=16)
    exact = network(**given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = network(**given).float()
    assert exact.std() > 0.1
    assert (rounded - exact).abs().max() < 0.1
    assert (rounded - exact).abs().mean() < 0.02


def test_channels_last_memory_gives_the_same() -> None:
    network, given = denoisers(), step()
    laid = {name: each.contiguous(memory_format=torch.channels_last) for name, each in given.items() if each.ndim == 4}
    expected = network(**given)
    network.to(memory_format=torch.channels_last)
    assert_close(network(**{**given, **laid}), expected, rtol=0, atol=1e-5)
