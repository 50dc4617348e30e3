"""Parts of whole volumes: where they are cut, air around small ones, and their seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from transmodal import InputError
from transmodal.data import SeededSampler
from transmodal.data.patches import VolumePatches, box_in_body


class Preprocessing:
    """A volume (1, 12, 10, 8) whose voxels are numbered upwards from -1, body in the middle; notes what it is given."""

    def __init__(self, shape: tuple[int, ...] = (12, 10, 8)) -> None:
        self.shape = shape
        self.calls: list[dict[str, Any]] = []

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(dict(sample))
        image = torch.linspace(-1, 1, torch.Size(self.shape).numel()).reshape(1, *self.shape)
        body = torch.zeros(1, *self.shape)
        body[(slice(None), *(slice(length // 3, 2 * length // 3) for length in self.shape))] = 1
        return sample | {"image": image, "body_image": body}


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    files = [tmp_path / name for name in ("ct.nii", "mr.nii")]
    for file in files:
        file.write_bytes(b"")
    return [{"case": "a", "image": str(file), "modality": file.stem} for file in files]


def test_the_preprocessing_is_told_the_modality_and_the_mask(records: list[dict[str, Any]]) -> None:
    preprocessing = Preprocessing()
    VolumePatches([records[0] | {"body_image": "mask.nii"}, records[1]], preprocessing, (4, 4, 4))
    assert preprocessing.calls == [records[0] | {"body_image": "mask.nii"}, records[1]]


def test_an_item_is_a_part_of_its_volume_with_its_seed(records: list[dict[str, Any]]) -> None:
    dataset = VolumePatches(records, Preprocessing(), (4, 5, 6))
    item = dataset[(1, 7)]
    assert len(dataset) == 2
    assert set(item) == {"image", "seed"}
    assert item["seed"] == 7
    part = item["image"]
    assert (part.dtype, tuple(part.shape)) == (torch.float32, (1, 4, 5, 6))
    volume = Preprocessing()({})["image"].float()
    offset = int(((part[0, 0, 0, 0] + 1) / 2 * 959).round())
    d, h, w = offset // 80, offset // 8 % 10, offset % 8
    assert torch.equal(part, volume[:, d : d + 4, h : h + 5, w : w + 6])


def test_parts_lie_where_the_body_is(records: list[dict[str, Any]]) -> None:
    """The body is 4×3×3 voxels of the middle; every part of 2 voxels an edge begins there or one before."""
    volume = Preprocessing()({})["image"].flatten().tolist()
    starts = set()
    dataset = VolumePatches(records, Preprocessing(), (2, 2, 2))
    for seed in range(300):
        offset = volume.index(float(dataset[(0, seed)]["image"][0, 0, 0, 0]))
        starts.add((offset // 80, offset // 8 % 10, offset % 8))
    expected = {(d, h, w) for d in range(3, 7) for h in range(2, 5) for w in range(1, 4)}
    assert starts == expected


def test_air_surrounds_a_volume_smaller_than_the_patch(records: list[dict[str, Any]]) -> None:
    part = VolumePatches(records, Preprocessing(), (12, 14, 4))[(0, 0)]["image"]
    assert tuple(part.shape) == (1, 12, 14, 4)
    assert (part[:, :, :2] == -1).all()
    assert (part[:, :, 12:] == -1).all()
    assert (part[:, 1:, 2:12] > -1).all()


def test_items_are_pure_functions_of_their_index(records: list[dict[str, Any]]) -> None:
    dataset = VolumePatches(records, Preprocessing(), (4, 4, 4))
    first = dataset[(0, 9)]["image"]
    dataset[(1, 3)]
    assert torch.equal(dataset[(0, 9)]["image"], first)
    assert len({float(dataset[(0, seed)]["image"].sum()) for seed in range(20)}) > 5


def test_a_plain_number_is_its_own_seed(records: list[dict[str, Any]]) -> None:
    dataset = VolumePatches(records, Preprocessing(), (4, 4, 4))
    assert torch.equal(dataset[1]["image"], dataset[(1, 1)]["image"])


def test_the_sampler_draws_every_volume_once(records: list[dict[str, Any]]) -> None:
    dataset = VolumePatches(records, Preprocessing(), (4, 4, 4))
    assert sorted(number for number, _ in SeededSampler(dataset)) == [0, 1]


def test_the_cache_spares_preprocessing_and_changes_nothing(records: list[dict[str, Any]], tmp_path: Path) -> None:
    cache, again = str(tmp_path / "cache"), Preprocessing()
    first = VolumePatches(records, Preprocessing(), (4, 12, 4), cache_dir=cache, cache_key="a")
    cached = VolumePatches(records, again, (4, 12, 4), cache_dir=cache, cache_key="a")
    assert again.calls == []
    assert torch.equal(first[(1, 5)]["image"], cached[(1, 5)]["image"])


def test_the_cache_tells_patches_apart(records: list[dict[str, Any]], tmp_path: Path) -> None:
    """Volumes are kept as large as the patch."""
    cache = str(tmp_path / "cache")
    VolumePatches(records, Preprocessing(), (4, 4, 4), cache_dir=cache, cache_key="a")
    assert tuple(
        VolumePatches(records, Preprocessing(), (4, 12, 4), cache_dir=cache, cache_key="a")[0]["image"].shape
    ) == (
        1,
        4,
        12,
        4,
    )


def test_a_patch_of_one_slice_is_a_whole_slice_with_body(records: list[dict[str, Any]]) -> None:
    dataset, volume = VolumePatches(records, Preprocessing(), (1, 10, 8)), Preprocessing()({})["image"].float()
    slices = [dataset[(0, seed)]["image"] for seed in range(50)]
    numbers = {next(n for n in range(12) if torch.equal(part, volume[:, n : n + 1])) for part in slices}
    assert numbers == {4, 5, 6, 7}


def test_the_centre_of_a_box_is_a_voxel_of_the_body_each_as_likely() -> None:
    body = np.zeros((12, 11, 13), dtype=bool)
    voxels = [(4, 5, 6), (4, 5, 7), (7, 4, 6)]
    body[tuple(zip(*voxels, strict=True))] = True
    centres = [tuple(part.start + 2 for part in box_in_body(body, (4, 5, 4), seed)) for seed in range(600)]
    assert set(centres) == set(voxels)
    assert [centres.count(voxel) for voxel in voxels] == pytest.approx([200] * 3, abs=60)


@pytest.mark.parametrize("corner", [(0, 0, 0), (5, 6, 7), (0, 6, 3)])
def test_a_box_at_the_border_is_moved_inwards(corner: tuple[int, ...]) -> None:
    body = np.zeros((6, 7, 8), dtype=bool)
    body[corner] = True
    box = box_in_body(body, (4, 7, 5), seed=0)
    assert body[box].shape == (4, 7, 5)
    assert body[box].any()


def test_the_same_seed_gives_the_same_box() -> None:
    body = np.ones((9, 9, 9), dtype=bool)
    assert box_in_body(body, (2, 2, 2), 5) == box_in_body(body, (2, 2, 2), 5)
    assert len({str(box_in_body(body, (2, 2, 2), seed)) for seed in range(30)}) > 20


def test_without_a_body_boxes_come_from_everywhere() -> None:
    body = np.zeros((9, 9, 9), dtype=bool)
    starts = np.array([[part.start for part in box_in_body(body, (1, 1, 1), seed)] for seed in range(200)])
    assert starts.min(axis=0).tolist() == [0, 0, 0]
    assert starts.max(axis=0).tolist() == [8, 8, 8]


def test_a_cache_without_the_name_of_its_preprocessing_is_refused(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="found no cache_key beside it"):
        VolumePatches(records, Preprocessing(), (4, 4, 4), cache_dir=str(tmp_path / "cache"))
