"""Scalable padding: where it grows, what it is filled with, what flows back into it, and its undoing."""

from __future__ import annotations

import pytest
import torch
from mddga_bundle.padding import cropped_to, padded_to_even
from torch.testing import assert_close

both = pytest.mark.parametrize("legacy", [False, True], ids=["of the sample", "of the batch"])


@both
def test_an_even_size_is_left_as_it_is(legacy: bool) -> None:
    features = torch.randn(2, 3, 4, 6)
    assert padded_to_even(features, legacy) is features


@both
@pytest.mark.parametrize(
    ("size", "padded"),
    [((5, 6), (6, 6)), ((4, 7), (4, 8)), ((1, 1), (2, 2)), ((3, 4, 5), (4, 4, 6)), ((3, 5, 7), (4, 6, 8))],
)
def test_each_odd_axis_grows_by_one_at_its_end(size: tuple[int, ...], padded: tuple[int, ...], legacy: bool) -> None:
    features = torch.randn(2, 3, *size)
    found = padded_to_even(features, legacy)
    assert found.shape == (2, 3, *padded)
    assert torch.equal(cropped_to(found, list(size)), features)


def test_the_border_is_the_minimum_of_each_sample_over_channels_and_voxels() -> None:
    features = torch.randn(2, 3, 5, 4, 7)
    found = padded_to_even(features)
    for sample in range(2):
        lowest = features[sample].min()
        assert torch.equal(found[sample, :, 5], lowest.expand(3, 4, 8))
        assert torch.equal(found[sample, ..., 7], lowest.expand(3, 6, 4))


def test_the_legacy_border_is_the_minimum_of_the_batch() -> None:
    features = torch.randn(2, 3, 5, 4)
    assert torch.equal(padded_to_even(features, legacy=True)[:, :, 5], features.min().expand(2, 3, 4))


def test_of_a_single_sample_both_make_the_same() -> None:
    features = torch.randn(1, 3, 5, 7)
    assert torch.equal(padded_to_even(features, legacy=True), padded_to_even(features))


def test_the_features_themselves_stay_as_they_are() -> None:
    features = torch.randn(1, 2, 3, 3)
    before = features.clone()
    padded_to_even(features)
    assert torch.equal(features, before)


@both
def test_the_gradient_of_the_border_flows_into_the_minimum(legacy: bool) -> None:
    features = torch.randn(1, 2, 3, 5, requires_grad=True)
    padded_to_even(features, legacy).sum().backward()
    border = 2 * (4 * 6 - 3 * 5)
    expected = torch.ones_like(features)
    expected.view(-1)[features.argmin()] += border
    assert_close(features.grad, expected)


def test_nothing_is_rounded_in_bfloat16() -> None:
    features = torch.randn(2, 3, 5, 7).bfloat16()
    found = padded_to_even(features)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, padded_to_even(features.float()).bfloat16())


@pytest.mark.parametrize(
    ("size", "layout"), [((5, 7), torch.channels_last), ((3, 5, 7), torch.channels_last_3d)], ids=["slices", "volumes"]
)
def test_the_layout_in_memory_stays(size: tuple[int, ...], layout: torch.memory_format) -> None:
    features = torch.randn(2, 3, *size).contiguous(memory_format=layout)
    assert padded_to_even(features).is_contiguous(memory_format=layout)


def test_cropping_keeps_the_beginning() -> None:
    features = torch.randn(2, 3, 6, 8, 4)
    assert torch.equal(cropped_to(features, [5, 8, 3]), features[:, :, :5, :, :3])
