"""StarGAN against the published networks: same outputs from the same deterministic weights, through the key maps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from stargan_bundle.networks import GreyImages, StarGANCritic, StarGANGenerator
from stargan_bundle.published import generator_names, recognise
from torch import Tensor, nn
from torch.testing import assert_close

from tests.parity.fill import fill_keys
from transmodal.checkpoints import KeyMap, match

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def critic_names(depth: int) -> dict[str, str]:
    """Published names of the discriminator's modules to those of ``StarGANCritic``."""
    names = {f"main.{2 * level}": f"convs.{level}" for level in range(depth)}
    return {**names, "conv1": "patch_head", "conv2": "domain_head"}


def published_keys(shared: Path, name: str) -> list[tuple[str, list[int], str]]:
    keys: list[tuple[str, list[int], str]] = json.loads((shared / "goldens/gan" / f"{name}_keys.json").read_text())
    return keys


def published_state(shared: Path, name: str, width: int = 8) -> dict[str, Tensor]:
    """The published keys of the network at ``width``, with the deterministic values of the reference."""
    keys = published_keys(shared, name)
    return fill_keys([(key, [n * width // 64 if n >= 64 else n for n in shape], dtype) for key, shape, dtype in keys])


def golden(shared: Path, name: str) -> dict[str, Tensor]:
    arrays = np.load(shared / "goldens/gan" / f"{name}_golden.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def imported(state: dict[str, Tensor]) -> nn.Module:
    """The recognised network with the published weights, in the mode of inference."""
    published = recognise(state, where="published")
    network: nn.Module = ConfigParser({"network": dict(published.definition)}).get_parsed_content("network")
    network.load_state_dict(match(state, network.state_dict(), published.key_map, where="published")[0])
    return network.eval()


@pytest.fixture(scope="module")
def colour(shared: Path) -> nn.Module:
    """The reference generator, 8 wide, of three channels."""
    network = imported(published_state(shared, "stargan_g"))
    assert isinstance(network, GreyImages)
    return network.network


@pytest.mark.parametrize("output", ["out", "out_swapped"])
@torch.no_grad()
def test_the_generator_translates_to_either_domain_as_published(shared: Path, colour: nn.Module, output: str) -> None:
    expected = golden(shared, "stargan_g")
    domain = expected["c"].argmax(dim=1)
    made = colour(expected["x"], domain if output == "out" else 1 - domain)
    assert_close(made, expected[output], rtol=0, atol=1e-5)


@torch.no_grad()
def test_evaluation_equals_training_unlike_the_published_evaluation(shared: Path, colour: nn.Module) -> None:
    """With its running statistics the published code's evaluation mode gives another image."""
    expected = golden(shared, "stargan_g")
    domain = expected["c"].argmax(dim=1)
    evaluated = colour.eval()(expected["x"], domain)
    assert torch.equal(colour.train()(expected["x"], domain), evaluated)
    assert (evaluated - expected["out_evalmode"]).abs().max() > 0.1


@torch.no_grad()
def test_grey_images_pass_as_the_mean_of_what_the_network_makes_of_three_equal_channels(shared: Path) -> None:
    network = imported(published_state(shared, "stargan_g"))
    grey, domain = golden(shared, "stargan_g")["x"][:, :1], torch.tensor([0, 1])
    colourful = network.network(grey.repeat(1, 3, 1, 1), domain)
    assert_close(network(grey, domain), colourful.mean(dim=1, keepdim=True))


@pytest.mark.parametrize(("name", "num_domains"), [("stargan_g", 2), ("stargan_g_c5", 5)])
def test_the_generator_has_the_published_keys_one_to_one(shared: Path, name: str, num_domains: int) -> None:
    with torch.device("meta"):
        network = StarGANGenerator(num_domains=num_domains, in_channels=3)
    key_map = KeyMap(generator_names(6))
    kept = [(key, shape) for key, shape, _ in published_keys(shared, name) if not key.endswith(STATISTICS)]
    assert len(kept) == 52
    assert [(key_map.name(key), tuple(shape)) for key, shape in kept] == [
        (key, tuple(value.shape)) for key, value in network.state_dict().items()
    ]


@pytest.mark.parametrize(("name", "image_size", "num_domains"), [("stargan_d", 256, 2), ("stargan_d_128_c5", 128, 5)])
def test_the_critic_has_the_published_keys_one_to_one(
    shared: Path, name: str, image_size: int, num_domains: int
) -> None:
    with torch.device("meta"):
        network = StarGANCritic(image_size=image_size, num_domains=num_domains, in_channels=3)
    key_map = KeyMap(critic_names(6))
    assert [(key_map.name(key), tuple(shape)) for key, shape, _ in published_keys(shared, name)] == [
        (key, tuple(value.shape)) for key, value in network.state_dict().items()
    ]


@torch.no_grad()
def test_the_critic_judges_as_published(shared: Path) -> None:
    expected = golden(shared, "stargan_d_r6")
    network = StarGANCritic(image_size=64, channels=8, depth=6, in_channels=3)
    key_map = KeyMap(critic_names(6))
    keys = [(key, shape, dtype) for key, shape, dtype in _narrow_critic(shared)]
    network.load_state_dict(match(fill_keys(keys), network.state_dict(), key_map, where="stargan_d")[0])
    scores, logits = network(expected["x"])
    assert_close(scores, expected["out_src"], rtol=0, atol=1e-5)
    assert_close(logits, expected["out_cls"], rtol=0, atol=1e-5)


def _narrow_critic(shared: Path) -> list[tuple[str, list[int], str]]:
    """The published keys at width 8 and 64 × 64 pixels, of which the head of the domains sees one."""
    return [
        (key, [n * 8 // 64 if n >= 64 else n for n in shape[:2]] + ([1, 1] if key == "conv2.weight" else shape[2:]), d)
        for key, shape, d in published_keys(shared, "stargan_d")
    ]
