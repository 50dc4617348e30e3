"""Parts of whole volumes: which files, where they are cut, air around small ones, and their seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mddga_bundle.volumes import VolumePatches, mixed_records, reconstruction_records

from transmodal.data import SeededSampler
from transmodal.errors import InputError

CASES = [
    {"case": "a", "ct": "/a/ct.mha", "mr": "/a/mr.mha", "mask": "/a/mask.mha"},
    {"case": "b", "mr": "/b/mr.mha", "mask": "/b/mask.mha"},
]


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


def test_every_image_of_both_modalities_is_a_record() -> None:
    assert mixed_records(CASES, ["ct", "mr"]) == [
        {"case": "a", "image": "/a/ct.mha", "modality": "ct"},
        {"case": "a", "image": "/a/mr.mha", "modality": "mr"},
        {"case": "b", "image": "/b/mr.mha", "modality": "mr"},
    ]


def test_records_name_their_masks() -> None:
    assert [record["body_image"] for record in mixed_records(CASES, ["ct", "mr"], body_from="mask")] == [
        "/a/mask.mha",
        "/a/mask.mha",
        "/b/mask.mha",
    ]


def test_an_image_without_the_mask_that_is_asked_for_is_refused() -> None:
    with pytest.raises(InputError, match="lacks mask"):
        mixed_records([*CASES, {"case": "c", "ct": "/c/ct.mha"}], ["ct", "mr"], body_from="mask")


def test_a_modality_that_no_case_has_is_refused() -> None:
    with pytest.raises(InputError, match="2 cases: found no case with what is needed"):
        mixed_records(CASES, ["ct", "t1"])


def test_what_is_reconstructed_is_its_own_target() -> None:
    assert reconstruction_records(CASES, "ct") == [
        {"case": "a", "image": "/a/ct.mha", "label": "/a/ct.mha", "mask": "/a/mask.mha", "modality": "ct"}
    ]
    assert reconstruction_records(CASES, "ct", body_from="mask")[0]["body_image"] == "/a/mask.mha"


def test_nothing_to_reconstruct_is_an_error_unless_allowed() -> None:
    with pytest.raises(InputError, match="hold cases out"):
        reconstruction_records(CASES, "t1")
    assert reconstruction_records(CASES, "t1", remedy="") == []


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
    first = VolumePatches(records, Preprocessing(), (4, 12, 4), cache_dir=cache)
    cached = VolumePatches(records, again, (4, 12, 4), cache_dir=cache)
    assert again.calls == []
    assert torch.equal(first[(1, 5)]["image"], cached[(1, 5)]["image"])


def test_the_cache_tells_patches_apart(records: list[dict[str, Any]], tmp_path: Path) -> None:
    """Volumes are kept as large as the patch."""
    cache = str(tmp_path / "cache")
    VolumePatches(records, Preprocessing(), (4, 4, 4), cache_dir=cache)
    assert tuple(VolumePatches(records, Preprocessing(), (4, 12, 4), cache_dir=cache)[0]["image"].shape) == (
        1,
        4,
        12,
        4,
    )
