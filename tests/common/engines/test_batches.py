"""Batches: grouped into lists, and moved with whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from monai.data import MetaTensor
from torch.utils.data import DataLoader, IterableDataset

from transmodal.engines import move_to_device
from transmodal.engines.batches import Windows, length_of


class Stream(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        return iter(range(3))


@pytest.mark.parametrize(("count", "windows"), [(4, [[0, 1], [2, 3]]), (3, [[0, 1], [2]]), (0, [])])
def test_batches_are_grouped_and_none_is_lost(count: int, windows: list[list[int]]) -> None:
    grouped = Windows(range(count), size=2)
    assert list(grouped) == windows
    assert len(grouped) == len(windows)


def test_windows_can_be_passed_through_again() -> None:
    grouped = Windows(range(3), size=2)
    assert list(grouped) == list(grouped)


def test_a_stream_has_no_length() -> None:
    stream = DataLoader(Stream(), batch_size=None)
    assert length_of(stream) is None
    assert length_of(Windows(stream, size=2)) is None
    assert length_of(iter([])) is None


def test_nested_tensors_move_and_lose_metadata() -> None:
    batch = {"image": MetaTensor(torch.ones(2)), "more": [{"deep": MetaTensor(torch.zeros(1))}]}
    moved = move_to_device(batch, "meta")
    assert moved["image"].device.type == moved["more"][0]["deep"].device.type == "meta"
    assert type(moved["image"]) is type(moved["more"][0]["deep"]) is torch.Tensor


def test_what_is_no_tensor_passes_unchanged() -> None:
    batch = {"case": ["STS_004", "STS_005"], "index": 3, "none": None}
    assert move_to_device(batch, "cpu") == batch


def test_arguments_of_to_are_passed_on() -> None:
    assert move_to_device(torch.ones(1), "cpu", dtype=torch.float64).dtype == torch.float64


def test_the_batch_itself_is_not_changed() -> None:
    batch = {"image": torch.ones(1)}
    move_to_device(batch, "cpu")["fake"] = torch.zeros(1)
    assert set(batch) == {"image"}
