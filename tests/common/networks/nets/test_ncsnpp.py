"""NCSN++: sizes, what it listens to, levels it refuses, its random start, precision, layouts, scripting, its trunk."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from transmodal.networks.nets import NCSNpp, NCSNppTrunk

TINY: dict[str, Any] = {
    "channels": 8,
    "channel_mult": (1, 2, 2),
    "num_res_blocks": 1,
    "attention": (False, True, False),
    "latent_dim": 6,
    "style_dim": 8,
    "mapping_layers": 1,
}


def loud(**changes: Any) -> NCSNpp:
    """A tiny network whose every weight matters, in the mode of inference."""
    network = NCSNpp(**(TINY | changes))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def inputs(height: int = 8, width: int = 12) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(2, 2, height, width), torch.tensor([0, 3]), torch.randn(2, 6)


@pytest.mark.parametrize("size", [(8, 12), (9, 8), (15, 21), (3, 3)])
def test_any_size_comes_back(size: tuple[int, int]) -> None:
    assert loud(out_channels=3)(*inputs(*size)).shape == (2, 3, *size)


def test_an_odd_size_is_predicted_as_the_middle_of_its_mirrored_image() -> None:
    network, (image, timesteps, latent) = loud(), inputs(9, 10)
    mirrored = torch.nn.functional.pad(image, (1, 1, 1, 2), mode="reflect")
    assert_close(network(image, timesteps, latent), network(mirrored, timesteps, latent)[:, :, 1:-2, 1:-1])


def test_an_image_too_small_to_be_mirrored_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found an image of 1 × 8 pixels; wanted .* multiple of 4\. Pad the image"):
        loud()(*inputs(1, 8))


@pytest.mark.parametrize("index", [0, 1, 2], ids=["image", "timesteps", "latent"])
def test_each_input_of_a_sample_changes_the_prediction_of_that_sample_alone(index: int) -> None:
    network, given = loud(), inputs()
    before = network(*given)
    given[index][1] = 1
    after = network(*given)
    assert_close(after[0], before[0], rtol=0, atol=1e-5)
    assert (after[1] - before[1]).abs().max() > 1e-3


def test_tanh_bounds_the_prediction_and_can_be_left_out() -> None:
    network, given = loud(), inputs()
    unbounded = loud(tanh=False)
    unbounded.load_state_dict(network.state_dict())
    assert unbounded(*given).abs().max() > 0.1
    assert_close(network(*given), torch.tanh(unbounded(*given)))


def test_attention_stands_where_its_level_is_flagged_and_in_the_middle() -> None:
    names = {name.rsplit(".", 2)[0] for name in NCSNpp(**TINY).state_dict() if name.endswith("query.weight")}
    assert names == {"trunk.down.1.attention.0", "trunk.up.1.attention", "trunk.middle.attention"}


@pytest.mark.parametrize("attention", [(True, False), (False,) * 4])
def test_flags_and_levels_that_differ_in_number_are_refused(attention: tuple[bool, ...]) -> None:
    with pytest.raises(
        ValueError, match=rf"found 3 levels .* and {len(attention)} in attention.*; wanted as many.*Give"
    ):
        NCSNpp(**(TINY | {"attention": attention}))


@pytest.mark.parametrize("attention", ["yes", (False, "false", False), (0, 1, 0)])
def test_flags_that_are_not_true_or_false_are_refused(attention: Any) -> None:
    with pytest.raises(ValueError, match=r"found attention=.*; wanted True or False for each level\. Give"):
        NCSNpp(**(TINY | {"attention": attention}))


def test_a_string_for_tanh_is_refused() -> None:
    with pytest.raises(ValueError, match=r"found tanh='false'; wanted True or False\."):
        NCSNpp(**TINY, tanh="false")


def test_a_new_network_predicts_almost_nothing() -> None:
    assert NCSNpp(**TINY)(*inputs()).abs().max() < 1e-3


def test_every_parameter_learns() -> None:
    network = loud()
    network(*inputs()).square().sum().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


@torch.no_grad()
def test_channels_last_predicts_the_same() -> None:
    network, (image, timesteps, latent) = loud(), inputs(9, 12)
    expected = network(image, timesteps, latent)
    network = network.to(memory_format=torch.channels_last)
    found = network(image.contiguous(memory_format=torch.channels_last), timesteps, latent)
    assert_close(found, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_bfloat16_autocast_predicts_nearly_the_same() -> None:
    network, given = loud(), inputs()
    expected = network(*given)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(*given)
    assert expected.std() > 0.05
    assert_close(found.float(), expected, rtol=0, atol=0.05)


@torch.no_grad()
def test_under_autocast_the_prediction_is_in_float32_and_not_rounded() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = loud()(*inputs())
    assert found.dtype == torch.float32
    assert (found != found.bfloat16()).float().mean() > 0.9


@torch.no_grad()
def test_scripted_it_predicts_the_same() -> None:
    network, given = loud(), inputs(9, 12)
    assert_close(torch.jit.script(network)(*given), network(*given), rtol=0, atol=1e-6)


def test_the_trunk_takes_wider_stems_and_a_pyramid_of_another_image() -> None:
    """MU-Diff's first denoiser has 20,472,065 parameters: 4 stems, the time and the latent layers, and this trunk."""
    with torch.device("meta"):
        trunk = NCSNppTrunk(
            stem_channels=256,
            pyramid_channels=1,
            out_channels=1,
            channels=64,
            channel_mult=(1, 2, 4),
            num_res_blocks=2,
            attention=(False, False, False),
            time_dim=256,
            style_dim=256,
        )
    stems = 4 * ((9 * 64 + 64) + (9 * 64 * 64 + 64))
    time = (64 * 256 + 256) + (256 * 256 + 256)
    latent = (100 * 256 + 256) + 3 * (256 * 256 + 256)
    assert sum(value.numel() for value in trunk.parameters()) == 20_472_065 - stems - time - latent
