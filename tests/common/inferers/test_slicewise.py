"""Slice-wise inference: equal to the network slice by slice, for any axis and batch size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from monai.data import MetaTensor, decollate_batch, list_data_collate
from monai.inferers import SimpleInferer
from torch import Tensor, nn

from transmodal.errors import InputError
from transmodal.inferers import DDGANInferer, NumberedInferer, SliceWiseInferer, TargetInferer
from transmodal.networks.nets import NCSNpp
from transmodal.schedulers import DDGANScheduler


class Doubling(nn.Module):
    """Twice the slice, plus the slice's own mean: a function of a whole slice, so that axes matter."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.batches: list[int] = []

    def forward(self, image: Tensor, target: str = "ct") -> Tensor:
        self.batches.append(len(image))
        sign = 1 if target == "ct" else -1
        return sign * (self.weight * image + image.mean(dim=(1, 2, 3), keepdim=True))


class Numbering(NumberedInferer):
    """Turns each slice into its number."""

    def __call__(
        self,
        inputs: Tensor,
        network: Callable[..., Tensor],
        *args: Any,
        numbers: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> Tensor:
        assert numbers is not None
        assert len(numbers) == len(inputs)
        return torch.tensor(numbers)[:, None, None, None].expand_as(inputs)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_equals_slice_by_slice(axis: int, batch_size: int) -> None:
    network, image = Doubling(), torch.randn(2, 1, 5, 6, 7)
    result = SliceWiseInferer(SimpleInferer(), axis=axis, batch_size=batch_size)(image, network)
    for position in range(image.shape[axis + 2]):
        expected = network(image.select(axis + 2, position))
        torch.testing.assert_close(result.select(axis + 2, position), expected)


def test_never_more_than_one_batch_of_slices_at_once() -> None:
    network = Doubling()
    SliceWiseInferer(SimpleInferer(), batch_size=4)(torch.randn(1, 1, 3, 3, 10), network)
    assert network.batches == [4, 4, 2]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_numbered_inferers_learn_the_number_of_each_slice_in_its_volume(axis: int, batch_size: int) -> None:
    image = torch.zeros(2, 1, 5, 6, 7)
    result = SliceWiseInferer(Numbering(), axis=axis, batch_size=batch_size)(image, Doubling())
    expected = torch.arange(float(image.shape[axis + 2])).expand(2, 1, -1)
    for lines in result.movedim(axis + 2, -1).flatten(2, 3).unbind(2):
        assert torch.equal(lines, expected)


def test_the_numbers_of_pictures_are_their_places_in_the_batch() -> None:
    result = SliceWiseInferer(Numbering(), batch_size=2)(torch.zeros(3, 1, 4, 4), Doubling())
    assert result[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_pictures_pass_through() -> None:
    network, image = Doubling(), torch.randn(2, 1, 5, 6)
    torch.testing.assert_close(SliceWiseInferer(SimpleInferer())(image, network), network(image))


@pytest.mark.parametrize("shape", [(2, 1, 4, 5, 6), (2, 1, 4, 5)])
def test_metadata_of_the_source_stays_with_the_translation(shape: tuple[int, ...]) -> None:
    batch = list_data_collate([MetaTensor(torch.rand(shape[1:]), meta={"case": name}) for name in "ab"])
    result = SliceWiseInferer(SimpleInferer())(batch, Doubling())
    assert [item.meta["case"] for item in decollate_batch(result)] == ["a", "b"]


def test_target_is_asked_for_at_each_call() -> None:
    network, image = Doubling(), torch.randn(1, 1, 4, 4, 2)
    ct = SliceWiseInferer(TargetInferer("ct"))(image, network)
    mr = SliceWiseInferer(TargetInferer("mr"))(image, network)
    torch.testing.assert_close(ct, -mr)


def test_deploy_calls_by_keyword_with_tensors_that_are_no_concern() -> None:
    network, image = Doubling(), torch.randn(1, 1, 4, 4, 2)
    inferer = SliceWiseInferer(TargetInferer("ct"))
    torch.testing.assert_close(inferer(inputs=image, network=network, body_image=image > 0), inferer(image, network))


def test_autocast_and_channels_last_change_little() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
    image = torch.randn(1, 1, 16, 16, 3)
    plain = SliceWiseInferer(SimpleInferer())(image, network)
    torch.testing.assert_close(SliceWiseInferer(SimpleInferer(), channels_last=True)(image, network), plain)
    mixed = SliceWiseInferer(SimpleInferer(), amp=True)(image, network)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, plain, atol=0.02, rtol=0.02)


def test_channels_last_reaches_the_convolutions_within_a_network() -> None:
    """One channel alone has no layout, and two such stacked are not channels-last: the weights have to be."""
    network = NCSNpp(channels=8, channel_mult=(1, 2), attention=(False, False), latent_dim=4, style_dim=8).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    seen: list[Tensor] = []
    inner = network.trunk.get_submodule("down.0.blocks.0.conv2")
    inner.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    inferer = DDGANInferer(DDGANScheduler(2), target="ct", latent_dim=4)

    def called(self: nn.Module, image: Tensor, noisy: Tensor, timesteps: Tensor, latent: Tensor, target: str) -> Tensor:
        prediction: Tensor = network(torch.cat([noisy, image], dim=1), timesteps, latent)
        return prediction[:, :1]

    translators = type("Translators", (nn.Module,), {"forward": called})()
    translators.generator = network
    image = torch.rand(1, 1, 16, 16, 2)
    plain = SliceWiseInferer(inferer)(image, translators)
    assert not any(given.is_contiguous(memory_format=torch.channels_last) for given in seen)
    seen.clear()
    found = SliceWiseInferer(inferer, channels_last=True)(image, translators)
    assert [given.is_contiguous(memory_format=torch.channels_last) for given in seen] == [True, True]
    torch.testing.assert_close(found, plain, rtol=0, atol=1e-5)


def test_channels_last_leaves_the_weights_of_volumes_as_they_are() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slices = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
            self.volume = nn.Conv3d(2, 2, 3)

        def forward(self, image: Tensor) -> Tensor:
            return self.slices(image)

    network, image = Both(), torch.randn(1, 1, 16, 16, 3)
    plain = SliceWiseInferer(SimpleInferer())(image, network)
    found = SliceWiseInferer(SimpleInferer(), channels_last=True)(image, network)
    torch.testing.assert_close(found, plain, rtol=0, atol=1e-5)
    assert network.slices[2].weight.stride() == (72, 1, 24, 8)
    assert network.volume.weight.is_contiguous()


def test_a_flag_given_as_text_is_refused() -> None:
    with pytest.raises(InputError, match="amp: found 'true'; wanted true or false in JSON, True or False"):
        SliceWiseInferer(SimpleInferer(), amp="true")  # type: ignore[arg-type]


def test_an_axis_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="SliceWiseInferer, axis: found 3; wanted 0, 1 or 2"):
        SliceWiseInferer(SimpleInferer(), axis=3)


@pytest.mark.parametrize("batch_size", [0, "16", True])
def test_a_batch_size_that_is_no_positive_whole_number_is_refused(batch_size: Any) -> None:
    with pytest.raises(InputError, match=r"SliceWiseInferer, batch_size: found .*; wanted an integer of 1 or more"):
        SliceWiseInferer(SimpleInferer(), batch_size=batch_size)
