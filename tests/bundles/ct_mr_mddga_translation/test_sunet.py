"""SUNet: sizes and levels, what it listens to, batches, precision, layouts, scripting, and what it refuses."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from mddga_bundle.blocks import CrossAttention, SelfAttention
from mddga_bundle.sunet import SUNet
from torch import Tensor, nn
from torch.testing import assert_close

from transmodal.errors import InputError

TINY: dict[str, Any] = {"channels": 8, "channel_mult": (1, 2, 2), "attention": (False, True, False), "norm_groups": 4}
SEVEN = {"channel_mult": (1,) * 7, "attention": (False,) * 6 + (True,)}
ODD = {2: (9, 13), 3: (5, 6, 7)}

both = pytest.mark.parametrize("spatial_dims", [2, 3], ids=["slices", "volumes"])


def loud(**changes: Any) -> SUNet:
    """A tiny network whose every weight matters, in the mode of inference."""
    network = SUNet(**(TINY | changes))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network.eval()


def inputs(*size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Condition, noisy image and time steps of two samples."""
    return torch.rand(2, 1, *size), torch.randn(2, 1, *size), torch.tensor([7, 900])


def deviation(found: Tensor, expected: Tensor) -> float:
    """Root of the mean squared difference, as a fraction of the standard deviation."""
    return ((found.float() - expected).square().mean().sqrt() / expected.std()).item()


@pytest.mark.parametrize("levels", [{"channel_mult": (1,), "attention": (False,)}, {}, SEVEN], ids=["1", "3", "7"])
@pytest.mark.parametrize("size", [(8, 12), (9, 13), (3, 1), (1, 1), (5, 6, 7), (1, 2, 1)])
@torch.no_grad()
def test_any_size_and_any_number_of_levels_go(levels: dict[str, Any], size: tuple[int, ...]) -> None:
    predicted = loud(spatial_dims=len(size), **levels)(*inputs(*size))
    assert predicted.shape == (2, 1, *size)
    assert predicted.isfinite().all()


@torch.no_grad()
def test_a_single_voxel_with_a_group_for_each_channel_goes() -> None:
    image, noisy, timesteps = inputs(1, 1)
    assert loud(norm_groups=8, channel_mult=(1, 1, 1))(image[:1], noisy[:1], timesteps[:1]).isfinite().all()


@torch.no_grad()
def test_noisy_image_condition_and_noise_may_differ_in_channels() -> None:
    network = loud(in_channels=2, condition_channels=3, out_channels=4)
    assert network(torch.rand(1, 3, 8, 8), torch.randn(1, 2, 8, 8), torch.tensor([5])).shape == (1, 4, 8, 8)


@pytest.mark.parametrize("index", [0, 1, 2], ids=["image", "noisy", "timesteps"])
@torch.no_grad()
def test_each_input_of_a_sample_changes_the_prediction_of_that_sample_alone(index: int) -> None:
    network, given = loud(), inputs(9, 13)
    before = network(*given)
    given[index][1] = -1 if index < 2 else 100
    after = network(*given)
    assert_close(after[0], before[0], rtol=0, atol=1e-5)
    assert (after[1] - before[1]).abs().max() > 1e-3


@both
@torch.no_grad()
def test_a_batch_is_predicted_as_its_samples_alone(spatial_dims: int) -> None:
    network, given = loud(spatial_dims=spatial_dims), inputs(*ODD[spatial_dims])
    alone = torch.cat([network(*(part[sample : sample + 1] for part in given)) for sample in range(2)])
    assert_close(network(*given), alone, rtol=0, atol=1e-5)


@torch.no_grad()
def test_with_legacy_padding_a_sample_depends_on_its_batch() -> None:
    network, given = loud(legacy_padding=True), inputs(9, 13)
    together = network(*given)
    alone = torch.cat([network(*(part[sample : sample + 1] for part in given)) for sample in range(2)])
    assert (together - alone).abs().max() > 1e-3


def test_attention_stands_where_its_level_is_flagged_and_in_the_middle() -> None:
    network = SUNet(**TINY, num_res_blocks=2)
    names = {name for name, part in network.named_modules() if isinstance(part, (SelfAttention, CrossAttention))}
    down = {f"{encoder}.levels.1.attention.{block}" for encoder in ("encoder", "condition_encoder") for block in (0, 1)}
    up = {f"up.1.attention.{block}" for block in (0, 1, 2)}
    assert names == down | up | {"middle.attention", "middle.cross_attention"}


def test_every_norm_has_the_groups_asked_for() -> None:
    norms = [module for module in SUNet(**TINY).modules() if isinstance(module, nn.GroupNorm)]
    assert {norm.num_groups for norm in norms} == {4}


@both
def test_every_parameter_learns(spatial_dims: int) -> None:
    network = loud(spatial_dims=spatial_dims)
    network(*inputs(*ODD[spatial_dims])).square().sum().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


@torch.no_grad()
def test_a_copy_predicts_the_same() -> None:
    network, given = loud(), inputs(9, 13)
    assert torch.equal(deepcopy(network)(*given), network(*given))


@both
@torch.no_grad()
def test_channels_last_predicts_the_same(spatial_dims: int) -> None:
    network, (image, noisy, timesteps) = loud(spatial_dims=spatial_dims), inputs(*ODD[spatial_dims])
    expected = network(image, noisy, timesteps)
    layout = torch.channels_last if spatial_dims == 2 else torch.channels_last_3d
    network = network.to(memory_format=layout)
    found = network(image.contiguous(memory_format=layout), noisy.contiguous(memory_format=layout), timesteps)
    assert_close(found, expected, rtol=0, atol=1e-5)


@both
@torch.no_grad()
def test_bfloat16_autocast_predicts_nearly_the_same(spatial_dims: int) -> None:
    network, given = loud(spatial_dims=spatial_dims), inputs(*ODD[spatial_dims])
    expected = network(*given)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(*given)
    assert deviation(found, expected) < 0.05


@torch.no_grad()
def test_under_autocast_the_prediction_is_in_float32_and_not_rounded() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = loud()(*inputs(9, 13))
    assert found.dtype == torch.float32
    assert (found != found.bfloat16()).float().mean() > 0.9


@both
@torch.no_grad()
def test_a_network_of_bfloat16_predicts_nearly_the_same(spatial_dims: int) -> None:
    network, (image, noisy, timesteps) = loud(spatial_dims=spatial_dims), inputs(*ODD[spatial_dims])
    expected = network(image, noisy, timesteps)
    found = network.bfloat16()(image.bfloat16(), noisy.bfloat16(), timesteps)
    assert found.dtype == torch.bfloat16
    assert deviation(found, expected) < 0.05


@both
@torch.no_grad()
def test_scripted_it_predicts_the_same(spatial_dims: int) -> None:
    network, given = loud(spatial_dims=spatial_dims), inputs(*ODD[spatial_dims])
    assert_close(torch.jit.script(network)(*given), network(*given), rtol=0, atol=1e-6)


@pytest.mark.parametrize("attention", ["yes", (False, "false", False), (0, 1, 0)])
def test_flags_that_are_not_true_or_false_are_refused(attention: Any) -> None:
    with pytest.raises(InputError, match=r"SUNet, attention: found .*; wanted nothing but True and False"):
        SUNet(**(TINY | {"attention": attention}))


def test_a_string_for_legacy_padding_is_refused() -> None:
    with pytest.raises(InputError, match=r"SUNet, legacy_padding: found \['true'\]; wanted nothing but True and False"):
        SUNet(**TINY, legacy_padding="true")


@pytest.mark.parametrize("attention", [(True, False), (False,) * 4])
def test_flags_and_levels_that_differ_in_number_are_refused(attention: tuple[bool, ...]) -> None:
    with pytest.raises(InputError, match=rf"found 3 levels .* and {len(attention)} flags .*; wanted as many flags"):
        SUNet(**(TINY | {"attention": attention}))


def test_no_level_at_all_is_refused() -> None:
    with pytest.raises(InputError, match=r"found 0 levels .*; wanted as many flags as levels, at least one"):
        SUNet(channel_mult=(), attention=())


@pytest.mark.parametrize(
    "changes",
    [{"spatial_dims": 1}, {"num_res_blocks": 0}, {"channel_mult": (1, 0, 2)}],
    ids=lambda value: next(iter(value)),
)
def test_other_dimensions_and_numbers_that_are_not_positive_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="wanted spatial_dims 2 or 3, and positive numbers"):
        SUNet(**(TINY | changes))


@pytest.mark.parametrize("norm_groups", [0, 3, 32])
def test_channels_that_the_groups_do_not_share_out_are_refused(norm_groups: int) -> None:
    with pytest.raises(InputError, match=f"found 8 channels in {norm_groups} groups; wanted an even number"):
        SUNet(**(TINY | {"norm_groups": norm_groups}))


def test_channels_that_the_heads_do_not_share_out_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"found levels of \[12, 6\] channels that attend.*; wanted multiples of the 4"
    ):
        SUNet(channels=6, norm_groups=2, channel_mult=(2, 1), attention=(True, False))
